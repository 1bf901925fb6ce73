/* The ANS coder (vaezip/coder.py); docs/format.md, "The ANS stack", has the definition. */
#ifndef VZ_ANS_H
#define VZ_ANS_H

#include <stdint.h>

typedef struct vz_ans vz_ans;

/* Opens the stack that the words hold; the last of them is not 0. NULL if there is no memory. */
vz_ans *vz_ans_new(const uint32_t *words, uint32_t count);
void vz_ans_free(vz_ans *s);

/* Pushes intervals, (count, 2), where each begins, and how wide it is, the last one first. 0 if there is no memory. */
int vz_ans_push(vz_ans *s, const int32_t *intervals, uint32_t count);
/* The number below 2^24 that tells in which interval the next symbol lies. */
int32_t vz_ans_quantile(const vz_ans *s);
/* Takes off symbols with these intervals, (count, 2), the first one first; 0 as soon as a quantile is outside. */
int vz_ans_pop(vz_ans *s, const int32_t *intervals, uint32_t count);

/* The number of words that the stack takes, and these words. */
uint32_t vz_ans_size(const vz_ans *s);
void vz_ans_words(const vz_ans *s, uint32_t *words);

#endif
