#include "decoder.h"

#include <stdlib.h>
#include <string.h>

#include "arithmetic.h"

#define VALUE_BITS 15
#define STATE_BITS 24
#define MODULATION_SHIFT 19
#define OUT_SHIFT 20
#define CACHE_LINE 64
#define PIECE 32 /* elements that stages of a loop hand on to each other */

static int features(const vz_decoder *d) { return VZ_PADDED(d->contexts * d->table_dim); }
static int hidden(const vz_decoder *d) { return d->expansion * d->width; }

int vz_workspace_init(vz_workspace *w, const vz_decoder *d) {
    const size_t width = VZ_PADDED((size_t)d->width), wide = VZ_PADDED((size_t)hidden(d)), found = (size_t)features(d);
    size_t product = 3 * width > wide ? 3 * width : wide;
    if (product < 256) product = 256;
    /* Zeros, since what lies beyond the real inputs is multiplied by zero weights, but has to be set. */
    uint8_t *at = w->memory =
        calloc(VZ_RUN * (width + wide + found + sizeof(int32_t) * (width + product)) + CACHE_LINE, 1);
    if (!at) return 0;
    at += -(uintptr_t)at & (CACHE_LINE - 1);
    w->x = (int32_t *)at;
    w->y = w->x + VZ_RUN * width;
    w->a = (int8_t *)(w->y + VZ_RUN * product);
    w->wide = w->a + VZ_RUN * width;
    w->found = w->wide + VZ_RUN * wide;
    return 1;
}

void vz_workspace_free(vz_workspace *w) { free(w->memory); }

VZ_INLINE void linear(const vz_path *path, const vz_linear *l, const int8_t *a, int32_t *y, int count) {
    path->multiply(y, &l->matrix, a, count);
    const int pre = l->pre, shift = l->shift, outputs = l->outputs;
    const int32_t *restrict multiplier = l->multiplier, *restrict bias = l->bias;
    for (int p = 0; p < count; p++, y += l->matrix.outputs)
        for (int o = 0; o < outputs; o++) y[o] = ((y[o] >> pre) * multiplier[o] + bias[o]) >> shift;
}

/* RMSNorm, then scale and shift of that site. No sum leaves 32 bits: |y| < 3 * 2^15 after the norm (its table is
 * checked for that, network/ops.py), |scale| < 2^14 and |shift| < 2^29. */
VZ_INLINE void modulate(const vz_decoder *d, const vz_position *at, int site, const int32_t *restrict x,
                        int8_t *restrict a, int count) {
    const int width = d->width, padded = VZ_PADDED(width);
    for (int p = 0; p < count; p++, x += padded, a += padded) {
        const vz_modulation *modulation = at[p].modulation;
        const int32_t *restrict scale = modulation->scale + site * width;
        const int32_t *restrict shift = modulation->shift + site * width;
        int64_t squares = 0;
        for (int i = 0; i < width; i++) squares += (int64_t)x[i] * x[i];
        squares |= 1;
        int half = (vz_bit_length((uint64_t)squares) + 1) / 2, twice = 2 * half - 10;
        int up = half < 15 ? 15 - half : 0, down = half > 15 ? half - 15 : 0;
        int32_t root = d->norm[twice < 0 ? squares << -twice : squares >> twice];
        for (int i = 0; i < width; i++) {
            int32_t y = ((int32_t)((uint32_t)x[i] << up) >> down) * root;
            y = (y + (1 << 12)) >> 13;
            a[i] = (int8_t)vz_clip((y * scale[i] + shift[i]) >> MODULATION_SHIFT, -127, 127);
        }
    }
}

/* out = table[x], for n at most PIECE. Look-ups one by one, so that the loops around them are vectors. */
VZ_INLINE void gates(const int32_t *restrict table, const int32_t *restrict x, int32_t *restrict out, int n) {
    uint16_t at[PIECE];
    for (int i = 0; i < n; i++) at[i] = (uint16_t)vz_clip(x[i] + VZ_GATE_ENTRIES / 2, 0, VZ_GATE_ENTRIES - 1);
    for (int i = 0; i < n; i++) out[i] = table[at[i]];
}

/* (x * share + 2^14) >> 15 of |x| <= 2^25 and 0 <= share <= 2^15, in 32 bits. */
VZ_INLINE int32_t part(int32_t x, int32_t share) {
    return (x >> VALUE_BITS) * share +
           (((x & ((1 << VALUE_BITS) - 1)) * share + (1 << (VALUE_BITS - 1))) >> VALUE_BITS);
}

/* h_t = h_(t-1) + (1 - f_t)(c_t - h_(t-1)), and o_t h_t as the next product's input. */
VZ_INLINE void step(int32_t *restrict h, const int32_t *restrict f, const int32_t *restrict c,
                    const int32_t *restrict o, const int32_t *restrict scale, int8_t *restrict a, int n) {
    for (int i = 0; i < n; i++) {
        h[i] += part(c[i] * (1 << (STATE_BITS - VALUE_BITS)) - h[i], (1 << VALUE_BITS) - f[i]);
        int32_t out = (o[i] * (h[i] >> (STATE_BITS - VALUE_BITS))) >> VALUE_BITS;
        a[i] = (int8_t)vz_clip((out * scale[i] + (1 << (OUT_SHIFT - 1))) >> OUT_SHIFT, -127, 127);
    }
}

VZ_INLINE void recur(const vz_decoder *d, int number, const vz_position *at, const int32_t *u, int8_t *a, int count) {
    const vz_layer *layer = &d->layer[number];
    const int width = d->width;
    for (int p = 0; p < count; p++, u += layer->gates.matrix.outputs, a += VZ_PADDED(width)) {
        int32_t *h = at[p].state + number * width;
        for (int i = 0; i < width; i += PIECE) {
            const int n = width - i < PIECE ? width - i : PIECE;
            int32_t f[PIECE], c[PIECE], o[PIECE];
            gates(d->sigmoid, u + i, f, n);
            gates(d->tanh, u + width + i, c, n);
            gates(d->sigmoid, u + 2 * width + i, o, n);
            step(h + i, f, c, o, layer->out_scale + i, a + i, n);
        }
    }
}

VZ_INLINE void relu(const int32_t *restrict y, int8_t *restrict a, int n) {
    for (int i = 0; i < n; i++) a[i] = (int8_t)vz_clip(y[i], 0, 127);
}

VZ_INLINE void add(int32_t *restrict x, const int32_t *restrict y, int n) {
    for (int i = 0; i < n; i++) x[i] += y[i];
}

VZ_INLINE void add_byte(int32_t *restrict x, const int16_t *restrict byte, int n) {
    for (int i = 0; i < n; i++) x[i] += byte[i];
}

VZ_INLINE const int8_t *row(const vz_decoder *d, const vz_position *at, int context) {
    return d->tables + (size_t)at->rows[context] * (size_t)d->table_dim;
}

VZ_INLINE void look_up(const vz_decoder *d, const vz_position *at, int8_t *found, int count) {
    const size_t dim = (size_t)d->table_dim, padded = (size_t)features(d);
    for (int p = 0; p < count; p++)
        for (int i = 0; i < d->contexts; i++) VZ_PREFETCH(row(d, at + p, i));
    for (int p = 0; p < count; p++, found += padded)
        for (int i = 0; i < d->contexts; i++) memcpy(found + (size_t)i * dim, row(d, at + p, i), dim);
}

VZ_INLINE void exponentiate(const int32_t *restrict table, const int32_t *restrict logits,
                            int32_t *restrict exponentials) {
    int32_t highest = logits[0];
    uint16_t below[256];
    for (int i = 1; i < 256; i++) highest = logits[i] > highest ? logits[i] : highest;
    for (int i = 0; i < 256; i++) below[i] = (uint16_t)vz_clip(highest - logits[i], 0, VZ_EXP_ENTRIES - 1);
    for (int i = 0; i < 256; i++) exponentials[i] = table[below[i]];
}

VZ_EVERY_CPU void vz_decoder_run(const vz_decoder *d, vz_workspace *w, const vz_position *at, int count,
                                 int32_t *exponentials) {
    const int width = d->width, padded = VZ_PADDED(width), wide = VZ_PADDED(hidden(d));
    look_up(d, at, w->found, count);
    linear(d->path, &d->features, w->found, w->x, count);
    for (int p = 0; p < count; p++) add_byte(w->x + p * padded, d->byte + at[p].seen * width, width);
    for (int i = 0; i < d->layers; i++) {
        const vz_layer *layer = &d->layer[i];
        modulate(d, at, 2 * i, w->x, w->a, count);
        linear(d->path, &layer->gates, w->a, w->y, count);
        recur(d, i, at, w->y, w->a, count);
        linear(d->path, &layer->out, w->a, w->y, count);
        add(w->x, w->y, count * padded);
        modulate(d, at, 2 * i + 1, w->x, w->a, count);
        linear(d->path, &layer->up, w->a, w->y, count);
        relu(w->y, w->wide, count * wide);
        linear(d->path, &layer->down, w->wide, w->y, count);
        add(w->x, w->y, count * padded);
    }
    modulate(d, at, 2 * d->layers, w->x, w->a, count);
    linear(d->path, &d->head, w->a, w->y, count);
    for (int p = 0; p < count; p++) exponentiate(d->exp, w->y + 256 * p, exponentials + 256 * p);
}
