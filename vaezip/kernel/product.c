#define _DEFAULT_SOURCE /* syscall, where only standard C was asked for */
#include "product.h"

#include <string.h>

#include "portable.h"

#if (defined(__x86_64__) || defined(__i386__)) && (defined(__GNUC__) || defined(__clang__))
#define VZ_X86 1
#include <immintrin.h>
#if defined(__x86_64__) && defined(__linux__) && __GNUC__ >= 11 /* Linux has to be asked for tiles */
#define VZ_AMX 1
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif
#elif defined(__ARM_NEON) && defined(__aarch64__) && !defined(__AARCH64EB__) /* `four` counts on the byte order */
#define VZ_NEON 1
#include <arm_neon.h>
#if defined(__ARM_FEATURE_DOTPROD)
#define VZ_DOT
#elif defined(__linux__) && defined(__GNUC__) && !defined(__clang__)
#define VZ_DOT __attribute__((target("arch=armv8.2-a+dotprod")))
#include <sys/auxv.h>
#endif
#endif

static int everywhere(void) { return 1; }

static void pack_rows(vz_matrix *m, const int8_t *rows) {
    memcpy(m->weight, rows, (size_t)m->outputs * (size_t)m->inputs);
}

static void multiply_rows(int32_t *product, const vz_matrix *m, const int8_t *a, int count) {
    for (; count; count--, a += m->inputs) {
        const int8_t *w = m->weight;
        for (int o = 0; o < m->outputs; o++, w += m->inputs) {
            int32_t sum = 0;
            for (int i = 0; i < m->inputs; i++) sum += (int16_t)w[i] * (int16_t)a[i];
            *product++ = sum;
        }
    }
}

#if defined(VZ_X86) || defined(VZ_NEON)
/* Tile by tile of 16 outputs; in a tile, four inputs of each output side by side. */
static void pack_tiles(vz_matrix *m, const int8_t *rows) {
    int8_t *to = m->weight;
    for (int tile = 0; tile < m->outputs; tile += VZ_TILE)
        for (int i = 0; i < m->inputs; i += 4)
            for (int o = tile; o < tile + VZ_TILE; o++, to += 4)
                memcpy(to, rows + (size_t)o * (size_t)m->inputs + (size_t)i, 4);
}

VZ_INLINE int32_t four(const int8_t *a) {
    int32_t x;
    memcpy(&x, a, sizeof x);
    return x;
}
#endif

#ifdef VZ_X86
static int has_avx2(void) { return __builtin_cpu_supports("avx2"); }

#define AVX2 __attribute__((target("avx2")))

/* Which quads of a vector's elements, four side by side, are not all 0: a bit for each. */
AVX2 static void find_quads_avx2(uint64_t *quads, const int8_t *a, int inputs) {
    for (int i = 0; i < inputs; i += 16) {
        const __m128 zero =
            _mm_castsi128_ps(_mm_cmpeq_epi32(_mm_loadu_si128((const __m128i *)(a + i)), _mm_setzero_si128()));
        if (i % 256 == 0) quads[i / 256] = 0;
        quads[i / 256] |= (uint64_t)(~_mm_movemask_ps(zero) & 15) << i % 256 / 4;
    }
}

AVX2 static void multiply_sparse_avx2(int32_t *product, const vz_matrix *m, const int8_t *a, int count) {
    const __m256i ones = _mm256_set1_epi16(1);
    uint64_t quads[VZ_RUN][VZ_MAX_INPUTS / 256];
    for (int p = 0; p < count; p++) find_quads_avx2(quads[p], a + p * m->inputs, m->inputs);
    for (int o = 0; o < m->outputs; o += VZ_TILE)
        for (int p = 0; p < count; p++) {
            const int8_t *w = m->weight + o * m->inputs;
            __m256i sum[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
            for (int i = 0; i < m->inputs; i += 256)
                for (uint64_t left = quads[p][i / 256]; left; left &= left - 1) {
                    const int at = i + 4 * __builtin_ctzll(left);
                    const __m256i x = _mm256_set1_epi32(four(a + p * m->inputs + at));
                    for (int j = 0; j < 2; j++) {
                        const __m256i weight = _mm256_loadu_si256((const __m256i *)(w + at * VZ_TILE) + j);
                        sum[j] = _mm256_add_epi32(sum[j], _mm256_madd_epi16(_mm256_maddubs_epi16(x, weight), ones));
                    }
                }
            for (int j = 0; j < 2; j++) _mm256_storeu_si256((__m256i *)(product + p * m->outputs + o) + j, sum[j]);
        }
}

/* The instruction multiplies unsigned by signed bytes: so |a| times w with a's sign. A pair's sum stays below
 * 2 * 127 * 127 < 2^15, since no weight is -128. Vector by vector, while a tile's weights are in the first cache. */
AVX2 static void multiply_avx2(int32_t *product, const vz_matrix *m, const int8_t *a, int count) {
    const __m256i ones = _mm256_set1_epi16(1);
    if (m->sparse) {
        multiply_sparse_avx2(product, m, a, count);
        return;
    }
    for (int o = 0; o < m->outputs; o += VZ_TILE)
        for (int p = 0; p < count; p++) {
            const __m256i *w = (const __m256i *)(m->weight + o * m->inputs);
            __m256i sum[4] = {_mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256(),
                              _mm256_setzero_si256()};
            for (int i = 0; i < m->inputs; i += 8)
                for (int j = 0; j < 4; j++, w++) { /* half of the outputs, four inputs */
                    __m256i x = _mm256_set1_epi32(four(a + p * m->inputs + i + j / 2 * 4));
                    __m256i pairs =
                        _mm256_maddubs_epi16(_mm256_abs_epi8(x), _mm256_sign_epi8(_mm256_loadu_si256(w), x));
                    sum[j] = _mm256_add_epi32(sum[j], _mm256_madd_epi16(pairs, ones));
                }
            __m256i *to = (__m256i *)(product + p * m->outputs + o);
            _mm256_storeu_si256(to, _mm256_add_epi32(sum[0], sum[2]));
            _mm256_storeu_si256(to + 1, _mm256_add_epi32(sum[1], sum[3]));
        }
}

static int has_vnni(void) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vnni");
}

/* The instruction multiplies unsigned by signed bytes: w + 128 for w makes a product 128 sum(a) too large. */
static void pack_vnni(vz_matrix *m, const int8_t *rows) {
    pack_tiles(m, rows);
    for (int i = 0; i < m->outputs * m->inputs; i++) m->weight[i] = (int8_t)(m->weight[i] ^ -128);
}

#define VNNI __attribute__((target("avx512f,avx512bw,avx512vnni")))

/* 64 elements of a vector, from `i` on; beyond its end, zeros. */
VNNI VZ_INLINE __m512i elements_vnni(const int8_t *a, int i, int inputs) {
    const int left = inputs - i;
    return left < 64 ? _mm512_maskz_loadu_epi32((__mmask16)((1 << left / 4) - 1), a + i) : _mm512_loadu_si512(a + i);
}

/* 128 times the sum of a vector. */
VNNI VZ_INLINE int32_t excess_vnni(const int8_t *a, int inputs) {
    const __m512i ones = _mm512_set1_epi8(1);
    __m512i sum = _mm512_setzero_si512();
    for (int i = 0; i < inputs; i += 64) sum = _mm512_dpbusd_epi32(sum, ones, elements_vnni(a, i, inputs));
    return 128 * _mm512_reduce_add_epi32(sum);
}

/* `tiles` tiles of outputs of `vectors` vectors: each weight and each input is loaded once. `chains` independent sums
 * per output, since the instruction takes as long as several of them can be begun in. */
VNNI VZ_INLINE void block_vnni(int32_t *product, const vz_matrix *m, int o, const int8_t *a, const int32_t *excess,
                               const int tiles, const int vectors, const int chains) {
    const int8_t *w = m->weight + o * m->inputs;
    __m512i sum[16];
    for (int p = 0; p < vectors; p++)
        for (int t = 0; t < tiles; t++) {
            sum[p * tiles + t] = _mm512_set1_epi32(-excess[p]);
            for (int c = 1; c < chains; c++) sum[(c * vectors + p) * tiles + t] = _mm512_setzero_si512();
        }
    for (int i = 0; i < m->inputs; i += 4 * chains)
        for (int c = 0; c < chains; c++) {
            __m512i weight[2];
            for (int t = 0; t < tiles; t++)
                weight[t] = _mm512_loadu_si512(w + t * VZ_TILE * m->inputs + (i + 4 * c) * VZ_TILE);
            for (int p = 0; p < vectors; p++) {
                __m512i x = _mm512_set1_epi32(four(a + p * m->inputs + i + 4 * c));
                for (int t = 0; t < tiles; t++) {
                    __m512i *s = sum + (c * vectors + p) * tiles + t;
                    *s = _mm512_dpbusd_epi32(*s, weight[t], x);
                }
            }
        }
    for (int p = 0; p < vectors; p++)
        for (int t = 0; t < tiles; t++) {
            __m512i all = sum[p * tiles + t];
            for (int c = 1; c < chains; c++) all = _mm512_add_epi32(all, sum[(c * vectors + p) * tiles + t]);
            _mm512_storeu_si512(product + p * m->outputs + o + t * VZ_TILE, all);
        }
}

VNNI VZ_INLINE void vectors_vnni(int32_t *product, const vz_matrix *m, const int8_t *a, const int vectors,
                                 const int chains) {
    const int pairs = m->outputs / (2 * VZ_TILE) * 2 * VZ_TILE;
    int32_t excess[8];
    for (int p = 0; p < vectors; p++) excess[p] = excess_vnni(a + p * m->inputs, m->inputs);
    for (int o = 0; o < pairs; o += 2 * VZ_TILE) block_vnni(product, m, o, a, excess, 2, vectors, chains);
    if (pairs < m->outputs) block_vnni(product, m, pairs, a, excess, 1, vectors, chains);
}

/* As block_vnni, of one vector, and only for the quads that are not all 0. */
VNNI VZ_INLINE void block_sparse_vnni(int32_t *product, const vz_matrix *m, int o, const int8_t *a, int32_t excess,
                                      const uint64_t *quads, const int tiles) {
    const ptrdiff_t stride = (ptrdiff_t)m->inputs * VZ_TILE;
    const int8_t *w = m->weight + o * m->inputs;
    __m512i sum[4];
    for (int t = 0; t < tiles; t++) sum[t] = _mm512_set1_epi32(-excess);
    for (int i = 0; i < m->inputs; i += 256, a += 256, w += 256 * VZ_TILE)
        for (uint64_t left = *quads++; left; left &= left - 1) {
            const ptrdiff_t at = 4 * (ptrdiff_t)__builtin_ctzll(left);
            const __m512i x = _mm512_set1_epi32(four(a + at));
            for (int t = 0; t < tiles; t++) {
                const __m512i weight = _mm512_loadu_si512(w + t * stride + at * VZ_TILE);
                sum[t] = _mm512_dpbusd_epi32(sum[t], weight, x);
            }
        }
    for (int t = 0; t < tiles; t++) _mm512_storeu_si512(product + o + t * VZ_TILE, sum[t]);
}

/* As find_quads_avx2. */
VNNI VZ_INLINE void find_quads_vnni(uint64_t *quads, const int8_t *a, int inputs) {
    for (int i = 0; i < inputs; i += 64) {
        const __m512i x = elements_vnni(a, i, inputs);
        if (i % 256 == 0) quads[i / 256] = 0;
        quads[i / 256] |= (uint64_t)_mm512_test_epi32_mask(x, x) << i % 256 / 4;
    }
}

/* A few tiles for all vectors, then the next ones, so that the weights that are used stay in the first cache. */
VNNI static void multiply_sparse_vnni(int32_t *product, const vz_matrix *m, const int8_t *a, int count) {
    uint64_t quads[VZ_RUN][VZ_MAX_INPUTS / 256];
    int32_t excess[VZ_RUN];
    for (int p = 0; p < count; p++) {
        find_quads_vnni(quads[p], a + p * m->inputs, m->inputs);
        excess[p] = excess_vnni(a + p * m->inputs, m->inputs);
    }
    const int fours = m->outputs / (4 * VZ_TILE) * 4 * VZ_TILE;
    for (int o = 0; o < fours; o += 4 * VZ_TILE)
        for (int p = 0; p < count; p++)
            block_sparse_vnni(product + p * m->outputs, m, o, a + p * m->inputs, excess[p], quads[p], 4);
    for (int o = fours; o < m->outputs; o += VZ_TILE)
        for (int p = 0; p < count; p++)
            block_sparse_vnni(product + p * m->outputs, m, o, a + p * m->inputs, excess[p], quads[p], 1);
}

VNNI static void multiply_vnni(int32_t *product, const vz_matrix *m, const int8_t *a, int count) {
    if (m->sparse) {
        multiply_sparse_vnni(product, m, a, count);
        return;
    }
    for (; count >= 8; count -= 8, a += 8 * m->inputs, product += 8 * m->outputs) vectors_vnni(product, m, a, 8, 1);
    for (; count >= 2; count -= 2, a += 2 * m->inputs, product += 2 * m->outputs) vectors_vnni(product, m, a, 2, 4);
    if (count) vectors_vnni(product, m, a, 1, 4);
}
#endif

#ifdef VZ_AMX
#define ARCH_REQ_XCOMP_PERM 0x1023
#define XFEATURE_XTILEDATA 18

static int has_amx(void) {
    unsigned a, b, c, d;
    const unsigned tiles_of_int8 = 1u << 24 | 1u << 25;
    if (!has_vnni() || !__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d & tiles_of_int8) != tiles_of_int8) return 0;
    return !syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA);
}

/* The number of inputs that a tile takes of each vector: such that the tiles share them out evenly. */
static int tile_inputs(int inputs) {
    int n = 64;
    while (inputs % n) n -= 4;
    return n;
}

/* Two tiles of 16 vectors and two of outputs make four of products; like VNNI's, these are 128 sum(a) too large. */
__attribute__((target("amx-tile,amx-int8"))) static void tiles_amx(int32_t *product, const vz_matrix *m,
                                                                   const int8_t *a) {
    const int inputs = m->inputs, outputs = m->outputs, n = tile_inputs(inputs);
    const int stride = outputs * (int)sizeof *product;
    struct {
        uint8_t palette, start_row, reserved[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } shape = {.palette = 1};
    for (int t = 0; t < 8; t++) {
        shape.row_bytes[t] = (uint16_t)(t < 4 || t > 5 ? 64 : n); /* 0 to 3: products; 4, 5: vectors; 6, 7: weights */
        shape.rows[t] = (uint8_t)(t < 6 ? 16 : n / 4);
    }
    _tile_loadconfig(&shape);
    for (int o = 0; o < outputs; o += 2 * VZ_TILE) {
        const int pair = o + VZ_TILE < outputs;
        const int8_t *w = m->weight + o * inputs, *next = pair ? w + VZ_TILE * inputs : w;
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
        for (int i = 0; i < inputs; i += n) {
            _tile_loadd(4, a + i, inputs);
            _tile_loadd(5, a + 16 * inputs + i, inputs);
            _tile_loadd(6, w + i * VZ_TILE, 64);
            _tile_loadd(7, next + i * VZ_TILE, 64);
            _tile_dpbsud(0, 4, 6);
            _tile_dpbsud(1, 4, 7);
            _tile_dpbsud(2, 5, 6);
            _tile_dpbsud(3, 5, 7);
        }
        _tile_stored(0, product + o, stride);
        _tile_stored(2, product + 16 * outputs + o, stride);
        if (!pair) break;
        _tile_stored(1, product + o + VZ_TILE, stride);
        _tile_stored(3, product + 16 * outputs + o + VZ_TILE, stride);
    }
    _tile_release();
}

VNNI static void multiply_amx(int32_t *product, const vz_matrix *m, const int8_t *a, int count) {
    for (; count >= 32; count -= 32) {
        tiles_amx(product, m, a);
        for (int p = 0; p < 32; p++, a += m->inputs, product += m->outputs) {
            const __m512i excess = _mm512_set1_epi32(excess_vnni(a, m->inputs));
            for (int o = 0; o < m->outputs; o += VZ_TILE)
                _mm512_storeu_si512(product + o, _mm512_sub_epi32(_mm512_loadu_si512(product + o), excess));
        }
    }
    multiply_vnni(product, m, a, count);
}
#endif

#ifdef VZ_NEON
static void multiply_neon(int32_t *product, const vz_matrix *m, const int8_t *a, int count) {
    for (int o = 0; o < m->outputs; o += VZ_TILE)
        for (int p = 0; p < count; p++) {
            const int8_t *w = m->weight + o * m->inputs;
            int32x4_t sum[8];
            for (int j = 0; j < 8; j++) sum[j] = vdupq_n_s32(0);
            for (int i = 0; i < m->inputs; i += 4, w += 64) {
                int8x8_t x = vreinterpret_s8_s32(vdup_n_s32(four(a + p * m->inputs + i)));
                for (int j = 0; j < 8; j++) /* two outputs, in two halves each */
                    sum[j] = vpadalq_s16(sum[j], vmull_s8(vld1_s8(w + 8 * j), x));
            }
            for (int j = 0; j < 4; j++)
                vst1q_s32(product + p * m->outputs + o + 4 * j, vpaddq_s32(sum[2 * j], sum[2 * j + 1]));
        }
}
#endif

#ifdef VZ_DOT
static int has_dot(void) {
#ifdef __ARM_FEATURE_DOTPROD
    return 1;
#else
    return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
#endif
}

/* A tile of outputs of `vectors` vectors: each weight is loaded once. */
VZ_DOT VZ_INLINE void block_dot(int32_t *product, const vz_matrix *m, int o, const int8_t *a, const int vectors) {
    const int8_t *w = m->weight + o * m->inputs;
    int32x4_t sum[16];
    for (int k = 0; k < 4 * vectors; k++) sum[k] = vdupq_n_s32(0);
    for (int i = 0; i < m->inputs; i += 4, w += 64) {
        int8x16_t weight[4] = {vld1q_s8(w), vld1q_s8(w + 16), vld1q_s8(w + 32), vld1q_s8(w + 48)};
        for (int p = 0; p < vectors; p++) {
            int8x16_t x = vreinterpretq_s8_s32(vdupq_n_s32(four(a + p * m->inputs + i)));
            for (int j = 0; j < 4; j++) sum[4 * p + j] = vdotq_s32(sum[4 * p + j], weight[j], x);
        }
    }
    for (int p = 0; p < vectors; p++)
        for (int j = 0; j < 4; j++) vst1q_s32(product + p * m->outputs + o + 4 * j, sum[4 * p + j]);
}

VZ_DOT static void multiply_dot(int32_t *product, const vz_matrix *m, const int8_t *a, int count) {
    for (; count >= 4; count -= 4, a += 4 * m->inputs, product += 4 * m->outputs)
        for (int o = 0; o < m->outputs; o += VZ_TILE) block_dot(product, m, o, a, 4);
    for (; count; count--, a += m->inputs, product += m->outputs)
        for (int o = 0; o < m->outputs; o += VZ_TILE) block_dot(product, m, o, a, 1);
}
#endif

/* clang-format off: one a line */
const vz_path vz_paths[] = {
#ifdef VZ_AMX
    {"amx-int8", has_amx, pack_vnni, multiply_amx},
#endif
#ifdef VZ_X86
    {"avx512-vnni", has_vnni, pack_vnni, multiply_vnni}, {"avx2", has_avx2, pack_tiles, multiply_avx2},
#endif
#ifdef VZ_DOT
    {"neon-dot", has_dot, pack_tiles, multiply_dot},
#endif
#ifdef VZ_NEON
    {"neon", everywhere, pack_tiles, multiply_neon},
#endif
    {"portable", everywhere, pack_rows, multiply_rows},
};
/* clang-format on */
const int vz_path_count = sizeof vz_paths / sizeof *vz_paths;
