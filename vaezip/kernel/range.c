#include "range.h"

#define PRECISION 24
#define LAST ((1 << PRECISION) - 1)
#define LEAST (UINT64_C(1) << 56)

int32_t vz_range_quantile(const vz_range *r) {
    uint64_t quantile = r->code / (r->range >> PRECISION);
    return quantile < LAST ? (int32_t)quantile : LAST;
}

int vz_range_pop(vz_range *r, int32_t below, int32_t width) {
    int32_t offset = vz_range_quantile(r) - below;
    if (offset < 0 || offset >= width) return 0;
    uint64_t unit = r->range >> PRECISION;
    r->code -= unit * (uint32_t)below;
    for (r->range = unit * (uint32_t)width; r->range < LEAST; r->range <<= 8, r->at++)
        r->code = r->code << 8 | (r->at < r->size ? r->data[r->at] : 0);
    return 1;
}
