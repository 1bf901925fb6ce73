/* Network and mixer together: the frequencies of a block's nibbles, one after the other. */
#ifndef VZ_PREDICTOR_H
#define VZ_PREDICTOR_H

#include <stdint.h>

#include "contexts.h"
#include "mixer.h"
#include "network.h"

typedef struct vz_predictor vz_predictor;

/* NULL if there is no memory. The models belong to the caller and must outlive it; what z sets (`scale` to `weights`) is copied. */
vz_predictor *vz_predictor_new(const vz_network *network, const vz_tables *tables, const vz_mixer_model *mixer,
                               const int32_t *scale, const int32_t *shift, const int32_t *start,
                               const int32_t *weights, uint32_t size);
void vz_predictor_free(vz_predictor *p);

/* To encode all of a block: `intervals`, (2 * size, 2), gets for every nibble the sum of the frequencies of lesser
 * ones, and its own. */
void vz_predictor_encode(vz_predictor *p, const uint8_t *text, int32_t *intervals);

/* To decode: `row`, (16,), gets the frequencies, each less 1, of the nibble after `nibble`, or of the first one if
 * that is negative. Nothing is written after the last nibble. */
void vz_predictor_next(vz_predictor *p, int nibble, float *row);

/* What the mixer has learned so far, in the shapes of vz_mixer_model. */
void vz_predictor_learned(const vz_predictor *p, int32_t *weights, int32_t *final_weights, uint32_t *history_map,
                          uint32_t *match_map);

#endif
