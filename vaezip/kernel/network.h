/* The exact decoder of docs/model.md, one byte at a time. */
#ifndef VZ_NETWORK_H
#define VZ_NETWORK_H

#include <stdint.h>

#include "product.h"

#define VZ_MAX_WIDTH 256
#define VZ_MAX_LAYERS 16
#define VZ_MAX_EXPANSION 8
#define VZ_MAX_CONTEXTS 20
#define VZ_MAX_TABLE_DIM 64
#define VZ_GATE_ENTRIES 4096
#define VZ_EXP_ENTRIES 1088

typedef struct {
    vz_matrix matrix;
    const int32_t *multiplier, *bias;
    int outputs, pre, shift;
} vz_linear;

typedef struct {
    vz_linear gates, out, up, down;
    const int32_t *out_scale;
} vz_layer;

/* Sizes and tensors of a model; the arrays belong to the caller and have been checked by it. */
typedef struct {
    int width, layers, expansion, contexts, table_dim;
    const int8_t *tables;
    const int16_t *byte;
    vz_linear features, head;
    vz_layer layer[VZ_MAX_LAYERS];
    const int32_t *norm, *sigmoid, *tanh, *exp;
    const vz_path *path;
} vz_network;

/* What z sets, constant over a block. */
typedef struct {
    const int32_t *scale, *shift; /* (2 * layers + 1, width) */
} vz_style;

/* Runs the decoder over one byte: `seen` is the byte before, `rows` are those of its contexts, `state` is
 * (layers, width). Writes exp(logit - highest), unit 2^-24, of the 256 values of the byte to come. */
void vz_network_step(const vz_network *net, const vz_style *style, int32_t *state, uint8_t seen, const int64_t *rows,
                     int32_t *exponentials);

#endif
