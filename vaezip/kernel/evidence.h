/* The evidence that all mixers of a block share: the network's probabilities, and the block so far. */
#ifndef VZ_EVIDENCE_H
#define VZ_EVIDENCE_H

#include "history.h"
#include "journal.h"

struct vz_evidence {
    vz_history history;
    uint32_t tree[512]; /* sums of exponentials: node n > 1 has children 2n and 2n + 1; below 2^31 + 2^8 */
    int guess[2];       /* the network's best and second best byte */
    int byte_share;     /* the class of the best byte's probability, 0 to 7 */
    int order;          /* how many of the contexts of orders 1, 2, 3, 4 and 6 have come before */
    int before;         /* the kind of the byte before the last, 0 to 63 */
    int node;           /* the bits of this byte so far, with a leading 1 */
    int depth;          /* how many they are */

    vz_journal *journal;  /* since the mark; NULL if there is none */
    uint8_t *marked;      /* the history's beginning, up to what the journal keeps; NULL if there is no mark */
};

/* The evidence of a block of `size` bytes; or a copy of another's, between two bytes, with room for `more`. NULL if
 * there is no memory. */
vz_evidence *vz_evidence_new(uint32_t size);
vz_evidence *vz_evidence_copy(const vz_evidence *e, uint32_t more);
void vz_evidence_free(vz_evidence *e);

/* Begins a byte, with the network's exponentials, int32 (256,). */
void vz_evidence_begin(vz_evidence *e, const int32_t *exponentials);
void vz_evidence_begin_nibble(vz_evidence *e, vz_journal *j);

/* Marks the state, between two bytes; what changes from here on is kept in a journal of so many bytes at most. 0 if
 * there is no memory. */
int vz_evidence_mark(vz_evidence *e, size_t limit);
/* Goes back to the mark, which stays, between two bytes. 0 if the journal could not keep everything. */
int vz_evidence_rewind(vz_evidence *e);

#endif
