#include "network.h"

#include <string.h>

#include "arithmetic.h"

#define VALUE_BITS 15
#define STATE_BITS 24
#define STYLE_SHIFT 19
#define OUT_SHIFT 20

#define PADDED_WIDTH VZ_PADDED(VZ_MAX_WIDTH)
#define PADDED_HIDDEN VZ_PADDED(VZ_MAX_WIDTH *VZ_MAX_EXPANSION)
#define PADDED_FEATURES VZ_PADDED(VZ_MAX_CONTEXTS *VZ_MAX_TABLE_DIM)

VZ_INLINE void linear(const vz_path *path, const vz_linear *l, const int8_t *a, int32_t *y) {
    path->multiply(y, &l->matrix, a);
    const int pre = l->pre, shift = l->shift;
    const int32_t *multiplier = l->multiplier, *bias = l->bias;
    for (int o = 0; o < l->outputs; o++) y[o] = ((y[o] >> pre) * multiplier[o] + bias[o]) >> shift;
}

/* Normalise, then scale and shift as z says. No sum leaves 32 bits: |y| < 3 * 2^15 after the norm (its table is
 * checked for that, network/ops.py), |scale| < 2^14 and |shift| < 2^29. */
VZ_INLINE void styled(const vz_network *net, const vz_style *style, int site, const int32_t *x, int8_t *a) {
    const int width = net->width;
    const int32_t *scale = style->scale + site * width, *shift = style->shift + site * width;
    int64_t squares = 0;
    for (int i = 0; i < width; i++) squares += (int64_t)x[i] * x[i];
    squares |= 1;
    int half = (vz_bit_length((uint64_t)squares) + 1) / 2, twice = 2 * half - 10;
    int up = half < 15 ? 15 - half : 0, down = half > 15 ? half - 15 : 0;
    int32_t root = net->norm[twice < 0 ? squares << -twice : squares >> twice];
    for (int i = 0; i < width; i++) {
        int32_t y = ((int32_t)((uint32_t)x[i] << up) >> down) * root;
        y = (y + (1 << 12)) >> 13;
        a[i] = (int8_t)vz_clip((y * scale[i] + shift[i]) >> STYLE_SHIFT, -127, 127);
    }
}

VZ_INLINE int32_t gate(const int32_t *table, int32_t x) {
    return table[vz_clip(x + VZ_GATE_ENTRIES / 2, 0, VZ_GATE_ENTRIES - 1)];
}

VZ_INLINE void recur(const vz_network *net, const vz_layer *layer, const int32_t *u, int32_t *h, int8_t *a) {
    const int width = net->width;
    for (int i = 0; i < width; i++) {
        int32_t move = (1 << VALUE_BITS) - gate(net->sigmoid, u[i]);
        int32_t target = gate(net->tanh, u[width + i]) * (1 << (STATE_BITS - VALUE_BITS));
        int64_t step = (int64_t)(target - h[i]) * move + (1 << (VALUE_BITS - 1));
        h[i] += (int32_t)(step >> VALUE_BITS);
        int32_t out = (gate(net->sigmoid, u[2 * width + i]) * (h[i] >> (STATE_BITS - VALUE_BITS))) >> VALUE_BITS;
        a[i] = (int8_t)vz_clip((out * layer->out_scale[i] + (1 << (OUT_SHIFT - 1))) >> OUT_SHIFT, -127, 127);
    }
}

VZ_INLINE void add(int32_t *x, const int32_t *y, int n) {
    for (int i = 0; i < n; i++) x[i] += y[i];
}

VZ_EVERY_CPU void vz_network_step(const vz_network *net, const vz_style *style, int32_t *state, uint8_t seen, const int64_t *rows,
                     int32_t *exponentials) {
    const int width = net->width, hidden = net->expansion * net->width;
    int8_t a[PADDED_WIDTH], wide[PADDED_HIDDEN], found[PADDED_FEATURES];
    int32_t x[PADDED_WIDTH], y[PADDED_HIDDEN > 3 * PADDED_WIDTH ? PADDED_HIDDEN : 3 * PADDED_WIDTH];
    /* What lies beyond the real inputs is multiplied by zero weights, but has to be set. */
    memset(a, 0, (size_t)VZ_PADDED(width));
    memset(wide, 0, (size_t)VZ_PADDED(hidden));
    memset(found, 0, (size_t)VZ_PADDED(net->contexts * net->table_dim));
    for (int i = 0; i < net->contexts; i++)
        memcpy(found + i * net->table_dim, net->tables + rows[i] * net->table_dim, (size_t)net->table_dim);
    linear(net->path, &net->features, found, x);
    for (int i = 0; i < width; i++) x[i] += net->byte[seen * width + i];
    for (int i = 0; i < net->layers; i++) {
        const vz_layer *layer = &net->layer[i];
        styled(net, style, 2 * i, x, a);
        linear(net->path, &layer->gates, a, y);
        recur(net, layer, y, state + i * width, a);
        linear(net->path, &layer->out, a, y);
        add(x, y, width);
        styled(net, style, 2 * i + 1, x, a);
        linear(net->path, &layer->up, a, y);
        for (int j = 0; j < hidden; j++) wide[j] = (int8_t)vz_clip(y[j], 0, 127);
        linear(net->path, &layer->down, wide, y);
        add(x, y, width);
    }
    styled(net, style, 2 * net->layers, x, a);
    linear(net->path, &net->head, a, y);
    int32_t highest = y[0];
    for (int i = 1; i < 256; i++) highest = y[i] > highest ? y[i] : highest;
    for (int i = 0; i < 256; i++) exponentials[i] = net->exp[vz_clip(highest - y[i], 0, VZ_EXP_ENTRIES - 1)];
}
