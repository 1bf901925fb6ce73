#include "evidence.h"

#include <stdlib.h>
#include <string.h>

vz_evidence *vz_evidence_new(uint32_t size) {
    vz_evidence *e = calloc(1, sizeof *e);
    if (e && !vz_history_init(&e->history, size)) {
        vz_evidence_free(e);
        return NULL;
    }
    return e;
}

vz_evidence *vz_evidence_copy(const vz_evidence *from, uint32_t more) {
    vz_evidence *e = calloc(1, sizeof *e);
    if (e && !vz_history_copy(&e->history, &from->history, more)) {
        vz_evidence_free(e);
        return NULL;
    }
    return e;
}

void vz_evidence_free(vz_evidence *e) {
    if (!e) return;
    vz_history_free(&e->history);
    if (e->journal) vz_journal_free(e->journal);
    free(e->journal);
    free(e->marked);
    free(e);
}

void vz_evidence_begin_nibble(vz_evidence *e, vz_journal *j) {
    vz_history_begin_nibble(&e->history, e->node, e->guess, j);
    e->order = 0;
    for (int i = 1; i < 6; i++) e->order += e->history.slots[i]->state[0] != 0;
}

/* The first of the largest of 256 values. */
VZ_INLINE int largest(const int32_t *restrict x) {
    int32_t most = 0, first = 256;
    for (int i = 0; i < 256; i++) most = x[i] > most ? x[i] : most;
    for (int i = 0; i < 256; i++) {
        int32_t at = x[i] == most ? i : 256;
        first = at < first ? at : first;
    }
    return first;
}

VZ_INLINE void pair_up(uint32_t *restrict sums, const uint32_t *restrict below, int n) {
    for (int i = 0; i < n; i++) sums[i] = below[2 * i] + below[2 * i + 1];
}

VZ_EVERY_CPU static void plant(vz_evidence *e, const int32_t *restrict exponentials) {
    uint32_t *restrict leaves = e->tree + 256;
    int32_t others[256];
    for (int i = 0; i < 256; i++) {
        others[i] = exponentials[i] + 1;
        leaves[i] = (uint32_t)others[i];
    }
    e->guess[0] = largest(others);
    others[e->guess[0]] = 0;
    e->guess[1] = largest(others);
    for (int n = 128; n > 1; n /= 2) pair_up(e->tree + n, e->tree + 2 * n, n);
}

static const uint8_t byte_share_limits[] = {20, 40, 80, 128, 192, 230, 250};

/* 0 to 63: small letters one by one, capitals, digits, blanks; others by their lower bits, or upper ones above 127. */
static int byte_kind(int byte) {
    switch (vz_shape_class(byte)) {
        case 'a': return byte - 'a';
        case 'A': return 26;
        case '0': return 27;
        case ' ': return 28;
        case '\n': return 29;
        case 128: return 32 + (byte >> 3 & 15);
        default: return 48 + (byte & 15);
    }
}

void vz_evidence_begin(vz_evidence *e, const int32_t *exponentials) {
    plant(e, exponentials);
    uint64_t total = (uint64_t)e->tree[2] + e->tree[3]; /* 2^32 and more, if all bytes are equally likely */
    uint32_t share = (uint32_t)(((uint64_t)e->tree[256 + e->guess[0]] << 8) / total);
    for (e->byte_share = 0; e->byte_share < VZ_BYTE_SHARES - 1 && share >= byte_share_limits[e->byte_share];)
        e->byte_share++;
    e->before = byte_kind((int)(e->history.recent >> 8 & 255));
    e->node = 1;
    e->depth = 0;
    vz_evidence_begin_nibble(e, e->journal ? vz_journal_ready(e->journal) : NULL);
}
