/* Small functions of integers that network and mixer share; docs/network.md has the hash's constants. */
#ifndef VZ_ARITHMETIC_H
#define VZ_ARITHMETIC_H

#include <stdint.h>

#include "portable.h"

#define PRIME UINT64_C(0x9E3779B97F4A7C15)
#define MIX UINT64_C(0xD6E8FEB86659FD93)
#define SALT UINT64_C(0xA0761D6478BD642F)

VZ_INLINE int32_t vz_clip(int32_t x, int32_t low, int32_t high) { return x < low ? low : x > high ? high : x; }

VZ_INLINE int vz_bit_length(uint64_t x) {
#if defined(__GNUC__)
    return x ? 64 - __builtin_clzll(x) : 0;
#else
    int length = 0;
    for (int step = 32; step; step >>= 1)
        if (x >> step) {
            x >>= step;
            length += step;
        }
    return length + (int)x;
#endif
}

#endif
