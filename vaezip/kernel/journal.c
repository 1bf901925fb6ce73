#include "journal.h"

#include <stdlib.h>

#define FIRST_CAPACITY ((size_t)1 << 16)

int vz_journal_init(vz_journal *j, size_t limit) {
    vz_journal_free(j);
    *j = (vz_journal){.limit = limit > FIRST_CAPACITY ? limit : FIRST_CAPACITY};
    return vz_journal_grow(j);
}

void vz_journal_free(vz_journal *j) { free(j->bytes); }

int vz_journal_grow(vz_journal *j) {
    size_t capacity = j->capacity ? 2 * j->capacity : FIRST_CAPACITY;
    uint8_t *bytes = j->overrun || capacity > j->limit ? NULL : realloc(j->bytes, capacity);
    if (!bytes) {
        j->overrun = 1;
        return 0;
    }
    j->bytes = bytes;
    j->capacity = capacity;
    return 1;
}

/* A copy of a size that is constant is an instruction or two. */
static void copy_back(uint8_t *at, const uint8_t *kept, uint32_t size) {
    switch (size) {
        case 1: *at = *kept; break;
        case 2: memcpy(at, kept, 2); break;
        case 4: memcpy(at, kept, 4); break;
        case 16: memcpy(at, kept, 16); break;
        case 28: memcpy(at, kept, 28); break;
        case 96: memcpy(at, kept, 96); break;
        default: memcpy(at, kept, size);
    }
}

void vz_journal_rewind(vz_journal *j, size_t size) {
    while (j->size > size) {
        uint8_t *at, *end = j->bytes + j->size;
        uint32_t kept;
        memcpy(&kept, end - sizeof kept, sizeof kept);
        memcpy(&at, end - sizeof kept - sizeof at, sizeof at);
        j->size -= kept + sizeof at + sizeof kept;
        copy_back(at, j->bytes + j->size, kept);
    }
}
