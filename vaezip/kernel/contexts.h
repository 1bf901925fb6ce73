/* The hashed contexts of the network's tables; twin of network/contexts.py. */
#ifndef VZ_CONTEXTS_H
#define VZ_CONTEXTS_H

#include <stdint.h>

#include "decoder.h"

#define VZ_MAX_WORDS 4 /* as network/architecture.py has it */

typedef struct {
    int order_count, words;
    uint8_t order[VZ_MAX_CONTEXTS], bits[VZ_MAX_CONTEXTS];
    int64_t offset[VZ_MAX_CONTEXTS];
    const uint8_t *tags;
} vz_tables;

typedef struct {
    uint64_t recent;                 /* the last eight bytes, newest lowest */
    uint64_t word[VZ_MAX_WORDS + 1]; /* [0] is the word so far */
} vz_context_state;

void vz_context_state_push(vz_context_state *c, const vz_tables *t, uint8_t byte);
/* The slots of all tables for the byte to come; asks for the memory of what vz_find_rows will read of them. */
void vz_context_state_slots(const vz_context_state *c, const vz_tables *t, int64_t *slots);
/* Rows in the place of slots. */
void vz_find_rows(const vz_tables *t, int64_t *slots);

#endif
