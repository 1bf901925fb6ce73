#include "mixer.h"

#include <stdlib.h>
#include <string.h>

#include "portable.h"

#define PRIME UINT64_C(0x9E3779B97F4A7C15)
#define MIX UINT64_C(0xD6E8FEB86659FD93)
#define SALT UINT64_C(0xA0761D6478BD642F)

#define LONGEST_MATCH 400
#define MANY_FIELDS 256
#define CACHE_LINE 64
#define DOMAIN_LIMIT 32767 /* logistic domain in units of 1/4096 */
#define WEIGHT_LIMIT 262143
#define MAP_LIMIT 255
#define APM_BUCKETS 33
#define NETWORK 0
#define BIAS 1
#define FIRST_MATCH 2
#define FIRST_HISTORY 4

enum {
    SET_NODE = 0,
    SET_MATCH = 256,
    SET_BYTE = 512,
    SET_ORDER = 2560,
    SET_CONFIDENCE = 2944,
    SET_FIELD = 4096,
    SET_BEFORE = 4864
};

static const uint32_t least_match[VZ_MATCHES] = {4, 8};

/* The bit histories of the 15 nodes of a nibble after one context. */
typedef struct {
    uint8_t check; /* 0: free */
    uint8_t state[15];
} slot;

/* Where the block last looked like this. */
typedef struct {
    uint32_t *ends;            /* by hash: where the same bytes ended last; 0 for nowhere */
    uint32_t position, length; /* of the byte that should come; bytes that agreed before it, 0 if there is no match */
} match;

typedef struct {
    int16_t input[VZ_INPUTS];
    int row[VZ_SETS], final_row;
    int output[VZ_SETS]; /* logistic domain, unit 1/4096 */
    int mixed;           /* so is this; then maps refine it */
    int bucket, apm[2];
    int match_bit[VZ_MATCHES]; /* what they say, or -1 */
    int probability; /* of a one, 16 bits */
} prediction;

struct vz_mixer {
    const vz_mixer_model *model;
    int32_t weights[VZ_WEIGHT_ROWS][VZ_INPUTS], final_weights[VZ_FINAL_ROWS][VZ_FINAL_INPUTS];
    uint32_t history_map[VZ_HISTORIES][VZ_STATES], match_map[VZ_MATCHES][VZ_MATCH_LENGTHS];
    uint16_t apm_node[3 * 256][APM_BUCKETS], apm_order2[1 << 12][APM_BUCKETS];

    uint8_t *text;
    uint32_t size, position;
    int bits; /* of a row of `slots`, and of matches' ends */
    slot *slots; /* VZ_HISTORIES rows, in `slot_memory` */
    void *slot_memory;
    match match[VZ_MATCHES];
    uint16_t followers[1 << 16]; /* by the hash of three bytes: the two that came after them last */

    uint64_t history, shape;        /* newest byte, or run of a class of bytes, lowest */
    uint64_t word[3], item;         /* hashes of the word so far, and those before; of the item so far */
    uint64_t line_word;             /* the line's first word, 0 before its end */
    int word_length;
    uint32_t line, line_before;     /* where the line begins, and the one above */
    int indent, indent_before;      /* blanks that they begin with */
    int first, field, separator;    /* of the line: first byte, number of separators, the last one */
    int fields_before;              /* of the line above */
    uint32_t field_at[MANY_FIELDS], field_at_before[MANY_FIELDS]; /* where they begin, in this line and above */

    uint32_t tree[512]; /* sums of exponentials: node n has children 2n and 2n + 1 */
    int guess[2];       /* the network's best and second best byte */
    int confidence;     /* in the best */
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
    /* The slots that a hash may lie in are neighbours: so that they share a cache line. */
    m->slot_memory = calloc(((size_t)VZ_HISTORIES << m->bits) * sizeof *m->slots + CACHE_LINE, 1);
    m->slots = (slot *)(((uintptr_t)m->slot_memory + CACHE_LINE - 1) & ~(uintptr_t)(CACHE_LINE - 1));
    int complete = m->text && m->slot_memory;
    for (int i = 0; i < VZ_MATCHES; i++) {
        m->match[i].ends = calloc((size_t)1 << m->bits, sizeof *m->match[i].ends);
        complete = complete && m->match[i].ends;
    }
    if (!complete) {
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
    free(m->slot_memory);
    for (int i = 0; i < VZ_MATCHES; i++) free(m->match[i].ends);
    free(m);
}

VZ_INLINE int clip(int x, int low, int high) { return x < low ? low : x > high ? high : x; }

static uint64_t hash(uint64_t x) {
    x *= MIX;
    x ^= x >> 32;
    return x * PRIME;
}

VZ_INLINE int squash(const vz_mixer *m, int x) {
    int at = x + DOMAIN_LIMIT + 1, f = at & 15;
    const int32_t *p = m->model->squash + (at >> 4);
    return (p[0] * (16 - f) + p[1] * f) >> 4;
}

static int32_t logarithm(const vz_mixer *m, uint32_t x) {
    int bits = vz_bit_length(x) - 1;
    uint32_t mantissa = (bits >= 10 ? x >> (bits - 10) : x << (10 - bits)) & 1023;
    return bits * m->model->log[1024] + m->model->log[mantissa];
}

static slot *slot_at(const vz_mixer *m, int context, uint64_t h, uint32_t k) {
    return m->slots + ((size_t)context << m->bits) + ((uint32_t)(h >> (64 - m->bits)) ^ k);
}

static slot *find_slot(vz_mixer *m, int context, uint64_t h) {
    slot *worst = NULL;
    uint8_t check = (uint8_t)(h >> 8 & 255);
    check = (uint8_t)(check + !check);
    for (uint32_t k = 0; k < 3; k++) {
        slot *s = slot_at(m, context, h, k);
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

/* The byte above in the same field, counted from where the field begins, and the one before it; or 0. */
static uint64_t above_in_field(const vz_mixer *m) {
    if (m->field >= m->fields_before || m->field >= MANY_FIELDS) return 0;
    uint32_t at = m->field_at_before[m->field] + (m->position - m->field_at[m->field]);
    return 0 < at && at < m->line ? (uint64_t)m->text[at] << 8 | m->text[at - 1] : 0;
}

static uint32_t three_bytes(const vz_mixer *m) { return (uint32_t)(hash(m->history & 0xFFFFFF) >> 48); }

static void hash_contexts(vz_mixer *m) {
    uint64_t h = m->history, last = h & 255;
    uint32_t column = m->position - m->line, above_at = m->line_before + column, near = column < 255 ? column : 255;
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
    c[9] = (uint64_t)m->field << 16 | (uint64_t)m->first << 8 | near;
    c[10] = m->shape * PRIME + (uint64_t)m->separator;
    c[11] = above << 24 | (uint64_t)m->first << 16 | (h & 0xFFFF);
    c[12] = m->item * PRIME + (uint64_t)m->field;
    c[13] = above_in_field(m) << 16 | (uint64_t)(m->field & 255) << 8 | last;
    c[14] = c[6] * PRIME + m->word[2];
    c[15] = (uint64_t)m->followers[three_bytes(m)] << 8 | last;
    c[16] = m->line_word * PRIME + c[6];
    c[17] = ((uint64_t)m->indent << 16 | (uint64_t)m->indent_before << 8 | near) * PRIME + last;
    c[18] = (uint64_t)m->guess[0] << 16 | (uint64_t)m->guess[1] << 8 | last;
    c[19] = ((uint64_t)m->guess[0] << 8) * PRIME + c[6];
    for (int i = 0; i < VZ_HISTORIES; i++) c[i] = hash(c[i] * PRIME + (uint64_t)i + 1);
}

static void find_match(vz_mixer *m, match *match, uint32_t least) {
    const uint8_t *text = m->text;
    const uint32_t at = m->position;
    if (match->length && text[match->position] == text[at - 1]) {
        match->length++;
        match->position++;
    } else {
        match->length = 0;
    }
    if (at < least) return;
    uint32_t *end = match->ends + (hash((m->history << (64 - 8 * least)) + 1) >> (64 - m->bits));
    if (!match->length && *end) {
        uint32_t before = *end, length = 0;
        while (length < LONGEST_MATCH && length < before && text[before - 1 - length] == text[at - 1 - length])
            length++;
        if (length >= least) {
            match->length = length;
            match->position = before;
        }
    }
    *end = at;
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
    uint64_t h[VZ_HISTORIES];
    for (int i = 0; i < VZ_HISTORIES; i++) {
        h[i] = m->depth ? hash(m->context[i] + (uint64_t)m->node * SALT) : m->context[i];
        VZ_PREFETCH(slot_at(m, i, h[i], 0));
    }
    for (int i = 0; i < VZ_HISTORIES; i++) m->found[i] = find_slot(m, i, h[i]);
    m->known = 0;
    for (int i = 1; i < 6; i++) m->known += m->found[i]->state[0] != 0;
}

void vz_mixer_begin(vz_mixer *m, const int32_t *exponentials) {
    static const uint8_t limits[] = {20, 40, 80, 128, 192, 230, 250};
    uint32_t best = 0, second = 0;
    for (int i = 0; i < 256; i++) {
        uint32_t e = m->tree[256 + i] = (uint32_t)exponentials[i] + 1;
        if (e > best) {
            second = best;
            m->guess[1] = m->guess[0];
            best = e;
            m->guess[0] = i;
        } else if (e > second) {
            second = e;
            m->guess[1] = i;
        }
    }
    for (int i = 255; i > 0; i--) m->tree[i] = m->tree[2 * i] + m->tree[2 * i + 1];
    uint32_t share = (uint32_t)(((uint64_t)best << 8) / m->tree[1]);
    for (m->confidence = 0; m->confidence < 7 && share >= limits[m->confidence];) m->confidence++;
    /* Fast at first, then slower. */
    const int32_t *learning = m->model->learning;
    m->rate = learning[0] + (int)((int64_t)learning[1] * learning[2] / ((int64_t)learning[2] + m->position));
    hash_contexts(m);
    for (int i = 0; i < VZ_MATCHES; i++) find_match(m, m->match + i, least_match[i]);
    m->node = 1;
    m->depth = 0;
}

/* Of the histories in a slot, that of the node. */
static int history_index(const vz_mixer *m) {
    int depth = m->depth & 3;
    return (1 << depth | (m->node & ((1 << depth) - 1))) - 1;
}

static int shape_class(int byte) {
    if (byte >= '0' && byte <= '9') return '0';
    if (byte >= 'a' && byte <= 'z') return 'a';
    if (byte >= 'A' && byte <= 'Z') return 'A';
    return byte >= 128 ? 128 : byte;
}

/* 0 to 63: small letters one by one, capitals, digits, blanks; the others by their lower bits, or upper ones above 127. */
static int byte_kind(int byte) {
    switch (shape_class(byte)) {
        case 'a': return byte - 'a';
        case 'A': return 26;
        case '0': return 27;
        case ' ': return 28;
        case '\n': return 29;
        case 128: return 32 + (byte >> 3 & 15);
        default: return 48 + (byte & 15);
    }
}

VZ_INLINE int16_t stretched(const vz_mixer *m, uint32_t entry) { return m->model->stretch[entry >> 20]; }

VZ_INLINE void predict(const vz_mixer *m, prediction *p) {
    const int node = m->node, depth = m->depth, index = history_index(m);
    memset(p->input, 0, sizeof p->input);
    int32_t network = (logarithm(m, m->tree[2 * node + 1]) - logarithm(m, m->tree[2 * node])) >> 8;
    network = clip(network, -2047, 2047);
    p->input[NETWORK] = (int16_t)network;
    p->input[BIAS] = 256;
    for (int i = 0; i < VZ_MATCHES; i++) {
        const match *match = m->match + i;
        int expected = match->length ? m->text[match->position] | 256 : 0;
        p->match_bit[i] = -1;
        if (expected >> (8 - depth) == node) {
            p->match_bit[i] = expected >> (7 - depth) & 1;
            int16_t s = stretched(m, m->match_map[i][length_class(match->length)]);
            p->input[FIRST_MATCH + i] = p->match_bit[i] ? s : (int16_t)-s;
        }
    }
    for (int i = 0; i < VZ_HISTORIES; i++) {
        uint8_t state = m->found[i]->state[index];
        if (state) p->input[FIRST_HISTORY + i] = stretched(m, m->history_map[i][state]);
    }

    static const int16_t limits[] = {64, 160, 320, 512, 768, 1024, 1400};
    int certainty = 0;
    while (certainty < 7 && (network < 0 ? -network : network) >= limits[certainty]) certainty++;
    int said = p->match_bit[0] + 1, length = said ? match_class(m->match[0].length) : 0;
    p->row[0] = SET_NODE + node;
    p->row[1] = SET_MATCH + (said ? 128 + length * 8 : 0) + depth;
    p->row[2] = SET_BYTE + (int)(m->history & 255) * 8 + depth;
    p->row[3] = SET_ORDER + (m->known * 8 + certainty) * 8 + depth;
    p->row[4] = SET_CONFIDENCE + (said * 6 + m->known) * 64 + m->confidence * 8 + certainty;
    p->row[5] = SET_FIELD + ((m->field < 11 ? m->field : 11) * 8 + (m->word_length < 7 ? m->word_length : 7)) * 8 + depth;
    p->row[6] = SET_BEFORE + byte_kind((int)(m->history >> 8 & 255)) * 8 + depth;
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

VZ_INLINE void adapt(const vz_mixer *m, uint32_t *entry, int bit) {
    int32_t count = (int32_t)(*entry & 1023), p = (int32_t)(*entry >> 10);
    p += (int32_t)(((int64_t)((bit << 22) - p) * m->model->rate[count]) >> 16);
    *entry = (uint32_t)p << 10 | (uint32_t)(count + (count < MAP_LIMIT));
}

VZ_INLINE void refine(uint16_t *probability, int bit) {
    *probability = (uint16_t)(*probability + (((bit ? 65535 : 0) - *probability) >> 6));
}

VZ_INLINE void learn(vz_mixer *m, const prediction *p, int bit) {
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
    for (int i = 0; i < VZ_MATCHES; i++)
        if (p->match_bit[i] >= 0) adapt(m, &m->match_map[i][length_class(m->match[i].length)], p->match_bit[i] == bit);
    for (int i = 0; i < VZ_HISTORIES; i++) {
        uint8_t *state = &m->found[i]->state[index];
        if (*state) adapt(m, &m->history_map[i][*state], bit);
        *state = m->model->next[2 * *state + bit];
    }
}

static void push_byte(vz_mixer *m, int byte) {
    uint16_t *followers = m->followers + three_bytes(m);
    *followers = (uint16_t)(*followers << 8 | byte);
    m->text[m->position++] = (uint8_t)byte;
    int class = shape_class(byte), in_word = class == '0' || class == 'a' || class == 'A' || class == 128;
    if (byte == ' ')
        m->item *= PRIME;
    else
        m->item = in_word || byte == '_' || byte == '-' || byte == '.' ? (m->item + (uint64_t)byte + 1) * PRIME : 0;
    if (in_word) {
        int folded = class == 'A' ? byte + 32 : byte;
        m->word[0] = (m->word[0] + (uint64_t)folded + 1) * PRIME;
        m->word_length++;
    } else if (m->word_length) {
        if (!m->line_word) m->line_word = m->word[0];
        m->word[2] = m->word[1];
        m->word[1] = m->word[0];
        m->word[0] = 0;
        m->word_length = 0;
    }
    if ((int)(m->shape & 255) != class) m->shape = m->shape << 8 | (uint64_t)class;
    if (byte == '\n') {
        m->line_before = m->line;
        m->line = m->position;
        m->indent_before = m->indent;
        m->fields_before = m->field + 1;
        memcpy(m->field_at_before, m->field_at, sizeof m->field_at);
        m->field_at[0] = m->position;
        m->line_word = 0;
        m->first = m->field = m->separator = m->indent = 0;
    } else {
        uint32_t column = m->position - 1 - m->line;
        if (!column) m->first = byte;
        if ((byte == ' ' || byte == '\t') && (uint32_t)m->indent == column) m->indent++;
        if (byte == ',' || byte == '\t' || byte == '|' || byte == ';' || byte == ':' || byte == '=' || byte == '"') {
            m->field++;
            m->separator = byte;
            if (m->field < MANY_FIELDS) m->field_at[m->field] = m->position;
        }
    }
    m->history = m->history << 8 | (uint64_t)byte;
}

/* Codes a byte: a given one, or, if `byte` is negative, that whose interval holds `quantile`. */
VZ_EVERY_CPU static int code(vz_mixer *m, int byte, int32_t quantile, int32_t *interval) {
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
