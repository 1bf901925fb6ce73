/* The decoder of the range coder (vaezip/messages/range_coder.py). */
#ifndef VZ_RANGE_H
#define VZ_RANGE_H

#include <stdint.h>

typedef struct {
    uint64_t code;        /* the number that is left, less the low end of its interval */
    uint64_t range;       /* how wide that is: 2^56 at least */
    const uint8_t *data;  /* zeros follow it */
    uint32_t size, at;    /* bytes of data; of these, and of what follows, in `code` already */
} vz_range;

/* The number below 2^24 that tells in which interval the next symbol lies. */
int32_t vz_range_quantile(const vz_range *r);
/* Takes off the symbol with that interval; 0, and nothing is done, if the quantile is outside. */
int vz_range_pop(vz_range *r, int32_t below, int32_t width);

#endif
