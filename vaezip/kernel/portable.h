/* Macros for what compilers spell differently: a function in several versions, of which the processor at hand gets the
 * best, and the like. */
#ifndef VZ_PORTABLE_H
#define VZ_PORTABLE_H

#include <limits.h> /* tells whether the C library is glibc, which can choose between versions of a function */
#include <stddef.h>

/* The choice is made while the library is loaded, when the thread sanitizer is not yet up. */
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__) &&                           \
    !defined(__SANITIZE_THREAD__)
#if __GNUC__ >= 12 /* older ones do not know these levels by name here */
#define VZ_EVERY_CPU __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define VZ_EVERY_CPU __attribute__((target_clones("avx512f", "avx2", "default")))
#endif
#else
#define VZ_EVERY_CPU
#endif

/* For what such a function calls, which has to be inlined into every version. */
#if defined(__GNUC__)
#define VZ_INLINE static inline __attribute__((always_inline))
#else
#define VZ_INLINE static inline
#endif

/* An index, such that the compiler makes no vectors of the loop around it. */
VZ_INLINE size_t vz_scalar(size_t i) {
#if defined(__GNUC__)
    __asm__("" : "+r"(i));
#endif
    return i;
}

/* Where the k-th of four 16-bit elements lies in a 64-bit integer that they were loaded to. */
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define VZ_LANE(k) (48 - 16 * (k))
#else
#define VZ_LANE(k) (16 * (k))
#endif

/* Before a loop of at most 32 steps: writes them out, so that every index is a constant. */
#if defined(__clang__)
#define VZ_UNROLL _Pragma("clang loop unroll(full)")
#elif defined(__GNUC__)
#define VZ_UNROLL _Pragma("GCC unroll 32")
#else
#define VZ_UNROLL
#endif

/* Asks for memory before it is needed. */
#if defined(__GNUC__)
#define VZ_PREFETCH(address) __builtin_prefetch(address)
#else
#define VZ_PREFETCH(address) ((void)(address))
#endif

#endif
