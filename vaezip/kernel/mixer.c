#include "mixer.h"

#include <stdlib.h>
#include <string.h>

#define PRIME UINT64_C(0x9E3779B97F4A7C15)
#define MIX UINT64_C(0xD6E8FEB86659FD93)
#define SALT UINT64_C(0xA0761D6478BD642F)

#define LEAST_MATCH 4
#define LONGEST_MATCH 400
#define DOMAIN_LIMIT 32767 /* logistic domain in units of 1/4096 */
#define WEIGHT_LIMIT 262143
#define MAP_LIMIT 255
#define APM_BUCKETS 33
#define NETWORK 0
#define BIAS 1
#define MATCH 2
#define FIRST_HISTORY 3

enum { SET_NODE = 0, SET_MATCH = 256, SET_BYTE = 512, SET_ORDER = 2560, SET_CONFIDENCE = 2944 };

/* The bit histories of the 15 nodes of a nibble after one context. */
typedef struct {
    uint8_t check; /* 0: free */
    uint8_t state[15];
} slot;

typedef struct {
    int16_t input[VZ_INPUTS];
    int row[VZ_SETS], final_row;
    int output[VZ_SETS]; /* logistic domain, unit 1/4096 */
    int mixed;           /* so is this; then maps refine it */
    int bucket, apm[2];
    int match_bit;   /* what the match says, or -1 */
    int probability; /* of a one, 16 bits */
} prediction;

struct vz_mixer {
    const vz_mixer_model *model;
    int32_t weights[VZ_WEIGHT_ROWS][VZ_INPUTS], final_weights[VZ_FINAL_ROWS][VZ_FINAL_INPUTS];
    uint32_t history_map[VZ_HISTORIES][VZ_STATES], match_map[VZ_MATCH_LENGTHS];
    uint16_t apm_node[3 * 256][APM_BUCKETS], apm_order2[1 << 12][APM_BUCKETS];

    uint8_t *text;
    uint32_t size, position;
    int bits; /* of a row of `slots`, and of `last` */
    slot *slots;
    uint32_t *last; /* where the last LEAST_MATCH bytes were seen, plus 1 */
    uint32_t match, match_length;

    uint64_t history, shape;          /* newest byte, or run of a class of bytes, lowest */
    uint64_t word[2], item;           /* hashes of the word so far, the one before; of the item so far */
    uint32_t line, line_before;       /* where the line begins, and the one above */
    int first, field, separator;      /* of the line: first byte, number of separators, the last one */

    uint32_t tree[512]; /* sums of exponentials: node n has children 2n and 2n + 1 */
    int confidence;
    uint64_t context[VZ_HISTORIES];
    slot *found[VZ_HISTORIES];
    int known; /* how many of orders 1 to 6 have been here before */
    int node;  /* the bits of this byte so far, with a leading 1 */
    int depth; /* how many they are */
    int rate;  /* of learning the weights, for this byte */
};

vz_mixer *vz_mixer_new(const vz_mixer_model *model, uint32_t size) {
    vz_mixer *m = malloc(sizeof *m);
    if (!m) return NULL;
    memset(m, 0, sizeof *m);
    m->model = model;
    m->size = size;
    for (m->bits = 10; m->bits < 18 && (UINT32_C(1) << m->bits) < 2 * size; m->bits++) {}
    m->text = calloc(size ? size : 1, 1);
    m->slots = calloc((size_t)VZ_HISTORIES << m->bits, sizeof *m->slots);
    m->last = calloc((size_t)1 << m->bits, sizeof *m->last);
    if (!m->text || !m->slots || !m->last) {
        vz_mixer_free(m);
        return NULL;
    }
    memcpy(m->weights, model->weights, sizeof m->weights);
    memcpy(m->final_weights, model->final_weights, sizeof m->final_weights);
    memcpy(m->history_map, model->history_map, sizeof m->history_map);
    memcpy(m->match_map, model->match_map, sizeof m->match_map);
    for (int i = 0; i < 3 * 256; i++)
        for (int j = 0; j < APM_BUCKETS; j++) m->apm_node[i][j] = (uint16_t)model->squash[j * 128];
    for (int i = 0; i < 1 << 12; i++) memcpy(m->apm_order2[i], m->apm_node[0], sizeof *m->apm_order2);
    return m;
}

void vz_mixer_free(vz_mixer *m) {
    if (!m) return;
    free(m->text);
    free(m->slots);
    free(m->last);
    free(m);
}

static int clip(int x, int low, int high) { return x < low ? low : x > high ? high : x; }

static uint64_t hash(uint64_t x) {
    x *= MIX;
    x ^= x >> 32;
    return x * PRIME;
}

static int squash(const vz_mixer *m, int x) {
    int at = x + DOMAIN_LIMIT + 1, f = at & 15;
    const int32_t *p = m->model->squash + (at >> 4);
    return (p[0] * (16 - f) + p[1] * f) >> 4;
}

static int32_t logarithm(const vz_mixer *m, uint32_t x) {
    int bits = 31;
    while (!(x >> bits)) bits--;
    uint32_t mantissa = (bits >= 10 ? x >> (bits - 10) : x << (10 - bits)) & 1023;
    return bits * m->model->log[1024] + m->model->log[mantissa];
}

static slot *find_slot(vz_mixer *m, int context, uint64_t h) {
    slot *row = m->slots + ((size_t)context << m->bits), *worst = NULL;
    uint32_t at = (uint32_t)(h >> (64 - m->bits));
    uint8_t check = (uint8_t)(h >> 8 & 255);
    check = (uint8_t)(check + !check);
    for (uint32_t k = 0; k < 3; k++) {
        slot *s = row + (at ^ k);
        if (s->check == check) return s;
        if (!s->check) {
            worst = s;
            break;
        }
        if (!worst || s->state[0] < worst->state[0]) worst = s;
    }
    memset(worst, 0, sizeof *worst);
    worst->check = check;
    return worst;
}

static void hash_contexts(vz_mixer *m) {
    uint64_t h = m->history, last = h & 255;
    uint32_t column = m->position - m->line, above_at = m->line_before + column;
    uint64_t above = above_at < m->line ? m->text[above_at] : 0;
    uint64_t *c = m->context;
    c[0] = 0;
    c[1] = last;
    c[2] = h & 0xFFFF;
    c[3] = h & 0xFFFFFF;
    c[4] = h & 0xFFFFFFFF;
    c[5] = h & UINT64_C(0xFFFFFFFFFFFF);
    c[6] = m->word[0] ? m->word[0] : last + 1;
    c[7] = c[6] * PRIME + m->word[1];
    c[8] = above << 8 | last;
    c[9] = (uint64_t)m->field << 16 | (uint64_t)m->first << 8 | (column < 255 ? column : 255);
    c[10] = m->shape * PRIME + (uint64_t)m->separator;
    c[11] = above << 24 | (uint64_t)m->first << 16 | (h & 0xFFFF);
    c[12] = m->item * PRIME + (uint64_t)m->field;
    for (int i = 0; i < VZ_HISTORIES; i++) c[i] = hash(c[i] * PRIME + (uint64_t)i + 1);
}

static void find_match(vz_mixer *m) {
    uint32_t at = m->position;
    if (m->match_length && m->text[m->match] == m->text[at - 1]) {
        m->match_length++;
        m->match++;
    } else {
        m->match_length = 0;
    }
    if (at < LEAST_MATCH) return;
    uint32_t *last = m->last + (hash((m->history & 0xFFFFFFFF) + 1) >> (64 - m->bits));
    if (!m->match_length && *last) {
        uint32_t before = *last, length = 0;
        while (length < LONGEST_MATCH && length < before && m->text[before - 1 - length] == m->text[at - 1 - length])
            length++;
        if (length >= LEAST_MATCH) {
            m->match_length = length;
            m->match = before;
        }
    }
    *last = at;
}

static int length_class(uint32_t length) {
    if (length < 16) return (int)length;
    if (length < 32) return 16 + (int)(length - 16) / 4;
    if (length < 64) return 20 + (int)(length - 32) / 8;
    if (length < LONGEST_MATCH) return 24 + (int)(length - 64) / 48;
    return 31;
}

static int match_class(uint32_t length) {
    static const uint16_t limits[] = {4, 6, 8, 12, 16, 24, 32, 64, 128, LONGEST_MATCH};
    if (!length) return 0;
    int i = 0;
    while (i < 10 && length >= limits[i]) i++;
    return 1 + i;
}

static void begin_nibble(vz_mixer *m) {
    for (int i = 0; i < VZ_HISTORIES; i++)
        m->found[i] = find_slot(m, i, m->depth ? hash(m->context[i] + (uint64_t)m->node * SALT) : m->context[i]);
    m->known = 0;
    for (int i = 1; i < 6; i++) m->known += m->found[i]->state[0] != 0;
}

void vz_mixer_begin(vz_mixer *m, const int32_t *exponentials) {
    static const uint8_t limits[] = {20, 40, 80, 128, 192, 230, 250};
    uint32_t best = 0;
    for (int i = 0; i < 256; i++) {
        m->tree[256 + i] = (uint32_t)exponentials[i] + 1;
        best = m->tree[256 + i] > best ? m->tree[256 + i] : best;
    }
    for (int i = 255; i > 0; i--) m->tree[i] = m->tree[2 * i] + m->tree[2 * i + 1];
    uint32_t share = (uint32_t)(((uint64_t)best << 8) / m->tree[1]);
    for (m->confidence = 0; m->confidence < 7 && share >= limits[m->confidence];) m->confidence++;
    /* Fast at first, then slower. */
    const int32_t *learning = m->model->learning;
    m->rate = learning[0] + (int)((int64_t)learning[1] * learning[2] / ((int64_t)learning[2] + m->position));
    hash_contexts(m);
    find_match(m);
    m->node = 1;
    m->depth = 0;
}

/* Of the histories in a slot, that of the node. */
static int history_index(const vz_mixer *m) {
    int depth = m->depth & 3;
    return (1 << depth | (m->node & ((1 << depth) - 1))) - 1;
}

static int16_t stretched(const vz_mixer *m, uint32_t entry) { return m->model->stretch[entry >> 20]; }

static void predict(const vz_mixer *m, prediction *p) {
    const int node = m->node, depth = m->depth, index = history_index(m);
    memset(p->input, 0, sizeof p->input);
    int32_t network = (logarithm(m, m->tree[2 * node + 1]) - logarithm(m, m->tree[2 * node])) >> 8;
    network = clip(network, -2047, 2047);
    p->input[NETWORK] = (int16_t)network;
    p->input[BIAS] = 256;
    p->match_bit = -1;
    if (m->match_length) {
        int said = m->text[m->match] | 256;
        if (said >> (8 - depth) == node) {
            p->match_bit = said >> (7 - depth) & 1;
            int16_t s = stretched(m, m->match_map[length_class(m->match_length)]);
            p->input[MATCH] = p->match_bit ? s : (int16_t)-s;
        }
    }
    for (int i = 0; i < VZ_HISTORIES; i++) {
        uint8_t state = m->found[i]->state[index];
        if (state) p->input[FIRST_HISTORY + i] = stretched(m, m->history_map[i][state]);
    }

    static const int16_t limits[] = {64, 160, 320, 512, 768, 1024, 1400};
    int certainty = 0;
    while (certainty < 7 && (network < 0 ? -network : network) >= limits[certainty]) certainty++;
    int said = p->match_bit + 1, length = said ? match_class(m->match_length) : 0;
    p->row[0] = SET_NODE + node;
    p->row[1] = SET_MATCH + (said ? 128 + length * 8 : 0) + depth;
    p->row[2] = SET_BYTE + (int)(m->history & 255) * 8 + depth;
    p->row[3] = SET_ORDER + (m->known * 8 + certainty) * 8 + depth;
    p->row[4] = SET_CONFIDENCE + (said * 6 + m->known) * 64 + m->confidence * 8 + certainty;
    p->final_row = (said ? 1 + length : 0) * 8 + m->confidence;
    int64_t mixed = 0;
    for (int s = 0; s < VZ_SETS; s++) {
        const int32_t *w = m->weights[p->row[s]];
        int32_t sum = 0;
        for (int i = 0; i < VZ_INPUTS; i++) sum += (w[i] >> 3) * p->input[i];
        p->output[s] = clip(sum >> 9, -DOMAIN_LIMIT, DOMAIN_LIMIT);
        mixed += (int64_t)m->final_weights[p->final_row][s] * (p->output[s] >> 4);
    }
    mixed >>= 12;
    p->mixed = mixed < -DOMAIN_LIMIT ? -DOMAIN_LIMIT : mixed > DOMAIN_LIMIT ? DOMAIN_LIMIT : (int)mixed;

    int at = p->mixed + DOMAIN_LIMIT + 1, f = at & 2047;
    p->bucket = at >> 11;
    p->apm[0] = said * 256 + node;
    p->apm[1] = (int)(hash((m->history & 0xFFFF) << 8 | (uint64_t)node) >> 52);
    const uint16_t *a = m->apm_node[p->apm[0]] + p->bucket, *b = m->apm_order2[p->apm[1]] + p->bucket;
    int refined = ((a[0] + b[0]) * (2048 - f) + (a[1] + b[1]) * f) >> 11;
    p->probability = clip((2 * squash(m, p->mixed) + refined) >> 2, 16, 65520);
    p->bucket += f >= 1024;
}

static void adapt(const vz_mixer *m, uint32_t *entry, int bit) {
    int32_t count = (int32_t)(*entry & 1023), p = (int32_t)(*entry >> 10);
    p += (int32_t)(((int64_t)((bit << 22) - p) * m->model->rate[count]) >> 16);
    *entry = (uint32_t)p << 10 | (uint32_t)(count + (count < MAP_LIMIT));
}

static void refine(uint16_t *probability, int bit) {
    *probability = (uint16_t)(*probability + (((bit ? 65535 : 0) - *probability) >> 6));
}

static void learn(vz_mixer *m, const prediction *p, int bit) {
    const int target = bit << 16, index = history_index(m);
    for (int s = 0; s < VZ_SETS; s++) {
        int32_t *w = m->weights[p->row[s]];
        int step = ((target - squash(m, p->output[s])) * m->rate) >> 8;
        for (int i = 0; i < VZ_INPUTS; i++)
            w[i] = clip(w[i] + ((p->input[i] * step + 32768) >> 16), -WEIGHT_LIMIT, WEIGHT_LIMIT);
    }
    int step = ((target - squash(m, p->mixed)) * m->model->learning[3]) >> 8;
    for (int s = 0; s < VZ_SETS; s++) {
        int32_t *w = &m->final_weights[p->final_row][s];
        *w = clip(*w + (((p->output[s] >> 4) * step + 32768) >> 16), -WEIGHT_LIMIT, WEIGHT_LIMIT);
    }
    refine(&m->apm_node[p->apm[0]][p->bucket], bit);
    refine(&m->apm_order2[p->apm[1]][p->bucket], bit);
    if (p->match_bit >= 0) adapt(m, &m->match_map[length_class(m->match_length)], p->match_bit == bit);
    for (int i = 0; i < VZ_HISTORIES; i++) {
        uint8_t *state = &m->found[i]->state[index];
        if (*state) adapt(m, &m->history_map[i][*state], bit);
        *state = m->model->next[2 * *state + bit];
    }
}

static int shape_class(int byte) {
    if (byte >= '0' && byte <= '9') return '0';
    if (byte >= 'a' && byte <= 'z') return 'a';
    if (byte >= 'A' && byte <= 'Z') return 'A';
    return byte >= 128 ? 128 : byte;
}

static void push_byte(vz_mixer *m, int byte) {
    m->text[m->position++] = (uint8_t)byte;
    int class = shape_class(byte), in_word = class == '0' || class == 'a' || class == 'A' || class == 128;
    if (byte == ' ')
        m->item *= PRIME;
    else
        m->item = in_word || byte == '_' || byte == '-' || byte == '.' ? (m->item + (uint64_t)byte + 1) * PRIME : 0;
    if (in_word) {
        int folded = class == 'A' ? byte + 32 : byte;
        m->word[0] = (m->word[0] + (uint64_t)folded + 1) * PRIME;
    } else if (m->word[0]) {
        m->word[1] = m->word[0];
        m->word[0] = 0;
    }
    if ((int)(m->shape & 255) != class) m->shape = m->shape << 8 | (uint64_t)class;
    if (byte == '\n') {
        m->line_before = m->line;
        m->line = m->position;
        m->first = m->field = m->separator = 0;
    } else {
        if (m->position - 1 == m->line) m->first = byte;
        if (byte == ',' || byte == '\t' || byte == '|' || byte == ';' || byte == ':' || byte == '=' || byte == '"') {
            m->field++;
            m->separator = byte;
        }
    }
    m->history = m->history << 8 | (uint64_t)byte;
}

/* Codes a byte: a given one, or, if `byte` is negative, that whose interval holds `quantile`. */
static int code(vz_mixer *m, int byte, int32_t quantile, int32_t *interval) {
    int32_t below = 1, width = VZ_TOTAL - 2;
    for (; m->depth < 8; m->depth++) {
        prediction p;
        if (m->depth % 4 == 0) begin_nibble(m);
        predict(m, &p);
        int leaves = 128 >> m->depth; /* of either branch: none of them may be empty */
        int32_t ones = clip((int32_t)(((int64_t)width * p.probability) >> 16), leaves, width - leaves);
        int bit = byte < 0 ? quantile >= below + width - ones : byte >> (7 - m->depth) & 1;
        below += bit ? width - ones : 0;
        width = bit ? ones : width - ones;
        learn(m, &p, bit);
        m->node = 2 * m->node + bit;
    }
    interval[0] = below;
    interval[1] = width;
    push_byte(m, m->node & 255);
    return m->node & 255;
}

void vz_mixer_encode(vz_mixer *m, uint8_t byte, int32_t *interval) { code(m, byte, 0, interval); }

uint8_t vz_mixer_decode(vz_mixer *m, int32_t quantile, int32_t *interval) {
    return (uint8_t)code(m, -1, quantile, interval);
}

void vz_mixer_learned(const vz_mixer *m, int32_t *weights, int32_t *final_weights, uint32_t *history_map,
                      uint32_t *match_map) {
    memcpy(weights, m->weights, sizeof m->weights);
    memcpy(final_weights, m->final_weights, sizeof m->final_weights);
    memcpy(history_map, m->history_map, sizeof m->history_map);
    memcpy(match_map, m->match_map, sizeof m->match_map);
}
