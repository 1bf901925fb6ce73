#include "decoder.h"

#include <stdlib.h>
#include <string.h>

#include "arithmetic.h"

#define VALUE_BITS 15
#define STATE_BITS 24
#define MODULATION_SHIFT 19
#define OUT_SHIFT 20
#define CACHE_LINE 64
#define USUAL_DIM 16 /* of tables; to move a known number of bytes takes no call */

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

VZ_INLINE void multiply(const vz_decoder *d, const vz_linear *l, const int8_t *a, int32_t *y, int count) {
    d->path->multiply(y, &l->matrix, a, count);
}

/* What makes outputs of a layer's products, as local variables: so that a compiler knows that none of it changes while
 * outputs are written. */
#define SCALES_OF(layer)                                                                                               \
    const int32_t *restrict multiplier = (layer)->multiplier, *restrict bias = (layer)->bias;                          \
    const int pre = (layer)->pre, shift = (layer)->shift
#define SCALED(product, i) ((((product) >> pre) * multiplier[i] + bias[i]) >> shift)

VZ_INLINE const int8_t *row(const vz_decoder *d, const vz_position *at, int context) {
    return d->tables + (size_t)at->rows[context] * (size_t)d->table_dim;
}

VZ_INLINE void look_up(const vz_decoder *d, const vz_position *at, int8_t *found, int count) {
    const size_t dim = (size_t)d->table_dim, padded = (size_t)features(d);
    for (int p = 0; p < count; p++)
        for (int i = 0; i < d->contexts; i++) VZ_PREFETCH(row(d, at + p, i));
    for (int p = 0; p < count; p++, found += padded)
        for (int i = 0; i < d->contexts; i++)
            if (dim == USUAL_DIM)
                memcpy(found + (size_t)i * USUAL_DIM, row(d, at + p, i), USUAL_DIM);
            else
                memcpy(found + (size_t)i * dim, row(d, at + p, i), dim);
}

/* What is added to the residual stream; returns the sum of its squares. */
VZ_INLINE int64_t add(const vz_linear *l, const int32_t *restrict y, int32_t *restrict x) {
    SCALES_OF(l);
    const int n = l->outputs;
    int64_t squares = 0;
    for (int i = 0; i < n; i++) {
        x[i] += SCALED(y[i], i);
        squares += (int64_t)x[i] * x[i];
    }
    return squares;
}

/* Its beginning, likewise. */
VZ_INLINE int64_t embed(const vz_linear *l, const int32_t *restrict y, const int16_t *restrict byte,
                        int32_t *restrict x) {
    const int n = l->outputs;
    for (int i = 0; i < n; i++) x[i] = byte[i];
    return add(l, y, x);
}

VZ_INLINE void relu(const vz_linear *l, const int32_t *restrict y, int8_t *restrict a) {
    SCALES_OF(l);
    const int n = l->outputs;
    for (int i = 0; i < n; i++) a[i] = (int8_t)vz_clip(SCALED(y[i], i), 0, 127);
}

/* RMSNorm, then scale and shift of that site. No sum leaves 32 bits: |y| < 3 * 2^15 after the norm (its table is
 * checked for that, network/ops.py), |scale| < 2^14 and |shift| < 2^29. */
VZ_INLINE void modulate(const vz_decoder *d, const vz_position *at, int site, const int32_t *restrict x,
                        const int64_t *squares, int8_t *restrict a, int count) {
    const int width = d->width, padded = VZ_PADDED(width);
    for (int p = 0; p < count; p++, x += padded, a += padded) {
        const vz_modulation *modulation = at[p].modulation;
        const int32_t *restrict scale = modulation->scale + site * width;
        const int32_t *restrict shift = modulation->shift + site * width;
        const int64_t sum = squares[p] | 1;
        int half = (vz_bit_length((uint64_t)sum) + 1) / 2, twice = 2 * half - 10;
        int up = half < 15 ? 15 - half : 0, down = half > 15 ? half - 15 : 0;
        int32_t root = d->norm[twice < 0 ? sum << -twice : sum >> twice];
        for (int i = 0; i < width; i++) {
            int32_t y = ((int32_t)((uint32_t)x[i] << up) >> down) * root;
            y = (y + (1 << 12)) >> 13;
            a[i] = (int8_t)vz_clip((y * scale[i] + shift[i]) >> MODULATION_SHIFT, -127, 127);
        }
    }
}

/* y[i] = table[at[i]]. Four indices are loaded as one, since loads and stores are all that this takes its time for. */
VZ_INLINE void take(int32_t *restrict y, const int32_t *restrict table, const uint16_t *restrict at, int n) {
    int i = 0;
    for (; i + 4 <= n; i += 4) {
        uint64_t four;
        memcpy(&four, at + i, sizeof four);
        y[i] = table[four >> VZ_LANE(0) & 0xFFFF];
        y[i + 1] = table[four >> VZ_LANE(1) & 0xFFFF];
        y[i + 2] = table[four >> VZ_LANE(2) & 0xFFFF];
        y[i + 3] = table[four >> VZ_LANE(3) & 0xFFFF];
    }
    for (; i < n; i++) y[i] = table[at[i]];
}

/* The gates' values in place of their products, (3, width): f, c, o. A whole row before anything reads them: a vector
 * whose parts have only just been stored is slow to load. */
VZ_INLINE void gates(const vz_decoder *d, const vz_linear *l, int32_t *restrict u) {
    SCALES_OF(l);
    const int width = d->width;
    uint16_t at[3 * VZ_MAX_WIDTH];
    for (int i = 0; i < 3 * width; i++)
        at[i] = (uint16_t)vz_clip(SCALED(u[i], i) + VZ_GATE_ENTRIES / 2, 0, VZ_GATE_ENTRIES - 1);
    take(u, d->sigmoid, at, width);
    take(u + 2 * width, d->sigmoid, at + 2 * width, width);
    take(u + width, d->tanh, at + width, width);
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

VZ_INLINE void recur(const vz_decoder *d, int number, const vz_position *at, int32_t *u, int8_t *a, int count) {
    const vz_layer *layer = &d->layer[number];
    const int width = d->width;
    for (int p = 0; p < count; p++, u += layer->gates.matrix.outputs, a += VZ_PADDED(width)) {
        gates(d, &layer->gates, u);
        step(at[p].state + number * width, u, u + width, u + 2 * width, layer->out_scale, a, width);
    }
}

VZ_INLINE void exponentiate(const vz_decoder *d, int32_t *restrict logits, int32_t *restrict exponentials) {
    SCALES_OF(&d->head);
    int32_t highest = INT32_MIN;
    uint16_t below[256];
    for (int i = 0; i < 256; i++) {
        logits[i] = SCALED(logits[i], i);
        highest = logits[i] > highest ? logits[i] : highest;
    }
    for (int i = 0; i < 256; i++) below[i] = (uint16_t)vz_clip(highest - logits[i], 0, VZ_EXP_ENTRIES - 1);
    take(exponentials, d->exp, below, 256);
}

VZ_EVERY_CPU void vz_decoder_run(const vz_decoder *d, vz_workspace *w, const vz_position *at, int count,
                                 int32_t *exponentials) {
    const int width = d->width, padded = VZ_PADDED(width), wide = VZ_PADDED(hidden(d));
    int64_t squares[VZ_RUN];
    look_up(d, at, w->found, count);
    multiply(d, &d->features, w->found, w->y, count);
    for (int p = 0; p < count; p++)
        squares[p] = embed(&d->features, w->y + p * padded, d->byte + at[p].seen * width, w->x + p * padded);
    for (int i = 0; i < d->layers; i++) {
        const vz_layer *layer = &d->layer[i];
        modulate(d, at, 2 * i, w->x, squares, w->a, count);
        multiply(d, &layer->gates, w->a, w->y, count);
        recur(d, i, at, w->y, w->a, count);
        multiply(d, &layer->out, w->a, w->y, count);
        for (int p = 0; p < count; p++) squares[p] = add(&layer->out, w->y + p * padded, w->x + p * padded);
        modulate(d, at, 2 * i + 1, w->x, squares, w->a, count);
        multiply(d, &layer->up, w->a, w->y, count);
        for (int p = 0; p < count; p++) relu(&layer->up, w->y + p * wide, w->wide + p * wide);
        multiply(d, &layer->down, w->wide, w->y, count);
        for (int p = 0; p < count; p++) squares[p] = add(&layer->down, w->y + p * padded, w->x + p * padded);
    }
    modulate(d, at, 2 * d->layers, w->x, squares, w->a, count);
    multiply(d, &d->head, w->a, w->y, count);
    for (int p = 0; p < count; p++) exponentiate(d, w->y + 256 * p, exponentials + 256 * p);
}
