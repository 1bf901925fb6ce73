#include "predictor.h"

#include <stdlib.h>
#include <string.h>

#include "evidence.h"

typedef struct {
    vz_context_state contexts;
    uint32_t position;
    uint8_t seen;
} place;

struct vz_predictor {
    const vz_decoder *decoder;
    const vz_tables *tables;
    vz_mixer **mixer;
    int mixers; /* in use, the first ones */
    vz_evidence *evidence;
    int32_t *scale, *shift, *state, *marked_state;
    vz_modulation modulation; /* by scale and shift */
    vz_workspace workspace;
    uint32_t size;
    int begun; /* the network has predicted the next byte */
    place now, marked;
};

static int32_t *copy(const int32_t *from, size_t count) {
    int32_t *to = malloc(count * sizeof *to);
    if (to) memcpy(to, from, count * sizeof *to);
    return to;
}

vz_predictor *vz_predictor_new(const vz_decoder *decoder, const vz_tables *tables, const vz_mixer_model *const *mixer,
                               int mixers, const int32_t *scale, const int32_t *shift, const int32_t *initial_state,
                               uint32_t size) {
    vz_predictor *p = calloc(1, sizeof *p);
    if (!p) return NULL;
    size_t width = (size_t)decoder->width, layers = (size_t)decoder->layers, sites = 2 * layers + 1;
    p->decoder = decoder;
    p->tables = tables;
    p->size = size;
    p->mixer = calloc((size_t)mixers, sizeof *p->mixer);
    p->evidence = vz_evidence_new(size);
    int complete = p->mixer && p->evidence && vz_workspace_init(&p->workspace, decoder);
    for (; complete && p->mixers < mixers; p->mixers++)
        complete = (p->mixer[p->mixers] = vz_mixer_new(mixer[p->mixers])) != NULL;
    p->scale = copy(scale, sites * width);
    p->shift = copy(shift, sites * width);
    p->state = copy(initial_state, layers * width);
    p->modulation = (vz_modulation){p->scale, p->shift};
    if (!complete || !p->scale || !p->shift || !p->state) {
        vz_predictor_free(p);
        return NULL;
    }
    return p;
}

static size_t state_size(const vz_predictor *p) { return (size_t)p->decoder->layers * (size_t)p->decoder->width; }

int vz_predictor_is_between(const vz_predictor *p) { return !p->begun && p->mixers == 1; }

vz_predictor *vz_predictor_copy(const vz_predictor *from, uint32_t more) {
    vz_predictor *p = vz_predictor_is_between(from) ? calloc(1, sizeof *p) : NULL;
    if (!p) return NULL;
    size_t width = (size_t)from->decoder->width, sites = 2 * (size_t)from->decoder->layers + 1;
    p->decoder = from->decoder;
    p->tables = from->tables;
    p->now = from->now;
    p->size = from->now.position + more;
    p->mixer = calloc(1, sizeof *p->mixer);
    p->evidence = vz_evidence_copy(from->evidence, more);
    p->scale = copy(from->scale, sites * width);
    p->shift = copy(from->shift, sites * width);
    p->state = copy(from->state, state_size(from));
    p->modulation = (vz_modulation){p->scale, p->shift};
    if (p->mixer && (p->mixer[0] = vz_mixer_copy(from->mixer[0]))) p->mixers = 1;
    if (!p->mixers || !p->evidence || !p->scale || !p->shift || !p->state ||
        !vz_workspace_init(&p->workspace, p->decoder)) {
        vz_predictor_free(p);
        return NULL;
    }
    return p;
}

int vz_predictor_mark(vz_predictor *p, uint32_t limit) {
    free(p->marked_state);
    p->marked_state = NULL; /* as long as any part is missing, there is no mark to go back to */
    if (!vz_predictor_is_between(p) || !vz_evidence_mark(p->evidence, limit) || !vz_mixer_mark(p->mixer[0])) return 0;
    p->marked_state = copy(p->state, state_size(p));
    p->marked = p->now;
    return p->marked_state != NULL;
}

int vz_predictor_rewind(vz_predictor *p) {
    if (!p->marked_state || p->begun || !vz_evidence_rewind(p->evidence)) return 0;
    vz_mixer_rewind(p->mixer[0]);
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
    vz_workspace_free(&p->workspace);
    free(p);
}

/* A byte that comes after these contexts and that byte; of its rows, the slots. */
static vz_position position(const vz_predictor *p, const vz_context_state *contexts, uint8_t seen, int64_t *rows) {
    vz_context_state_slots(contexts, p->tables, rows);
    return (vz_position){&p->modulation, p->state, rows, seen};
}

/* The network's part of the next bytes, of which all but the last are known: `text`. */
static void run(vz_predictor *p, const uint8_t *text, int count, int32_t *exponentials) {
    int64_t rows[VZ_RUN][VZ_MAX_CONTEXTS];
    vz_position at[VZ_RUN];
    vz_context_state contexts = p->now.contexts;
    for (int i = 0; i < count; i++) {
        if (i) vz_context_state_push(&contexts, p->tables, text[i - 1]);
        at[i] = position(p, &contexts, i ? text[i - 1] : p->now.seen, rows[i]);
    }
    for (int i = 0; i < count; i++) vz_find_rows(p->tables, rows[i]);
    vz_decoder_run(p->decoder, &p->workspace, at, count, exponentials);
}

/* The network's part of the next byte of each of several predictors of one model, at most VZ_RUN. */
static void begin_bytes(vz_predictor *const *p, int count) {
    int64_t rows[VZ_RUN][VZ_MAX_CONTEXTS];
    vz_position at[VZ_RUN];
    vz_predictor *which[VZ_RUN];
    int32_t exponentials[VZ_RUN * 256];
    int n = 0;
    for (int i = 0; i < count; i++) {
        if (p[i]->begun) continue;
        at[n] = position(p[i], &p[i]->now.contexts, p[i]->now.seen, rows[n]);
        which[n++] = p[i];
    }
    for (int i = 0; i < n; i++) vz_find_rows(which[i]->tables, rows[i]);
    if (n) vz_decoder_run(which[0]->decoder, &which[0]->workspace, at, n, exponentials);
    for (int i = 0; i < n; i++) {
        vz_evidence_begin(which[i]->evidence, exponentials + 256 * i);
        vz_history_expect(&which[i]->evidence->history, which[i]->evidence->guess[0]);
        which[i]->begun = 1;
    }
}

static void end_byte(vz_predictor *p, uint8_t byte) {
    p->begun = 0;
    p->now.seen = byte;
    p->now.position++;
    vz_context_state_push(&p->now.contexts, p->tables, byte);
}

static int32_t *byte_intervals(vz_predictor *p, uint8_t byte, int32_t *intervals) {
    vz_mixers_intervals(p->mixer, p->mixers, p->evidence, byte, intervals);
    end_byte(p, byte);
    return intervals + 2 * p->mixers;
}

uint32_t vz_predictor_room(const vz_predictor *p) { return p->begun ? 0 : p->size - p->now.position; }

void vz_predictor_intervals(vz_predictor *p, const uint8_t *text, uint32_t count, int32_t *intervals) {
    int32_t exponentials[VZ_RUN * 256];
    while (count) {
        const int now = count < VZ_RUN ? (int)count : VZ_RUN;
        run(p, text, now, exponentials);
        for (int i = 0; i < now; i++) {
            vz_evidence_begin(p->evidence, exponentials + 256 * i);
            vz_history_expect(&p->evidence->history, text[i]);
            intervals = byte_intervals(p, text[i], intervals);
        }
        text += now;
        count -= (uint32_t)now;
    }
}

void vz_predictor_drop(vz_predictor *p, int mixer) {
    vz_mixer_free(p->mixer[mixer]);
    p->mixers--;
    memmove(p->mixer + mixer, p->mixer + mixer + 1, (size_t)(p->mixers - mixer) * sizeof *p->mixer);
}

uint8_t vz_predictor_symbol(vz_predictor *p, int32_t quantile, int32_t *interval) {
    interval[0] = interval[1] = 0;
    if (p->now.position == p->size) return 0;
    begin_bytes(&p, 1);
    uint8_t byte = vz_mixer_symbol(p->mixer[0], p->evidence, quantile, interval);
    end_byte(p, byte);
    return byte;
}

void vz_predictors_decode_ans(vz_predictor *const *p, vz_ans *const *stack, int predictors, const uint32_t *count,
                              uint8_t *const *text, int32_t *const *intervals, uint32_t *done) {
    vz_predictor *next[VZ_RUN] = {NULL};
    int which[VZ_RUN], n = predictors;
    for (int i = 0; i < predictors; i++) done[i] = 0;
    for (uint32_t step = 0; n; step++) {
        n = 0;
        for (int i = 0; i < predictors; i++)
            if (done[i] == step && step < count[i] && p[i]->now.position < p[i]->size) {
                which[n] = i;
                next[n++] = p[i];
            }
        begin_bytes(next, n);
        for (int k = 0; k < n; k++) {
            const int i = which[k];
            int32_t *interval = intervals[i] + 2 * (size_t)step;
            text[i][step] = vz_predictor_symbol(p[i], vz_ans_quantile(stack[i]), interval);
            done[i] += (uint32_t)vz_ans_pop(stack[i], interval, 1);
        }
    }
}

uint32_t vz_predictor_decode_range(vz_predictor *p, vz_range *range, uint32_t count, int end, uint8_t *text) {
    for (uint32_t done = 0; done < count; done++) {
        int32_t interval[2];
        text[done] = vz_predictor_symbol(p, vz_range_quantile(range), interval);
        if (!vz_range_pop(range, interval[0], interval[1])) return done;
        if (text[done] == end) return done + 1;
    }
    return count;
}

int vz_predictor_distribution(vz_predictor *p, int32_t *widths) {
    if (p->now.position == p->size) return 1;
    begin_bytes(&p, 1);
    return vz_mixer_distribution(p->mixer[0], p->evidence, widths);
}

void vz_predictor_learned(const vz_predictor *p, int32_t *weights, int32_t *final_weights, uint32_t *history_map,
                          uint32_t *match_map) {
    vz_mixer_learned(p->mixer[0], weights, final_weights, history_map, match_map);
}
