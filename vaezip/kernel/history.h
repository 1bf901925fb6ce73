/* The block so far: its contexts, the bit histories met in them, and its last matches; twin of mixing/history.py. */
#ifndef VZ_HISTORY_H
#define VZ_HISTORY_H

#include "arithmetic.h"
#include "journal.h"
#include "mixer.h"

#define VZ_LONGEST_MATCH 400
#define VZ_MANY_FIELDS 256

/* The bit histories of the 15 nodes of a nibble after one context. */
typedef struct {
    uint8_t tag; /* 0: free */
    uint8_t state[15];
} vz_slot;

/* A match: the last place where the bytes before it are those that the block now ends with. */
typedef struct {
    uint32_t *ends;            /* by hash: where the same bytes ended last, 0 for nowhere */
    uint32_t position, length; /* of the byte that should come; bytes that agreed before it, 0 if there is no match */
} vz_match;

typedef struct {
    uint8_t *text;
    uint32_t position;
    uint64_t recent, shape;        /* newest byte, or run of a class of bytes, lowest */
    vz_match match[VZ_MATCHES];    /* for the byte to come */
    vz_slot *slots[VZ_HISTORIES];  /* for the nibble to come */

    int bits; /* of the number of slots per context, and of matches' ends */
    vz_slot *tables; /* all slots, context by context, in `memory` */
    void *memory;
    uint64_t context[VZ_HISTORIES];

    uint64_t word[3], item;      /* hashes of the word so far, and those before; of the item so far */
    uint64_t line_word;          /* the line's first word, 0 before its end */
    int word_length;
    uint32_t line, line_before;  /* where the line begins, and the one above */
    int indent, indent_before;   /* blanks that they begin with */
    int first, fields, separator; /* of the line: first byte, number of separators, the last one */
    int fields_before;           /* of the line above: how many fields it has */
    uint32_t field_at[VZ_MANY_FIELDS], field_at_before[VZ_MANY_FIELDS]; /* where they begin, in this line and above */

    /* Last, since a journal keeps what changes of it, and of all before a copy. */
    uint16_t followers[1 << 16]; /* by the hash of three bytes: the two that came after them last */
} vz_history;

/* A history for a block of `size` bytes; 0 if there is no memory. `h` is zero before, and to be freed in any case. */
int vz_history_init(vz_history *h, uint32_t size);
/* A copy, between two bytes, with room for `more` of them; else as above. */
int vz_history_copy(vz_history *h, const vz_history *from, uint32_t more);
void vz_history_free(vz_history *h);

/* Begins a nibble. `node` is the bits of its byte so far, with a leading 1; `guess` the network's best and second best
 * byte. The journal, which may be NULL here and below, keeps what changes in the tables, and what the nibble will
 * change in its slots. */
void vz_history_begin_nibble(vz_history *h, int node, const int *guess, vz_journal *j);
/* Asks for the memory of the second nibble of a byte that has begun, and that probably is this one. */
void vz_history_expect(const vz_history *h, int byte);
void vz_history_push(vz_history *h, int byte, vz_journal *j);

VZ_INLINE uint64_t vz_hash64(uint64_t x) {
    x *= MIX;
    x ^= x >> 32;
    return x * PRIME;
}

/* Digits, small and capital letters and bytes above 127 are one class each; other bytes their own. */
VZ_INLINE int vz_shape_class(int byte) {
    if (byte >= '0' && byte <= '9') return '0';
    if (byte >= 'a' && byte <= 'z') return 'a';
    if (byte >= 'A' && byte <= 'Z') return 'A';
    return byte >= 128 ? 128 : byte;
}

#endif
