/* The adaptive mixer: the network's probabilities and the block's own statistics give the interval of the next byte.
 * Integer arithmetic throughout; docs/mixer.md has the definition, mixing/mixer.py is the twin. */
#ifndef VZ_MIXER_H
#define VZ_MIXER_H

#include <stdint.h>

#define VZ_TOTAL 16777216                /* 2^24: what the intervals of bytes share out, but for its two ends */
#define VZ_HISTORIES 20                  /* contexts with bit histories */
#define VZ_MATCHES 2                     /* of a few bytes and more, and of many */
#define VZ_MATCH_LENGTHS 32              /* classes of match length */
#define VZ_STATES 256                    /* bit histories */

enum { VZ_INPUTS = 2 + VZ_MATCHES + VZ_HISTORIES }; /* network, bias, matches, histories; 32 at most */

/* How many values that has by which a row of weights is chosen (mixing/parameters.py). */
enum {
    VZ_NODES = 256,
    VZ_BYTES = 256,
    VZ_DEPTHS = 8,         /* bits of a byte that come before one of them: 0 to 7 */
    VZ_EXPECTED = 3,       /* the bit that the first match expects: none, zero, one */
    VZ_MATCH_CLASSES = 13, /* of the first match's length: 0 if it expects nothing, else 2 to 12 */
    VZ_ORDERS = 6,         /* how many of the contexts of orders 1, 2, 3, 4 and 6 have come before */
    VZ_NODE_MARGINS = 8,
    VZ_BYTE_SHARES = 8,
    VZ_FIELDS = 12,        /* separators in the line so far, the last value for all beyond */
    VZ_WORD_LENGTHS = 8,   /* letters of the word so far, likewise */
    VZ_BYTE_KINDS = 64
};

/* The first row of each set of weights, all of which see every bit; and of all sets together. */
enum {
    VZ_SET_NODE = 0,
    VZ_SET_MATCH = VZ_SET_NODE + VZ_NODES,
    VZ_SET_BYTE = VZ_SET_MATCH + VZ_MATCH_CLASSES * VZ_DEPTHS,
    VZ_SET_ORDER = VZ_SET_BYTE + VZ_BYTES * VZ_DEPTHS,
    VZ_SET_BYTE_SHARE = VZ_SET_ORDER + VZ_ORDERS * VZ_NODE_MARGINS * VZ_DEPTHS,
    VZ_SET_FIELD = VZ_SET_BYTE_SHARE + VZ_EXPECTED * VZ_ORDERS * VZ_BYTE_SHARES * VZ_NODE_MARGINS,
    VZ_SET_BEFORE = VZ_SET_FIELD + VZ_FIELDS * VZ_WORD_LENGTHS * VZ_DEPTHS,
    VZ_WEIGHT_ROWS = VZ_SET_BEFORE + VZ_BYTE_KINDS * VZ_DEPTHS,
    VZ_SETS = 7
};

/* Likewise of the final sets; the mean of four weighs the outputs of those above. */
enum {
    VZ_FINAL_MATCH = 0,
    VZ_FINAL_BYTE = VZ_FINAL_MATCH + VZ_MATCH_CLASSES * VZ_BYTE_SHARES,
    VZ_FINAL_NODE = VZ_FINAL_BYTE + VZ_BYTES,
    VZ_FINAL_BEFORE = VZ_FINAL_NODE + VZ_NODES,
    VZ_FINAL_ROWS = VZ_FINAL_BEFORE + VZ_BYTE_KINDS * VZ_DEPTHS,
    VZ_FINAL_SETS = 4
};

/* The tables of a model file, and one preset; the arrays belong to the caller. */
typedef struct {
    const int16_t *stretch;          /* (4096,) ln(p / (1 - p)), unit 1/256, p in units of 1/4096 */
    const int32_t *squash;           /* (4097,) its inverse: 16-bit probabilities of -8 ... 8 in steps of 1/256 */
    const int32_t *log;              /* (1025,) ln(1 + i / 1024), unit 2^-16 */
    const int32_t *rate;             /* (1024,) adaptation rates by count, unit 2^-16 */
    const uint8_t *next;             /* (256, 2) transitions of bit histories */
    const int32_t *learning;         /* (4,) rates, unit 2^-16: base, extra, its half-life in bytes, final */
    const int32_t *weights;          /* (VZ_WEIGHT_ROWS, VZ_INPUTS), unit 2^-16: of the preset, as all below */
    const int32_t *final_weights;    /* (VZ_FINAL_ROWS, VZ_SETS), unit 2^-16 */
    const uint32_t *history_map;     /* (VZ_HISTORIES, VZ_STATES) probability, 22 bits, and count, 10 bits */
    const uint32_t *match_map;       /* (VZ_MATCHES, VZ_MATCH_LENGTHS) probability that it is right, and count */
} vz_mixer_model;

/* The evidence that all mixers of a block share (evidence.h). */
typedef struct vz_evidence vz_evidence;
typedef struct vz_mixer vz_mixer;

/* NULL if there is no memory. */
vz_mixer *vz_mixer_new(const vz_mixer_model *model);
vz_mixer *vz_mixer_copy(const vz_mixer *m);
void vz_mixer_free(vz_mixer *m);

/* Marks the state, to come back to it; 0 if there is no memory. */
int vz_mixer_mark(vz_mixer *m);
/* Goes back to the mark, which stays. */
void vz_mixer_rewind(vz_mixer *m);

/* The interval of the byte that the evidence has begun, where it begins and how wide it is, by a mixer that then learns
 * from the byte. Those of the 256 values share out 1 ... VZ_TOTAL - 2. */
/* For a known byte, by `count` mixers, at least one, whose models differ in weights and maps alone: (count, 2). */
void vz_mixers_intervals(vz_mixer *const *mixers, int count, vz_evidence *e, uint8_t byte, int32_t *intervals);
/* For the byte whose interval holds `quantile`, or the nearest, which is returned: (2,). */
uint8_t vz_mixer_symbol(vz_mixer *m, vz_evidence *e, int32_t quantile, int32_t *interval);

/* The widths, (256,), that the intervals of all values of the byte that the evidence has begun would have. Leaves
 * everything as it was. 0 if there is no memory. */
int vz_mixer_distribution(vz_mixer *m, vz_evidence *e, int32_t *widths);

/* Copies what the mixer has learned so far, in the shapes of vz_mixer_model. */
void vz_mixer_learned(const vz_mixer *m, int32_t *weights, int32_t *final_weights, uint32_t *history_map,
                      uint32_t *match_map);

#endif
