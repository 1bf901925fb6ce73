#include "predictor.h"

#include <stdlib.h>
#include <string.h>

#include "evidence.h"

typedef struct {
    vz_contexts contexts;
    uint32_t position;
    uint8_t seen;
} place;

struct vz_predictor {
    const vz_network *network;
    const vz_tables *tables;
    vz_mixer **mixer;
    int mixers; /* in use, the first ones */
    vz_evidence *evidence;
    int32_t *scale, *shift, *state, *marked_state;
    uint32_t size;
    int begun; /* the network has predicted the next byte */
    place now, marked;
};

static int32_t *copy(const int32_t *from, size_t count) {
    int32_t *to = malloc(count * sizeof *to);
    if (to) memcpy(to, from, count * sizeof *to);
    return to;
}

vz_predictor *vz_predictor_new(const vz_network *network, const vz_tables *tables, const vz_mixer_model *const *mixer,
                               int mixers, const int32_t *scale, const int32_t *shift, const int32_t *start,
                               uint32_t size) {
    vz_predictor *p = calloc(1, sizeof *p);
    if (!p) return NULL;
    size_t width = (size_t)network->width, layers = (size_t)network->layers, sites = 2 * layers + 1;
    p->network = network;
    p->tables = tables;
    p->size = size;
    p->mixer = calloc((size_t)mixers, sizeof *p->mixer);
    p->evidence = vz_evidence_new(size);
    int complete = p->mixer && p->evidence;
    for (; complete && p->mixers < mixers; p->mixers++)
        complete = (p->mixer[p->mixers] = vz_mixer_new(mixer[p->mixers])) != NULL;
    p->scale = copy(scale, sites * width);
    p->shift = copy(shift, sites * width);
    p->state = copy(start, layers * width);
    if (!complete || !p->scale || !p->shift || !p->state) {
        vz_predictor_free(p);
        return NULL;
    }
    return p;
}

static size_t state_size(const vz_predictor *p) { return (size_t)p->network->layers * (size_t)p->network->width; }

vz_predictor *vz_predictor_copy(const vz_predictor *from, uint32_t more) {
    vz_predictor *p = from->begun || from->mixers != 1 ? NULL : calloc(1, sizeof *p);
    if (!p) return NULL;
    size_t width = (size_t)from->network->width, sites = 2 * (size_t)from->network->layers + 1;
    p->network = from->network;
    p->tables = from->tables;
    p->now = from->now;
    p->size = from->now.position + more;
    p->mixer = calloc(1, sizeof *p->mixer);
    p->evidence = vz_evidence_copy(from->evidence, more);
    p->scale = copy(from->scale, sites * width);
    p->shift = copy(from->shift, sites * width);
    p->state = copy(from->state, state_size(from));
    if (p->mixer && (p->mixer[0] = vz_mixer_copy(from->mixer[0]))) p->mixers = 1;
    if (!p->mixers || !p->evidence || !p->scale || !p->shift || !p->state) {
        vz_predictor_free(p);
        return NULL;
    }
    return p;
}

int vz_predictor_mark(vz_predictor *p, uint32_t limit) {
    free(p->marked_state);
    p->marked_state = copy(p->state, state_size(p));
    p->marked = p->now;
    return p->marked_state && !p->begun && p->mixers == 1 && vz_evidence_mark(p->evidence, limit);
}

int vz_predictor_rewind(vz_predictor *p) {
    if (!p->marked_state || p->begun || !vz_evidence_rewind(p->evidence)) return 0;
    memcpy(p->state, p->marked_state, state_size(p) * sizeof *p->state);
    p->now = p->marked;
    return 1;
}

void vz_predictor_free(vz_predictor *p) {
    if (!p) return;
    for (int i = 0; i < p->mixers; i++) vz_mixer_free(p->mixer[i]);
    free(p->mixer);
    vz_evidence_free(p->evidence);
    free(p->scale);
    free(p->shift);
    free(p->state);
    free(p->marked_state);
    free(p);
}

static void begin_byte(vz_predictor *p) {
    if (p->begun) return;
    int32_t exponentials[256];
    int64_t rows[VZ_MAX_CONTEXTS];
    vz_style style = {p->scale, p->shift};
    vz_contexts_rows(&p->now.contexts, p->tables, rows);
    vz_network_step(p->network, &style, p->state, p->now.seen, rows, exponentials);
    vz_evidence_begin(p->evidence, exponentials);
    p->begun = 1;
}

static void end_byte(vz_predictor *p, uint8_t byte) {
    p->begun = 0;
    p->now.seen = byte;
    p->now.position++;
    vz_contexts_push(&p->now.contexts, p->tables, byte);
}

void vz_predictor_encode(vz_predictor *p, const uint8_t *text, uint32_t count, int32_t *intervals) {
    for (; count && p->now.position < p->size; count--, text++, intervals += 2 * p->mixers) {
        begin_byte(p);
        vz_mixers_encode(p->mixer, p->mixers, p->evidence, *text, intervals);
        end_byte(p, *text);
    }
}

void vz_predictor_drop(vz_predictor *p, int mixer) {
    vz_mixer_free(p->mixer[mixer]);
    p->mixers--;
    memmove(p->mixer + mixer, p->mixer + mixer + 1, (size_t)(p->mixers - mixer) * sizeof *p->mixer);
}

uint8_t vz_predictor_decode(vz_predictor *p, int32_t quantile, float *row) {
    if (p->now.position == p->size) {
        memset(row, 0, 3 * sizeof *row);
        return 0;
    }
    int32_t interval[2];
    begin_byte(p);
    uint8_t byte = vz_mixer_decode(p->mixer[0], p->evidence, quantile, interval);
    end_byte(p, byte);
    row[0] = (float)(interval[0] - 1);
    row[1] = (float)(interval[1] - 1);
    row[2] = (float)(VZ_TOTAL - interval[0] - interval[1] - 1);
    return byte;
}

int vz_predictor_distribution(vz_predictor *p, int32_t *widths) {
    if (p->now.position == p->size) return 1;
    begin_byte(p);
    return vz_mixer_distribution(p->mixer[0], p->evidence, widths);
}

void vz_predictor_learned(const vz_predictor *p, int32_t *weights, int32_t *final_weights, uint32_t *history_map,
                          uint32_t *match_map) {
    vz_mixer_learned(p->mixer[0], weights, final_weights, history_map, match_map);
}
