/* What a mixer holds: mixer.c predicts and learns with it, mark.c keeps it and brings it back. */
#ifndef VZ_MIXER_STATE_H
#define VZ_MIXER_STATE_H

#include "mixer.h"

#define APM_BUCKETS 33 /* of a row of an adaptive probability map (APM) */
#define ORDER2_BITS 12 /* of the hash of node and two bytes, by which a row of the second APM is chosen */
#define ORDER2_ROWS (1 << ORDER2_BITS)

struct vz_mixer {
    const vz_mixer_model *model;
    int32_t weights[VZ_WEIGHT_ROWS][VZ_INPUTS], final_weights[VZ_FINAL_ROWS][VZ_SETS];
    uint32_t history_map[VZ_HISTORIES][VZ_STATES], match_map[VZ_MATCHES][VZ_MATCH_LENGTHS];
    uint16_t apm_node[VZ_EXPECTED * VZ_NODES][APM_BUCKETS], apm_order2[ORDER2_ROWS][APM_BUCKETS];
    int rate; /* of learning the weights, for this byte */

    vz_mixer *marked; /* as it was at the mark; NULL if there is none */
    uint8_t changed[VZ_WEIGHT_ROWS], changed_apm[ORDER2_ROWS]; /* since then: rows of the two largest tables */
};

#endif
