/* Codes texts with a model as vaezip does, without Python: harness MODEL TEXT...
 *
 * MODEL comes from tests/arch/crosscheck.py, in this machine's byte order. For every path, text and latent one line
 * says the CRC-32 of all intervals and that of the coded words; the words have been decoded again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ans.h"
#include "contexts.h"
#include "decoder.h"
#include "mixer.h"
#include "predictor.h"
#include "product.h"

#define PRESETS 4
#define LATENTS 2 /* how many different ones */
#define MARK 0x12345678

static struct {
    vz_decoder decoder;
    vz_tables tables;
    vz_mixer_model mixer[PRESETS];
    const int32_t *scale[LATENTS], *shift[LATENTS], *initial_state[LATENTS];
} model;

static uint8_t *at; /* where the model's file is read */

static void *memory(size_t size) {
    void *p = calloc(size ? size : 1, 1);
    if (p) return p;
    fputs("no memory\n", stderr);
    exit(2);
}

static int32_t number(void) {
    int32_t x;
    memcpy(&x, at, sizeof x);
    at += sizeof x;
    return x;
}

static void *array(void) {
    size_t size = (size_t)number();
    void *p = at;
    at += (size + 3) & ~(size_t)3;
    return p;
}

static uint8_t *contents(const char *name, uint32_t *size) {
    FILE *file = fopen(name, "rb");
    if (!file || fseek(file, 0, SEEK_END)) {
        perror(name);
        exit(2);
    }
    *size = (uint32_t)ftell(file);
    rewind(file);
    uint8_t *bytes = memory(*size);
    if (fread(bytes, 1, *size, file) != *size) {
        perror(name);
        exit(2);
    }
    fclose(file);
    return bytes;
}

static void read_linear(vz_linear *linear, const vz_path *path) {
    linear->outputs = number();
    linear->pre = number();
    linear->shift = number();
    vz_matrix *matrix = &linear->matrix;
    matrix->outputs = number();
    matrix->inputs = number();
    int8_t *rows = array();
    matrix->weight = memory((size_t)matrix->outputs * (size_t)matrix->inputs);
    path->pack(matrix, rows);
    linear->multiplier = array();
    linear->bias = array();
}

static void read_decoder(vz_decoder *d, vz_tables *t, const vz_path *path) {
    d->path = path;
    d->width = number();
    d->layers = number();
    d->expansion = number();
    d->contexts = number();
    d->table_dim = number();
    t->order_count = number();
    t->words = number();
    for (int i = 0; i < t->order_count; i++) t->order[i] = (uint8_t)number();
    for (int i = 0; i < d->contexts; i++) t->bits[i] = (uint8_t)number();
    for (int i = 0; i < d->contexts; i++) t->offset[i] = number();
    d->tables = array();
    d->byte = array();
    d->norm = array();
    d->sigmoid = array();
    d->tanh = array();
    d->exp = array();
    t->tags = array();
    read_linear(&d->features, path);
    read_linear(&d->head, path);
    for (int i = 0; i < d->layers; i++) {
        vz_layer *layer = d->layer + i;
        read_linear(&layer->gates, path);
        read_linear(&layer->out, path);
        read_linear(&layer->up, path);
        layer->down.matrix.sparse = 1;
        read_linear(&layer->down, path);
        layer->out_scale = array();
    }
}

static void read_model(uint8_t *bytes, const vz_path *path) {
    at = bytes;
    if (number() != MARK) {
        fputs("the model is in another byte order\n", stderr);
        exit(2);
    }
    read_decoder(&model.decoder, &model.tables, path);
    vz_mixer_model first = {0};
    first.stretch = array();
    first.squash = array();
    first.log = array();
    first.rate = array();
    first.next = array();
    first.learning = array();
    for (int i = 0; i < PRESETS; i++) {
        vz_mixer_model *mixer = model.mixer + i;
        *mixer = first;
        mixer->weights = array();
        mixer->final_weights = array();
        mixer->history_map = array();
        mixer->match_map = array();
    }
    for (int z = 0; z < LATENTS; z++) {
        model.scale[z] = array();
        model.shift[z] = array();
        model.initial_state[z] = array();
    }
}

/* CRC-32, of numbers as little-endian bytes. */
static uint32_t crc32(const void *numbers, size_t count) {
    uint32_t crc = 0xFFFFFFFF;
    for (size_t i = 0; i < count; i++) {
        uint32_t x;
        memcpy(&x, (const uint8_t *)numbers + 4 * i, sizeof x);
        for (int byte = 0; byte < 4; byte++) {
            crc ^= x >> 8 * byte & 255;
            for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320 : 0);
        }
    }
    return ~crc;
}

static vz_predictor *predictor(const vz_mixer_model *const *mixer, int mixers, int z, uint32_t size) {
    vz_predictor *p = vz_predictor_new(&model.decoder, &model.tables, mixer, mixers, model.scale[z], model.shift[z],
                                       model.initial_state[z], size);
    if (p) return p;
    fputs("no memory\n", stderr);
    exit(2);
}

/* Whether the words, coded with the mixer's preset z, are those of the text, above a single word 1: of all of it and,
 * in step with that, of its first half. */
static int decodes(const uint32_t *words, uint32_t count, const uint8_t *text, uint32_t size, int z) {
    const vz_mixer_model *mixer = model.mixer + z;
    const uint32_t sizes[2] = {size, size / 2};
    vz_predictor *p[2];
    vz_ans *stack[2];
    uint8_t *found[2];
    int32_t *intervals[2];
    uint32_t done[2], bottom = 0;
    for (int i = 0; i < 2; i++) {
        p[i] = predictor(&mixer, 1, z, size);
        stack[i] = vz_ans_new(words, count);
        found[i] = memory(size);
        intervals[i] = memory(2 * (size_t)size * sizeof **intervals);
    }
    int same = stack[0] && stack[1];
    if (same) vz_predictors_decode_ans(p, stack, 2, sizes, found, intervals, done);
    for (int i = 0; i < 2; i++) same = same && done[i] == sizes[i] && !memcmp(found[i], text, sizes[i]);
    if (same && vz_ans_size(stack[0]) == 1) vz_ans_words(stack[0], &bottom);
    for (int i = 0; i < 2; i++) {
        free(found[i]);
        free(intervals[i]);
        vz_ans_free(stack[i]);
        vz_predictor_free(p[i]);
    }
    return same && bottom == 1;
}

static int check(const vz_path *path, const char *name, int z) {
    uint32_t size;
    uint8_t *text = contents(name, &size);
    const vz_mixer_model *mixers[PRESETS];
    for (int i = 0; i < PRESETS; i++) mixers[i] = model.mixer + i;
    int32_t (*intervals)[PRESETS][2] = memory(size * sizeof *intervals), (*own)[2] = memory(size * sizeof *own);
    vz_predictor *p = predictor(mixers, PRESETS, z, size);
    vz_predictor_intervals(p, text, size, &intervals[0][0][0]);
    vz_predictor_free(p);
    for (uint32_t i = 0; i < size; i++) memcpy(own[i], intervals[i][z], sizeof *own);

    const uint32_t bottom = 1;
    vz_ans *stack = vz_ans_new(&bottom, 1);
    if (!stack || !vz_ans_push(stack, &own[0][0], size)) {
        fputs("no memory\n", stderr);
        exit(2);
    }
    uint32_t count = vz_ans_size(stack), *words = memory(count * sizeof *words);
    vz_ans_words(stack, words);
    vz_ans_free(stack);
    int same = decodes(words, count, text, size, z);
    const char *file = strrchr(name, '/');
    printf("%s %s %d %08lx %08lx %s\n", path->name, file ? file + 1 : name, z,
           (unsigned long)crc32(intervals, (size_t)size * PRESETS * 2), (unsigned long)crc32(words, count),
           same ? "decodes" : "differs");
    free(text);
    free(intervals);
    free(own);
    free(words);
    return same;
}

int main(int argc, char **argv) {
    uint32_t size;
    uint8_t *bytes = contents(argv[1], &size);
    int same = 1;
    for (int i = 0; i < vz_path_count; i++) {
        const vz_path *path = vz_paths + i;
        if (!path->runs()) continue;
        read_model(bytes, path);
        for (int text = 2; text < argc; text++)
            for (int z = 0; z < LATENTS; z++) same &= check(path, argv[text], z);
        fflush(stdout);
    }
    return !same;
}
