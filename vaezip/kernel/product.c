#include "product.h"

#include <string.h>

#if (defined(__x86_64__) || defined(__i386__)) && (defined(__GNUC__) || defined(__clang__))
#define VZ_X86 1
#include <immintrin.h>
#elif defined(__ARM_NEON) && defined(__aarch64__)
#define VZ_NEON 1
#include <arm_neon.h>
#endif

static int everywhere(void) { return 1; }

static void pack_rows(vz_matrix *m, const int8_t *rows) {
    memcpy(m->weight, rows, (size_t)m->outputs * (size_t)m->inputs);
    memset(m->excess, 0, (size_t)m->outputs * sizeof *m->excess);
}

static void multiply_rows(int32_t *product, const vz_matrix *m, const int8_t *a) {
    const int8_t *w = m->weight;
    for (int o = 0; o < m->outputs; o++, w += m->inputs) {
        int32_t sum = 0;
        for (int i = 0; i < m->inputs; i++) sum += (int16_t)w[i] * (int16_t)a[i];
        product[o] = sum;
    }
}

#if defined(VZ_X86) || defined(VZ_NEON)
/* Tile by tile of 16 outputs; in a tile, four inputs of each output side by side. */
static void pack_tiles(vz_matrix *m, const int8_t *rows) {
    int8_t *to = m->weight;
    for (int tile = 0; tile < m->outputs; tile += VZ_TILE)
        for (int i = 0; i < m->inputs; i += 4)
            for (int o = tile; o < tile + VZ_TILE; o++, to += 4) memcpy(to, rows + (size_t)o * (size_t)m->inputs + (size_t)i, 4);
    memset(m->excess, 0, (size_t)m->outputs * sizeof *m->excess);
}
#endif

#ifdef VZ_X86
static int has_avx2(void) { return __builtin_cpu_supports("avx2"); }

/* The instruction multiplies unsigned by signed bytes: so |a| times w with a's sign. A pair's sum stays below
 * 2 * 127 * 127 < 2^15, since no weight is -128. */
__attribute__((target("avx2"))) static void multiply_avx2(int32_t *product, const vz_matrix *m, const int8_t *a) {
    const __m256i *w = (const __m256i *)m->weight;
    const __m256i ones = _mm256_set1_epi16(1);
    for (int o = 0; o < m->outputs; o += VZ_TILE) {
        __m256i sum[4] = {_mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256(),
                          _mm256_setzero_si256()};
        for (int i = 0; i < m->inputs; i += 8)
            for (int j = 0; j < 4; j++, w++) { /* half of the outputs, four inputs */
                int32_t four;
                memcpy(&four, a + i + j / 2 * 4, 4);
                __m256i x = _mm256_set1_epi32(four);
                __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(x), _mm256_sign_epi8(_mm256_loadu_si256(w), x));
                sum[j] = _mm256_add_epi32(sum[j], _mm256_madd_epi16(pairs, ones));
            }
        _mm256_storeu_si256((__m256i *)(product + o), _mm256_add_epi32(sum[0], sum[2]));
        _mm256_storeu_si256((__m256i *)(product + o + 8), _mm256_add_epi32(sum[1], sum[3]));
    }
}

static int has_vnni(void) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vnni");
}

/* The instruction multiplies unsigned by signed bytes: a + 128 in the place of a is 128 sum(w) too much. */
static void pack_vnni(vz_matrix *m, const int8_t *rows) {
    pack_tiles(m, rows);
    for (int o = 0; o < m->outputs; o++)
        for (int i = 0; i < m->inputs; i++) m->excess[o] += 128 * rows[(size_t)o * (size_t)m->inputs + (size_t)i];
}

__attribute__((target("avx512f,avx512bw,avx512vnni"))) static void multiply_vnni(int32_t *product, const vz_matrix *m,
                                                                                 const int8_t *a) {
    const int8_t *w = m->weight;
    const __m512i flip = _mm512_set1_epi32((int)0x80808080u);
    for (int o = 0; o < m->outputs; o += VZ_TILE) {
        __m512i sum[4] = {_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512(),
                          _mm512_setzero_si512()};
        for (int i = 0; i < m->inputs; i += 16)
            for (int j = 0; j < 4; j++, w += 64) {
                int32_t four;
                memcpy(&four, a + i + 4 * j, 4);
                __m512i x = _mm512_xor_si512(_mm512_set1_epi32(four), flip);
                sum[j] = _mm512_dpbusd_epi32(sum[j], x, _mm512_loadu_si512(w));
            }
        __m512i all = _mm512_add_epi32(_mm512_add_epi32(sum[0], sum[1]), _mm512_add_epi32(sum[2], sum[3]));
        _mm512_storeu_si512(product + o, _mm512_sub_epi32(all, _mm512_loadu_si512(m->excess + o)));
    }
}
#endif

#ifdef VZ_NEON
static void multiply_neon(int32_t *product, const vz_matrix *m, const int8_t *a) {
    const int8_t *w = m->weight;
    for (int o = 0; o < m->outputs; o += VZ_TILE) {
        int32x4_t sum[8];
        for (int j = 0; j < 8; j++) sum[j] = vdupq_n_s32(0);
        for (int i = 0; i < m->inputs; i += 4, w += 64) {
            int32_t four;
            memcpy(&four, a + i, 4);
            int8x8_t x = vreinterpret_s8_s32(vdup_n_s32(four));
            for (int j = 0; j < 8; j++) /* two outputs, in two halves each */
                sum[j] = vpadalq_s16(sum[j], vmull_s8(vld1_s8(w + 8 * j), x));
        }
        for (int j = 0; j < 4; j++) vst1q_s32(product + o + 4 * j, vpaddq_s32(sum[2 * j], sum[2 * j + 1]));
    }
}
#endif

const vz_path vz_paths[] = {
#ifdef VZ_X86
    {"avx512-vnni", has_vnni, pack_vnni, multiply_vnni},
    {"avx2", has_avx2, pack_tiles, multiply_avx2},
#endif
#ifdef VZ_NEON
    {"neon", everywhere, pack_tiles, multiply_neon},
#endif
    {"portable", everywhere, pack_rows, multiply_rows},
};
const int vz_path_count = sizeof vz_paths / sizeof *vz_paths;
