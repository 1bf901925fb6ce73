/* The exact decoder (docs/network.md); twin of network/decoder.py. */
#ifndef VZ_DECODER_H
#define VZ_DECODER_H

#include <stdint.h>

#include "product.h"

/* As network/architecture.py has them. */
#define VZ_MAX_WIDTH 512
#define VZ_MAX_LAYERS 16
#define VZ_MAX_CONTEXTS 20
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
} vz_decoder;

/* Scales and shifts that z sets, constant over a block: FiLM (Perez et al. 2018, arXiv:1709.07871). */
typedef struct {
    const int32_t *scale, *shift; /* (2 * layers + 1, width) */
} vz_modulation;

/* A byte to predict: what z and the bytes before it have set. */
typedef struct {
    const vz_modulation *modulation;
    int32_t *state;      /* (layers, width), of its text; this byte moves it on */
    const int64_t *rows; /* (contexts,) */
    uint8_t seen;        /* the byte before it */
} vz_position;

/* Room for what a run of the network computes on its way. */
typedef struct {
    int8_t *a, *wide, *found; /* inputs of products, (VZ_RUN, padded width, hidden layer, table entries) */
    int32_t *x, *y;           /* the residual stream; products */
    void *memory;
} vz_workspace;

/* 0 if there is no memory. `w` is to be freed in any case. */
int vz_workspace_init(vz_workspace *w, const vz_decoder *d);
void vz_workspace_free(vz_workspace *w);

/* Runs the decoder over `count` bytes, at most VZ_RUN: of one text in their order, of several texts, or both. Writes
 * exp(logit - highest), unit 2^-24, of the 256 values of each: (count, 256). */
void vz_decoder_run(const vz_decoder *d, vz_workspace *w, const vz_position *at, int count, int32_t *exponentials);

#endif
