/* The passes over memory that training makes between its matrix products, forwards and backwards.
 *
 * Arrays are (T, B, H), time first, or (T, B, 3 H) for gates; those of type void hold float, or bfloat16 if
 * `bf16` is set. Floating-point arithmetic: training need not be exact. */
#ifndef VZ_PASSES_H
#define VZ_PASSES_H

#include <stdint.h>

typedef struct {
    int64_t steps, lanes, width; /* T, B, H; width at most VZ_MAX_WIDTH */
    int bf16;
} vz_shape;

/* h_t = f_t h_(t-1) + (1 - f_t) c_t, out_t = o_t h_t, with f, c, o = gates of u; h0: (B, H). */
void vz_recurrence_forward(const vz_shape *s, const void *u, const float *h0, float *states, void *out);

/* From the gradients of out and of the last state, which `carry` (B, H) holds, those of u and, in `carry`, of h0. */
void vz_recurrence_backward(const vz_shape *s, const void *u, const float *h0, const float *states,
                            const void *out_gradient, float *carry, void *gradient);

/* sum = x + change, y = scale sum / rms(sum) + shift; scale, shift: (B, H). */
void vz_add_and_modulate_forward(const vz_shape *s, const float *x, const void *change, const float *scale,
                                 const float *shift, float *sum, void *y);

/* From the gradients of sum and y those of x and of change, which are equal; those of scale and shift are added to. */
void vz_add_and_modulate_backward(const vz_shape *s, const float *sum, const float *scale, const float *sum_gradient,
                                  const void *y_gradient, float *x_gradient, void *change_gradient,
                                  float *scale_gradient, float *shift_gradient);

/* -log softmax(logits)[target] in nats, and log sum exp(logits), of T B rows of 256 logits. */
void vz_loss_forward(const vz_shape *s, const void *logits, const int64_t *target, float *nats, float *total);

void vz_loss_backward(const vz_shape *s, const void *logits, const int64_t *target, const float *total,
                      const float *nats_gradient, void *gradient);

#endif
