#include "contexts.h"

#include "arithmetic.h"

#include <string.h>

#define TAG_BITS 8
#define TAG_MASK ((1 << TAG_BITS) - 1)

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

/* A key's row in a table and its tag, row * 256 + tag. */
static int64_t slot(const vz_tables *t, int table, uint64_t key) {
    key = (key + (uint64_t)(table + 1) * SALT) * MIX;
    key ^= key >> 32;
    key *= PRIME;
    int64_t slot = (int64_t)(key >> (64 - t->bits[table] - TAG_BITS));
    VZ_PREFETCH(t->tags + t->offset[table] + (slot >> TAG_BITS));
    return slot + !(slot & TAG_MASK);
}

void vz_context_state_slots(const vz_context_state *c, const vz_tables *t, int64_t *slots) {
    for (int i = 0; i < t->order_count; i++) slots[i] = slot(t, i, c->recent & ((UINT64_C(1) << 8 * t->order[i]) - 1));
    int inside = c->word[0] != 0;
    const uint64_t *newest = c->word + !inside;
    uint64_t key = inside ? 0 : (c->recent & 255) + 1;
    for (int k = 0; k < t->words; k++) {
        key = key * SALT + newest[k];
        slots[t->order_count + k] = slot(t, t->order_count + k, key);
    }
}

void vz_find_rows(const vz_tables *t, int64_t *slots) {
    for (int i = 0; i < t->order_count + t->words; i++) {
        const int64_t own = t->offset[i] + (slots[i] >> TAG_BITS), tag = slots[i] & TAG_MASK;
        slots[i] = t->tags[own] == tag ? own : t->offset[i] + tag;
    }
}
