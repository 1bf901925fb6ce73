#include "contexts.h"

#include "arithmetic.h"

#include <string.h>

#define TAG_BITS 8

/* The summand of a byte in the rolling hash of its word; 0 outside words. */
static uint64_t word_value(uint8_t byte) {
    if (byte >= 'A' && byte <= 'Z') return (uint64_t)byte + 33;
    int inside = (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') || byte >= 128;
    return inside ? (uint64_t)byte + 1 : 0;
}

void vz_context_state_push(vz_context_state *c, const vz_tables *t, uint8_t byte) {
    uint64_t value = word_value(byte);
    if (!value && c->word[0]) memmove(c->word + 1, c->word, (size_t)t->words * sizeof *c->word);
    c->word[0] = value ? (c->word[0] + value) * PRIME : 0;
    c->recent = c->recent << 8 | byte;
}

static int64_t row(const vz_tables *t, int table, uint64_t key) {
    key = (key + (uint64_t)(table + 1) * SALT) * MIX;
    key ^= key >> 32;
    key *= PRIME;
    uint64_t slot = key >> (64 - t->bits[table] - TAG_BITS);
    int64_t tag = slot & ((1 << TAG_BITS) - 1);
    tag += !tag;
    int64_t own = t->offset[table] + (int64_t)(slot >> TAG_BITS);
    return t->tags[own] == tag ? own : t->offset[table] + tag;
}

void vz_context_state_rows(const vz_context_state *c, const vz_tables *t, int64_t *rows) {
    for (int i = 0; i < t->order_count; i++) rows[i] = row(t, i, c->recent & ((UINT64_C(1) << 8 * t->order[i]) - 1));
    int inside = c->word[0] != 0;
    const uint64_t *newest = c->word + !inside;
    uint64_t key = inside ? 0 : (c->recent & 255) + 1;
    for (int k = 0; k < t->words; k++) {
        key = key * SALT + newest[k];
        rows[t->order_count + k] = row(t, t->order_count + k, key);
    }
}
