#include "ans.h"

#include <stdlib.h>
#include <string.h>

#define PRECISION 24
#define FULL (UINT64_C(1) << 32) /* a state this large or larger needs no further word */

struct vz_ans {
    uint64_t state;
    uint32_t *words; /* below the state */
    size_t count, room;
};

static void refill(vz_ans *s) {
    if (s->state < FULL && s->count) s->state = s->state << 32 | s->words[--s->count];
}

vz_ans *vz_ans_new(const uint32_t *words, uint32_t count) {
    vz_ans *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    s->count = count;
    s->room = (size_t)count + 64;
    s->words = malloc(s->room * sizeof *s->words);
    if (!s->words) {
        free(s);
        return NULL;
    }
    memcpy(s->words, words, count * sizeof *words);
    refill(s);
    refill(s);
    return s;
}

void vz_ans_free(vz_ans *s) {
    if (!s) return;
    free(s->words);
    free(s);
}

/* Room for `more` words. */
static int grow(vz_ans *s, size_t more) {
    if (s->room - s->count >= more) return 1;
    size_t room = 2 * s->room + more;
    uint32_t *words = realloc(s->words, room * sizeof *words);
    if (!words) return 0;
    s->words = words;
    s->room = room;
    return 1;
}

int vz_ans_push(vz_ans *s, const int32_t *intervals, uint32_t count) {
    if (!grow(s, count)) return 0; /* a symbol appends one word at most */
    for (size_t i = count; i-- > 0;) {
        uint32_t below = (uint32_t)intervals[2 * i], width = (uint32_t)intervals[2 * i + 1];
        if (s->state >> (64 - PRECISION) >= width) {
            s->words[s->count++] = (uint32_t)s->state;
            s->state >>= 32;
        }
        s->state = (s->state / width << PRECISION) + below + s->state % width;
    }
    return 1;
}

int32_t vz_ans_quantile(const vz_ans *s) { return (int32_t)(s->state & ((1 << PRECISION) - 1)); }

int vz_ans_pop(vz_ans *s, const int32_t *intervals, uint32_t count) {
    for (; count; count--, intervals += 2) {
        int32_t offset = vz_ans_quantile(s) - intervals[0], width = intervals[1];
        if (offset < 0 || offset >= width) return 0;
        s->state = (s->state >> PRECISION) * (uint32_t)width + (uint32_t)offset;
        refill(s);
    }
    return 1;
}

uint32_t vz_ans_size(const vz_ans *s) { return (uint32_t)s->count + (s->state > 0) + (s->state >= FULL); }

void vz_ans_words(const vz_ans *s, uint32_t *words) {
    memcpy(words, s->words, s->count * sizeof *words);
    if (s->state) words[s->count] = (uint32_t)s->state;
    if (s->state >= FULL) words[s->count + 1] = (uint32_t)(s->state >> 32);
}
