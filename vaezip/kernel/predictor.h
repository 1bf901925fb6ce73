/* Network and mixer together: the intervals of a block's bytes, one after the other. There may be several mixers for
 * one network, to compare them. Twin of mixing/predictor.py. */
#ifndef VZ_PREDICTOR_H
#define VZ_PREDICTOR_H

#include <stdint.h>

#include "ans.h"
#include "contexts.h"
#include "decoder.h"
#include "mixer.h"
#include "range.h"

typedef struct vz_predictor vz_predictor;

/* A predictor is used by one thread at a time; what it shares with others, the models, is only read.
 * NULL if there is no memory. The models belong to the caller and must outlive it; what z sets, `scale` to
 * `initial_state`, is copied. */
vz_predictor *vz_predictor_new(const vz_decoder *decoder, const vz_tables *tables, const vz_mixer_model *const *mixer,
                               int mixers, const int32_t *scale, const int32_t *shift, const int32_t *initial_state,
                               uint32_t size);
/* Whether it may be copied and marked: it has one mixer, and is between two bytes. */
int vz_predictor_is_between(const vz_predictor *p);
/* A copy of another, which has one mixer, between two bytes, with room for `more` of them. NULL if there is no memory,
 * or it is not so. */
vz_predictor *vz_predictor_copy(const vz_predictor *p, uint32_t more);
void vz_predictor_free(vz_predictor *p);

/* Marks the state, between two bytes, to come back to it; what changes from here on goes into a journal of `limit`
 * bytes at most. 0 if there is no memory, the predictor has several mixers, or it is not between two bytes: then there
 * is no mark. */
int vz_predictor_mark(vz_predictor *p, uint32_t limit);
/* Goes back to the mark, which stays; 0 if there is none, the journal could not keep everything, or the predictor is
 * not between two bytes. */
int vz_predictor_rewind(vz_predictor *p);

/* How many bytes may be given to vz_predictor_intervals: as many as are left, but none once one has begun. */
uint32_t vz_predictor_room(const vz_predictor *p);
/* The intervals, (count, mixers, 2), of the next bytes: where each begins, and how wide it is. */
void vz_predictor_intervals(vz_predictor *p, const uint8_t *text, uint32_t count, int32_t *intervals);

/* Drops one of several mixers, as they are counted now. */
void vz_predictor_drop(vz_predictor *p, int mixer);

/* The next byte by the first mixer: that whose interval, (2,), holds `quantile`. After the last byte, 0 and zeros. */
uint8_t vz_predictor_symbol(vz_predictor *p, int32_t quantile, int32_t *interval);
/* Decodes the next bytes of several blocks, at most VZ_RUN and of one model, in step, so that its weights are read once
 * for all, each by its first mixer: a block's stack holds them; `text`, (count,), and `intervals`, (count, 2), get
 * them. Sets `done` to how many of each: fewer than `count` after the last byte, or where a quantile is in none of the
 * intervals. */
void vz_predictors_decode_ans(vz_predictor *const *p, vz_ans *const *stack, int predictors, const uint32_t *count,
                              uint8_t *const *text, int32_t *const *intervals, uint32_t *done);
/* Decodes the next bytes by the first mixer, which a range coder holds, up to and with the first that is `end`; -1 for
 * none. Returns how many, likewise. */
uint32_t vz_predictor_decode_range(vz_predictor *p, vz_range *range, uint32_t count, int end, uint8_t *text);

/* The widths, (256,), that the intervals of all values of the next byte would have, by the first mixer.
 * After the last byte, does nothing. 0 if there is no memory. */
int vz_predictor_distribution(vz_predictor *p, int32_t *widths);

/* Copies what the first mixer has learned so far, in the shapes of vz_mixer_model. */
void vz_predictor_learned(const vz_predictor *p, int32_t *weights, int32_t *final_weights, uint32_t *history_map,
                          uint32_t *match_map);

#endif
