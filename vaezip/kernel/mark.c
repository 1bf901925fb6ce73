/* Marks: what mixer and evidence are between two bytes, kept, to come back to it. Of large tables, only what has
 * changed. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "evidence.h"
#include "mixer_state.h"

#define MARKED offsetof(vz_history, followers)

int vz_evidence_mark(vz_evidence *e, size_t limit) {
    if (!e->journal) e->journal = calloc(1, sizeof *e->journal);
    if (!e->marked) e->marked = malloc(MARKED);
    if (!e->journal || !e->marked || !vz_journal_init(e->journal, limit)) return 0;
    memcpy(e->marked, &e->history, MARKED);
    return 1;
}

int vz_evidence_rewind(vz_evidence *e) {
    if (!e->journal || e->journal->overrun) return 0;
    vz_journal_rewind(e->journal, 0);
    memcpy(&e->history, e->marked, MARKED);
    return 1;
}

int vz_mixer_mark(vz_mixer *m) {
    free(m->marked);
    m->marked = vz_mixer_copy(m);
    memset(m->changed, 0, sizeof m->changed);
    memset(m->changed_apm, 0, sizeof m->changed_apm);
    return m->marked != NULL;
}

/* Copies back those rows of a table that have changed since the mark. */
static void bring_back(void *rows, const void *marked, uint8_t *changed, size_t count, size_t size) {
    for (size_t i = 0; i < count; i++)
        if (changed[i]) memcpy((uint8_t *)rows + i * size, (const uint8_t *)marked + i * size, size);
    memset(changed, 0, count);
}

void vz_mixer_rewind(vz_mixer *m) {
    const vz_mixer *from = m->marked;
    bring_back(m->weights, from->weights, m->changed, VZ_WEIGHT_ROWS, sizeof *m->weights);
    bring_back(m->apm_order2, from->apm_order2, m->changed_apm, ORDER2_ROWS, sizeof *m->apm_order2);
    memcpy(m->final_weights, from->final_weights, sizeof m->final_weights);
    memcpy(m->history_map, from->history_map, sizeof m->history_map);
    memcpy(m->match_map, from->match_map, sizeof m->match_map);
    memcpy(m->apm_node, from->apm_node, sizeof m->apm_node);
}
