#include "passes.h"

#include <math.h>
#include <string.h>

#include "decoder.h"
#include "portable.h"

#define SYMBOLS 256
#define EPSILON 1.1920929e-7f /* torch.nn.functional.rms_norm's */

VZ_INLINE void load(float *to, const void *from, int64_t at, int64_t n, int bf16) {
    if (!bf16) {
        memcpy(to, (const float *)from + at, (size_t)n * sizeof *to);
        return;
    }
    const uint16_t *half = (const uint16_t *)from + at;
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits = (uint32_t)half[i] << 16;
        memcpy(to + i, &bits, sizeof bits);
    }
}

VZ_INLINE void store(void *to, int64_t at, const float *from, int64_t n, int bf16) {
    if (!bf16) {
        memcpy((float *)to + at, from, (size_t)n * sizeof *from);
        return;
    }
    uint16_t *half = (uint16_t *)to + at;
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, from + i, sizeof bits);
        half[i] = (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16); /* to nearest, ties to even */
    }
}

/* 2^(x log2(e)), x of any size, or NaN; no branches, so that loops of it become vector instructions. Relative error
 * below 3e-6 from 2^-126 to 2^127, which what lies beyond becomes. */
VZ_INLINE float exponential(float x) {
    const float to_integer = 12582912.0f; /* 1.5 * 2^23: adding it leaves no bits for a fraction */
    float y = x * 1.44269504f, shifted, r, power;
    y = y < -126.0f ? -126.0f : y;
    y = y > 127.0f ? 127.0f : y;
    shifted = y + to_integer;
    r = y - (shifted - to_integer);
    uint32_t bits; /* without a sign: a NaN's overflow, and do not matter */
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits - 0x4B400000 + 127) << 23;
    memcpy(&power, &bits, sizeof power);
    return power *
           (1.0f + r * (0.69314718f + r * (0.24022651f + r * (0.05550411f + r * (0.00961813f + r * 0.00133336f)))));
}

VZ_INLINE void activate(float *gates, int64_t width) {
    float *f = gates, *c = gates + width, *o = gates + 2 * width;
    for (int64_t i = 0; i < width; i++) f[i] = 1.0f / (1.0f + exponential(-f[i]));
    for (int64_t i = 0; i < width; i++) c[i] = 2.0f / (1.0f + exponential(-2.0f * c[i])) - 1.0f;
    for (int64_t i = 0; i < width; i++) o[i] = 1.0f / (1.0f + exponential(-o[i]));
}

VZ_EVERY_CPU void vz_recurrence_forward(const vz_shape *s, const void *u, const float *h0, float *states, void *out) {
    const int64_t width = s->width;
    float gates[3 * VZ_MAX_WIDTH], y[VZ_MAX_WIDTH];
    for (int64_t row = 0; row < s->steps * s->lanes; row++) {
        const float *before = row < s->lanes ? h0 + row * width : states + (row - s->lanes) * width;
        float *h = states + row * width;
        load(gates, u, 3 * row * width, 3 * width, s->bf16);
        activate(gates, width);
        const float *f = gates, *c = gates + width, *o = gates + 2 * width;
        for (int64_t i = 0; i < width; i++) {
            h[i] = before[i] + (1.0f - f[i]) * (c[i] - before[i]);
            y[i] = o[i] * h[i];
        }
        store(out, row * width, y, width, s->bf16);
    }
}

VZ_EVERY_CPU void vz_recurrence_backward(const vz_shape *s, const void *u, const float *h0, const float *states,
                                         const void *out_gradient, float *carry, void *gradient) {
    const int64_t width = s->width;
    float gates[3 * VZ_MAX_WIDTH], g[VZ_MAX_WIDTH], du[3 * VZ_MAX_WIDTH];
    for (int64_t row = s->steps * s->lanes - 1; row >= 0; row--) {
        const float *before = row < s->lanes ? h0 + row * width : states + (row - s->lanes) * width;
        const float *h = states + row * width;
        float *gh = carry + row % s->lanes * width;
        load(gates, u, 3 * row * width, 3 * width, s->bf16);
        load(g, out_gradient, row * width, width, s->bf16);
        activate(gates, width);
        const float *f = gates, *c = gates + width, *o = gates + 2 * width;
        for (int64_t i = 0; i < width; i++) {
            float total = gh[i] + g[i] * o[i];
            du[i] = (before[i] - c[i]) * total * f[i] * (1.0f - f[i]);
            du[width + i] = total * (1.0f - f[i]) * (1.0f - c[i] * c[i]);
            du[2 * width + i] = g[i] * h[i] * o[i] * (1.0f - o[i]);
            gh[i] = total * f[i];
        }
        store(gradient, 3 * row * width, du, 3 * width, s->bf16);
    }
}

/* The sum of n products, in 16 parts so that it vectorises; n is at most VZ_MAX_WIDTH. */
VZ_INLINE float dot(const float *a, const float *b, int64_t n) {
    float part[16] = {0}, sum = 0;
    int64_t i = 0;
    for (; i + 16 <= n; i += 16)
        for (int j = 0; j < 16; j++) part[j] += a[i + j] * b[i + j];
    for (; i < n; i++) sum += a[i] * b[i];
    for (int j = 0; j < 16; j++) sum += part[j];
    return sum;
}

VZ_EVERY_CPU void vz_add_and_modulate_forward(const vz_shape *s, const float *x, const void *change, const float *scale,
                                              const float *shift, float *sum, void *y) {
    const int64_t width = s->width;
    float now[VZ_MAX_WIDTH], out[VZ_MAX_WIDTH];
    for (int64_t row = 0; row < s->steps * s->lanes; row++) {
        const float *lane_scale = scale + row % s->lanes * width, *lane_shift = shift + row % s->lanes * width;
        load(now, change, row * width, width, s->bf16);
        for (int64_t i = 0; i < width; i++) now[i] += x[row * width + i];
        memcpy(sum + row * width, now, (size_t)width * sizeof *now);
        float inverse = 1.0f / sqrtf(dot(now, now, width) / (float)width + EPSILON);
        for (int64_t i = 0; i < width; i++) out[i] = now[i] * inverse * lane_scale[i] + lane_shift[i];
        store(y, row * width, out, width, s->bf16);
    }
}

VZ_EVERY_CPU void vz_add_and_modulate_backward(const vz_shape *s, const float *sum, const float *scale,
                                               const float *sum_gradient, const void *y_gradient, float *x_gradient,
                                               void *change_gradient, float *scale_gradient, float *shift_gradient) {
    const int64_t width = s->width;
    float g[VZ_MAX_WIDTH], normal[VZ_MAX_WIDTH];
    for (int64_t row = 0; row < s->steps * s->lanes; row++) {
        const float *lane_scale = scale + row % s->lanes * width, *x = sum + row * width;
        float *to_scale = scale_gradient + row % s->lanes * width, *to_shift = shift_gradient + row % s->lanes * width;
        float inverse = 1.0f / sqrtf(dot(x, x, width) / (float)width + EPSILON);
        load(g, y_gradient, row * width, width, s->bf16);
        for (int64_t i = 0; i < width; i++) {
            normal[i] = x[i] * inverse;
            to_scale[i] += g[i] * normal[i];
            to_shift[i] += g[i];
            g[i] *= lane_scale[i];
        }
        float along = dot(g, normal, width) / (float)width;
        for (int64_t i = 0; i < width; i++) g[i] = inverse * (g[i] - along * normal[i]) + sum_gradient[row * width + i];
        memcpy(x_gradient + row * width, g, (size_t)width * sizeof *g);
        store(change_gradient, row * width, g, width, s->bf16);
    }
}

VZ_EVERY_CPU void vz_loss_forward(const vz_shape *s, const void *logits, const int64_t *target, float *nats,
                                  float *total) {
    float x[SYMBOLS];
    for (int64_t row = 0; row < s->steps * s->lanes; row++) {
        load(x, logits, row * SYMBOLS, SYMBOLS, s->bf16);
        float part[16], highest, sum = 0, target_logit = x[target[row]];
        for (int j = 0; j < 16; j++) part[j] = x[j];
        for (int i = 16; i < SYMBOLS; i += 16)
            for (int j = 0; j < 16; j++) part[j] = x[i + j] > part[j] ? x[i + j] : part[j];
        highest = part[0];
        for (int j = 1; j < 16; j++) highest = part[j] > highest ? part[j] : highest;
        for (int i = 0; i < SYMBOLS; i++) x[i] = exponential(x[i] - highest);
        for (int j = 0; j < 16; j++) part[j] = 0;
        for (int i = 0; i < SYMBOLS; i += 16)
            for (int j = 0; j < 16; j++) part[j] += x[i + j];
        for (int j = 0; j < 16; j++) sum += part[j];
        total[row] = highest + logf(sum);
        nats[row] = total[row] - target_logit;
    }
}

VZ_EVERY_CPU void vz_loss_backward(const vz_shape *s, const void *logits, const int64_t *target, const float *total,
                                   const float *nats_gradient, void *gradient) {
    float x[SYMBOLS];
    for (int64_t row = 0; row < s->steps * s->lanes; row++) {
        load(x, logits, row * SYMBOLS, SYMBOLS, s->bf16);
        for (int i = 0; i < SYMBOLS; i++) x[i] = exponential(x[i] - total[row]) * nats_gradient[row];
        x[target[row]] -= nats_gradient[row];
        store(gradient, row * SYMBOLS, x, SYMBOLS, s->bf16);
    }
}
