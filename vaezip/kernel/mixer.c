#include "mixer.h"

#include <stdlib.h>
#include <string.h>

#include "arithmetic.h"
#include "evidence.h"
#include "mixer_state.h"

#define DOMAIN_LIMIT 32767 /* logistic domain in units of 1/4096 */
#define WEIGHT_LIMIT 262143
#define COUNT_LIMIT 255 /* of the entries of history and match map */
#define APM_SHIFT 6     /* by which the entry of an adaptive probability map (APM) moves after a bit */
#define NETWORK 0
#define BIAS 1
#define FIRST_MATCH 2
#define FIRST_HISTORY (FIRST_MATCH + VZ_MATCHES)
#define WALK_LIMIT ((size_t)1 << 16) /* bytes; what seven bits and a nibble change takes a fifth */

static const int32_t node_margin_limits[] = {64, 160, 320, 512, 768, 1024, 1400};
static const uint16_t match_class_limits[] = {4, 6, 8, 12, 16, 24, 32, 64, 128, VZ_LONGEST_MATCH};

typedef struct {
    int32_t input[VZ_INPUTS];
    int row[VZ_SETS], final_row[VZ_FINAL_SETS];
    int output[VZ_SETS]; /* logistic domain, unit 1/4096 */
    int mixed;           /* likewise, of the final mixer; then the APMs refine it */
    int apm[2], bucket; /* rows of the two APMs, and of these the nearest bucket */
    int match_bit[VZ_MATCHES]; /* which bit each match expects, or -1 */
    uint8_t state[VZ_HISTORIES]; /* of the histories, by which their entries are found in the map */
    uint32_t entry[VZ_HISTORIES];
    int32_t rate[VZ_HISTORIES]; /* by which they adapt */
    int32_t mask[VZ_HISTORIES]; /* all ones for histories with a state, else 0: as wide as the entries, for vectors */
    int probability; /* of a one, 16 bits */
} prediction;

vz_mixer *vz_mixer_new(const vz_mixer_model *model) {
    vz_mixer *m = malloc(sizeof *m);
    if (!m) return NULL;
    m->model = model;
    m->marked = NULL;
    memcpy(m->weights, model->weights, sizeof m->weights);
    memcpy(m->final_weights, model->final_weights, sizeof m->final_weights);
    memcpy(m->history_map, model->history_map, sizeof m->history_map);
    memcpy(m->match_map, model->match_map, sizeof m->match_map);
    for (int j = 0; j < APM_BUCKETS; j++) m->apm_node[0][j] = (uint16_t)model->squash[j * 128];
    for (int i = 1; i < VZ_EXPECTED * VZ_NODES; i++) memcpy(m->apm_node[i], m->apm_node[0], sizeof *m->apm_node);
    for (int i = 0; i < ORDER2_ROWS; i++) memcpy(m->apm_order2[i], m->apm_node[0], sizeof *m->apm_order2);
    return m;
}

vz_mixer *vz_mixer_copy(const vz_mixer *from) {
    vz_mixer *m = malloc(sizeof *m);
    if (m) {
        memcpy(m, from, sizeof *m);
        m->marked = NULL;
    }
    return m;
}

void vz_mixer_free(vz_mixer *m) {
    if (m) free(m->marked);
    free(m);
}

VZ_INLINE int squash(const vz_mixer *m, int x) {
    int at = x + DOMAIN_LIMIT + 1, f = at & 15;
    const int32_t *p = m->model->squash + (at >> 4);
    return (p[0] * (16 - f) + p[1] * f) >> 4;
}

VZ_INLINE int32_t logarithm(const vz_mixer *m, uint32_t x) {
    int bits = vz_bit_length(x) - 1;
    uint32_t mantissa = x << (31 - bits) >> 21 & 1023;
    return bits * m->model->log[1024] + m->model->log[mantissa];
}

static int length_class(uint32_t length) {
    if (length < 16) return (int)length;
    if (length < 32) return 16 + (int)(length - 16) / 4;
    if (length < 64) return 20 + (int)(length - 32) / 8;
    if (length < VZ_LONGEST_MATCH) return 24 + (int)(length - 64) / 48;
    return 31;
}

/* The class of a match that expects a bit, 2 to 12; 0 is for none. */
static int match_class(uint32_t length) {
    int i = 0;
    while (i < VZ_MATCH_CLASSES - 3 && length >= match_class_limits[i]) i++;
    return 2 + i;
}

/* The index of the node's history in a slot, 0 to 14. */
static int history_index(const vz_evidence *e) {
    int depth = e->depth & 3;
    return (1 << depth | (e->node & ((1 << depth) - 1))) - 1;
}

VZ_INLINE int16_t stretched(const vz_mixer *m, uint32_t entry) { return m->model->stretch[entry >> 20]; }

/* The inputs from the histories; 0 from one without a state. What learning will need is looked up here, too: a vector
 * whose parts have only just been stored is slow to load. */
VZ_INLINE void consult(const vz_mixer *m, const uint8_t *restrict state, prediction *restrict p) {
    const int16_t *restrict stretch = m->model->stretch;
    const int32_t *restrict rates = m->model->rate;
    int32_t *restrict input = p->input + FIRST_HISTORY;
    VZ_UNROLL
    for (int i = 0; i < VZ_HISTORIES; i++) {
        const uint32_t entry = m->history_map[i][vz_scalar(state[i])];
        const int32_t mask = -(state[i] != 0);
        p->state[i] = state[i];
        p->entry[i] = entry;
        p->rate[i] = rates[entry & 1023];
        p->mask[i] = mask;
        input[i] = stretch[entry >> 20] & mask;
    }
}

/* The sum of weights, in eighths, times inputs: at most 32 * 2^15 * 2047. */
VZ_INLINE int32_t dot(const int32_t *restrict weights, const int32_t *restrict input) {
    int32_t sum = 0;
    for (int i = 0; i < VZ_INPUTS; i++) sum += (weights[i] >> 3) * input[i];
    return sum;
}

VZ_INLINE void set_inputs(const vz_mixer *m, const vz_evidence *e, const uint8_t *state, prediction *p) {
    const int node = e->node, depth = e->depth;
    int32_t network = (logarithm(m, e->tree[2 * node + 1]) - logarithm(m, e->tree[2 * node])) >> 8;
    p->input[NETWORK] = vz_clip(network, -2047, 2047);
    p->input[BIAS] = 256;
    for (int i = 0; i < VZ_MATCHES; i++) {
        const vz_match *match = e->history.match + i;
        int byte = match->length ? e->history.text[match->position] | 256 : 0;
        p->match_bit[i] = -1;
        p->input[FIRST_MATCH + i] = 0;
        if (byte >> (8 - depth) == node) {
            p->match_bit[i] = byte >> (7 - depth) & 1;
            int32_t s = stretched(m, m->match_map[i][length_class(match->length)]);
            p->input[FIRST_MATCH + i] = p->match_bit[i] ? s : -s;
        }
    }
    consult(m, state, p);
}

VZ_INLINE void choose_rows(const vz_mixer *m, const vz_evidence *e, prediction *p) {
    const vz_history *h = &e->history;
    const int node = e->node, depth = e->depth, order = e->order, share = e->byte_share;
    int margin = 0, network = p->input[NETWORK] < 0 ? -p->input[NETWORK] : p->input[NETWORK];
    for (int i = 0; i < VZ_NODE_MARGINS - 1; i++) margin += network >= node_margin_limits[i];
    int expected = p->match_bit[0] + 1, match = expected ? match_class(h->match[0].length) : 0;
    int fields = vz_clip(h->fields, 0, VZ_FIELDS - 1), letters = vz_clip(h->word_length, 0, VZ_WORD_LENGTHS - 1);
    int last = (int)(h->recent & 255), before = e->before;
    p->row[0] = VZ_SET_NODE + node;
    p->row[1] = VZ_SET_MATCH + match * VZ_DEPTHS + depth;
    p->row[2] = VZ_SET_BYTE + last * VZ_DEPTHS + depth;
    p->row[3] = VZ_SET_ORDER + (order * VZ_NODE_MARGINS + margin) * VZ_DEPTHS + depth;
    p->row[4] =
        VZ_SET_BYTE_SHARE + ((expected * VZ_ORDERS + order) * VZ_BYTE_SHARES + share) * VZ_NODE_MARGINS + margin;
    p->row[5] = VZ_SET_FIELD + (fields * VZ_WORD_LENGTHS + letters) * VZ_DEPTHS + depth;
    p->row[6] = VZ_SET_BEFORE + before * VZ_DEPTHS + depth;
    p->final_row[0] = VZ_FINAL_MATCH + match * VZ_BYTE_SHARES + share;
    p->final_row[1] = VZ_FINAL_BYTE + last;
    p->final_row[2] = VZ_FINAL_NODE + node;
    p->final_row[3] = VZ_FINAL_BEFORE + before * VZ_DEPTHS + depth;
    p->apm[0] = expected * VZ_NODES + node;
    for (int s = 0; s < VZ_SETS; s++) {
        VZ_PREFETCH(m->weights[p->row[s]]);
        VZ_PREFETCH(m->weights[p->row[s]] + VZ_INPUTS - 1);
    }
}

VZ_INLINE void mix(const vz_mixer *m, prediction *p) {
    int64_t mixed = 0;
    for (int s = 0; s < VZ_SETS; s++) {
        p->output[s] = vz_clip(dot(m->weights[p->row[s]], p->input) >> 9, -DOMAIN_LIMIT, DOMAIN_LIMIT);
        int32_t weight = 0;
        for (int k = 0; k < VZ_FINAL_SETS; k++) weight += m->final_weights[p->final_row[k]][s];
        mixed += (int64_t)weight * (p->output[s] >> 4);
    }
    p->mixed = vz_clip((int32_t)(mixed >> 14), -DOMAIN_LIMIT, DOMAIN_LIMIT); /* 12, and 2 for the mean of four */
}

VZ_INLINE void refine(const vz_mixer *m, prediction *p) {
    int at = p->mixed + DOMAIN_LIMIT + 1, bucket = at >> 11, f = at & 2047;
    const uint16_t *a = m->apm_node[p->apm[0]] + bucket, *b = m->apm_order2[p->apm[1]] + bucket;
    int refined = ((a[0] + b[0]) * (2048 - f) + (a[1] + b[1]) * f) >> 11;
    p->probability = vz_clip((2 * squash(m, p->mixed) + refined) >> 2, 16, 65520);
    p->bucket = bucket + (f >= 1024);
}

/* The row of the second APM. It is asked for first, since of all rows it is the least likely to be in a near cache. */
VZ_INLINE void choose_order2_row(const vz_mixer *m, const vz_evidence *e, prediction *p) {
    p->apm[1] = (int)(vz_hash64((e->history.recent & 0xFFFF) << 8 | (uint64_t)e->node) >> (64 - ORDER2_BITS));
    VZ_PREFETCH(m->apm_order2[p->apm[1]]);
    VZ_PREFETCH(m->apm_order2[p->apm[1]] + APM_BUCKETS - 1);
}

VZ_INLINE void predict(const vz_mixer *m, const vz_evidence *e, const uint8_t *state, prediction *p) {
    choose_order2_row(m, e, p);
    set_inputs(m, e, state, p);
    choose_rows(m, e, p);
    mix(m, p);
    refine(m, p);
}

/* An entry of a map after a bit. (d * rate) >> 16 of |d| <= 2^22 and 0 <= rate <= 2^16, in 32 bits. */
VZ_INLINE uint32_t adapted(uint32_t entry, int32_t rate, int bit) {
    int32_t count = (int32_t)(entry & 1023), p = (int32_t)(entry >> 10), d = (bit << 22) - p;
    p += ((d >> 9) * rate + (((d & 511) * rate) >> 9)) >> 7;
    return (uint32_t)p << 10 | (uint32_t)(count + (count < COUNT_LIMIT));
}

VZ_INLINE void adapt_match(vz_mixer *m, uint32_t *entry, int bit, vz_journal *j) {
    vz_journal_keep(j, entry, sizeof *entry);
    *entry = adapted(*entry, m->model->rate[*entry & 1023], bit);
}

VZ_INLINE void adapt_histories(vz_mixer *restrict m, const prediction *restrict p, int bit, vz_journal *j) {
    uint32_t entry[VZ_HISTORIES];
    for (int i = 0; i < VZ_HISTORIES; i++) {
        uint32_t before = p->entry[i], mask = (uint32_t)p->mask[i];
        entry[i] = (adapted(before, p->rate[i], bit) & mask) | (before & ~mask);
    }
    VZ_UNROLL
    for (int i = 0; i < VZ_HISTORIES; i++) {
        uint32_t *at = &m->history_map[i][p->state[i]];
        if (p->mask[i]) vz_journal_keep(j, at, sizeof *at);
        *at = entry[i];
    }
}

VZ_INLINE void adapt_apm(uint16_t *probability, int bit, vz_journal *j) {
    vz_journal_keep(j, probability, sizeof *probability);
    *probability = (uint16_t)(*probability + (((bit ? 65535 : 0) - *probability) >> APM_SHIFT));
}

/* Learns from a bit. The journal, which may be NULL, keeps what changes; if the mixer is `marked`, the changed rows are
 * noted. */
VZ_INLINE void learn(vz_mixer *m, const vz_evidence *e, const prediction *p, int bit, vz_journal *j, const int marked) {
    const int target = bit << 16;
    for (int s = 0; s < VZ_SETS; s++) {
        int32_t *w = m->weights[p->row[s]];
        vz_journal_keep(j, w, sizeof m->weights[0]);
        if (marked) m->changed[p->row[s]] = 1;
        int step = ((target - squash(m, p->output[s])) * m->rate) >> 8; /* at most 2^16 * 2046 >> 8, times 2047 */
        for (int i = 0; i < VZ_INPUTS; i++)
            w[i] = vz_clip(w[i] + ((p->input[i] * step + 32768) >> 16), -WEIGHT_LIMIT, WEIGHT_LIMIT);
    }
    int step = ((target - squash(m, p->mixed)) * m->model->learning[3]) >> 8;
    for (int k = 0; k < VZ_FINAL_SETS; k++) {
        int32_t *w = m->final_weights[p->final_row[k]];
        vz_journal_keep(j, w, sizeof m->final_weights[0]);
        for (int s = 0; s < VZ_SETS; s++)
            w[s] = vz_clip(w[s] + (((p->output[s] >> 4) * step + 32768) >> 16), -WEIGHT_LIMIT, WEIGHT_LIMIT);
    }
    adapt_apm(&m->apm_node[p->apm[0]][p->bucket], bit, j);
    adapt_apm(&m->apm_order2[p->apm[1]][p->bucket], bit, j);
    if (marked) m->changed_apm[p->apm[1]] = 1;
    for (int i = 0; i < VZ_MATCHES; i++)
        if (p->match_bit[i] >= 0)
            adapt_match(m, &m->match_map[i][length_class(e->history.match[i].length)], p->match_bit[i] == bit, j);
    adapt_histories(m, p, bit, j);
}

/* The states of the node's histories. */
VZ_INLINE void read_states(const vz_evidence *e, uint8_t *restrict state) {
    const int index = history_index(e);
    VZ_UNROLL
    for (int i = 0; i < VZ_HISTORIES; i++) state[i] = e->history.slots[i]->state[index];
}

VZ_INLINE void advance(vz_evidence *e, const uint8_t *restrict state, const uint8_t *restrict next, int bit,
                       vz_journal *j) {
    const int index = history_index(e);
    VZ_UNROLL
    for (int i = 0; i < VZ_HISTORIES; i++) {
        uint8_t *to = &e->history.slots[i]->state[index];
        vz_journal_keep(j, to, sizeof *to);
        *to = next[2 * state[i] + bit];
    }
    e->node = 2 * e->node + bit;
    e->depth++;
}

/* The rate of learning for this byte: fast at first, then slower. */
VZ_INLINE void set_rate(vz_mixer *m, const vz_evidence *e) {
    const int32_t *learning = m->model->learning;
    m->rate = learning[0] + (int)((int64_t)learning[1] * learning[2] / ((int64_t)learning[2] + e->history.position));
}

/* The part of an interval's width that a one takes; neither branch may leave one of its bytes nothing. */
VZ_INLINE int32_t share_of_ones(int32_t width, int probability, int depth) {
    int leaves = 128 >> depth;
    return vz_clip((int32_t)(((int64_t)width * probability) >> 16), leaves, width - leaves);
}

/* Codes a byte: a given one, or, if `byte` is negative, the one whose interval by the first mixer holds `quantile`. */
VZ_INLINE int code_with(vz_journal *journal, vz_mixer *const *mixers, int count, vz_evidence *e, int byte,
                        int32_t quantile, int32_t *intervals) {
    for (int k = 0; k < count; k++) {
        set_rate(mixers[k], e);
        intervals[2 * k] = 1;
        intervals[2 * k + 1] = VZ_TOTAL - 2;
    }
    while (e->depth < 8) {
        if (e->depth == 4) vz_evidence_begin_nibble(e, journal ? vz_journal_ready(journal) : NULL);
        int bit = byte >> (7 - e->depth) & 1;
        uint8_t state[VZ_HISTORIES];
        read_states(e, state);
        for (int k = 0; k < count; k++) {
            prediction p;
            int32_t *below = intervals + 2 * k, *width = below + 1;
            predict(mixers[k], e, state, &p);
            int32_t ones = share_of_ones(*width, p.probability, e->depth);
            if (byte < 0 && k == 0) bit = quantile >= *below + *width - ones;
            const int32_t zeros = *width - ones;
            *below += zeros & -bit; /* no branch: a bit is hard to guess */
            *width = zeros + ((ones - zeros) & -bit);
            learn(mixers[k], e, &p, bit, NULL, journal != NULL);
        }
        advance(e, state, mixers[0]->model->next, bit, NULL); /* the slots have been kept */
    }
    vz_history_push(&e->history, e->node & 255, journal ? vz_journal_ready(journal) : NULL);
    return e->node & 255;
}

/* Compiled twice, so that marks cost nothing where there is no journal; where there is one, there is one mixer. */
VZ_EVERY_CPU static int code(vz_mixer *const *mixers, int count, vz_evidence *e, int byte, int32_t quantile,
                             int32_t *intervals) {
    return e->journal ? code_with(e->journal, mixers, 1, e, byte, quantile, intervals)
                      : code_with(NULL, mixers, count, e, byte, quantile, intervals);
}

void vz_mixers_intervals(vz_mixer *const *mixers, int count, vz_evidence *e, uint8_t byte, int32_t *intervals) {
    code(mixers, count, e, byte, 0, intervals);
}

uint8_t vz_mixer_symbol(vz_mixer *m, vz_evidence *e, int32_t quantile, int32_t *interval) {
    return (uint8_t)code(&m, 1, e, -1, quantile, interval);
}

/* The widths below a node whose interval has `width`: on the way to each, it learns as in `code`, and forgets. */
VZ_EVERY_CPU static void walk(vz_mixer *m, vz_evidence *e, vz_journal *j, int32_t width, int32_t *widths) {
    const int node = e->node, depth = e->depth, order = e->order;
    const size_t before = j->size;
    vz_slot *slots[VZ_HISTORIES];
    memcpy(slots, e->history.slots, sizeof slots);
    if (depth == 4) vz_evidence_begin_nibble(e, j);
    prediction p;
    uint8_t state[VZ_HISTORIES];
    read_states(e, state);
    predict(m, e, state, &p);
    int32_t ones = share_of_ones(width, p.probability, depth);
    if (depth == 7) {
        widths[2 * node & 255] = width - ones;
        widths[(2 * node & 255) + 1] = ones;
        return;
    }
    const size_t here = j->size;
    for (int bit = 0; bit < 2; bit++) {
        learn(m, e, &p, bit, j, 0);
        advance(e, state, m->model->next, bit, j);
        walk(m, e, j, bit ? ones : width - ones, widths);
        e->node = node;
        e->depth = depth;
        vz_journal_rewind(j, here);
    }
    vz_journal_rewind(j, before);
    memcpy(e->history.slots, slots, sizeof slots);
    e->order = order;
}

int vz_mixer_distribution(vz_mixer *m, vz_evidence *e, int32_t *widths) {
    vz_journal journal = {0};
    if (!vz_journal_init(&journal, WALK_LIMIT)) return 0;
    set_rate(m, e);
    walk(m, e, &journal, VZ_TOTAL - 2, widths);
    vz_journal_free(&journal);
    return 1;
}

void vz_mixer_learned(const vz_mixer *m, int32_t *weights, int32_t *final_weights, uint32_t *history_map,
                      uint32_t *match_map) {
    memcpy(weights, m->weights, sizeof m->weights);
    memcpy(final_weights, m->final_weights, sizeof m->final_weights);
    memcpy(history_map, m->history_map, sizeof m->history_map);
    memcpy(match_map, m->match_map, sizeof m->match_map);
}
