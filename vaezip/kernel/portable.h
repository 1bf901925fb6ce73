/* What compilers have different words for; and a function in several versions, of which the processor gets the best. */
#ifndef VZ_PORTABLE_H
#define VZ_PORTABLE_H

#include <stdint.h>

/* The choice is made while the library is loaded, when the thread sanitizer is not yet up. */
#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_THREAD__)
#define VZ_EVERY_CPU __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define VZ_EVERY_CPU
#endif

/* What a function in several versions calls has to be part of it. */
#if defined(__GNUC__)
#define VZ_INLINE static inline __attribute__((always_inline))
#else
#define VZ_INLINE static inline
#endif

/* Ask for memory before it is needed. */
#if defined(__GNUC__)
#define VZ_PREFETCH(address) __builtin_prefetch(address)
#else
#define VZ_PREFETCH(address) ((void)(address))
#endif

VZ_INLINE int vz_bit_length(uint64_t x) {
    int length = 0;
    for (int step = 32; step; step >>= 1)
        if (x >> step) {
            x >>= step;
            length += step;
        }
    return length + (int)x;
}

#endif
