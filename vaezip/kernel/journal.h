/* A journal: the values that memory had before it was changed, so that changes can be undone. */
#ifndef VZ_JOURNAL_H
#define VZ_JOURNAL_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "portable.h"

#define VZ_JOURNAL_ROOM 4096 /* bytes: more than a bit of a text, or the beginning of a nibble, takes */

typedef struct {
    uint8_t *bytes;          /* entries, one after the other: what was there, then where and how much */
    size_t size, capacity;   /* in bytes; capacity 0: nothing is kept */
    size_t limit;            /* the journal does not grow beyond it ... */
    int overrun;             /* ... but is lost from there on */
} vz_journal;

/* Begins a journal, which has 64 KB in any case; 0 if there is no memory. `j` is all zeros before, or a journal, which
 * is dropped. */
int vz_journal_init(vz_journal *j, size_t limit);
void vz_journal_free(vz_journal *j);
/* Makes room for VZ_JOURNAL_ROOM bytes; 0 if the journal is lost, now or before. */
int vz_journal_grow(vz_journal *j);

/* Undoes everything since the journal was `size` bytes long, the last change first. */
void vz_journal_rewind(vz_journal *j, size_t size);

/* The journal, if it has or gets that room; else NULL, and the journal is lost. To be called before each bit and
 * nibble. */
VZ_INLINE vz_journal *vz_journal_ready(vz_journal *j) {
    return j->capacity - j->size >= VZ_JOURNAL_ROOM || vz_journal_grow(j) ? j : NULL;
}

/* Keeps the value of memory that is about to change; `size` is a constant. `j` may be NULL. */
VZ_INLINE void vz_journal_keep(vz_journal *j, void *at, uint32_t size) {
    if (!j) return;
    uint8_t *end = j->bytes + j->size;
    memcpy(end, at, size);
    memcpy(end + size, &at, sizeof at);
    memcpy(end + size + sizeof at, &size, sizeof size);
    j->size += size + sizeof at + sizeof size;
}

#endif
