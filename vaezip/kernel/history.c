#define _DEFAULT_SOURCE /* madvise, where only standard C was asked for */
#include "history.h"

#include <stdlib.h>
#include <string.h>
#ifdef __linux__
#include <sys/mman.h>
#endif

#define CACHE_LINE 64
#define HUGE_PAGE ((uintptr_t)1 << 21)

static const uint32_t least_match[VZ_MATCHES] = {4, 8};

static size_t slot_count(const vz_history *h) { return (size_t)VZ_HISTORIES << h->bits; }

/* Every byte reads all over the tables: with few large pages, the processor finds them sooner. Of small tables, pages
 * that are never read count for more. */
static void ask_for_huge_pages(uintptr_t begin, size_t size) {
#ifdef MADV_HUGEPAGE
    const uintptr_t end = (begin + size) & ~(HUGE_PAGE - 1);
    begin = (begin + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1);
    if (begin + 16 * HUGE_PAGE <= end) madvise((void *)begin, end - begin, MADV_HUGEPAGE);
#else
    (void)begin;
    (void)size;
#endif
}

/* Allocates a history whose `bits` are set; text and tables are all zeros. */
static int allocate(vz_history *h, uint32_t size) {
    h->text = calloc(size ? size : 1, 1);
    const size_t tables = slot_count(h) * sizeof *h->tables;
    h->memory = calloc(tables + CACHE_LINE, 1);
    if (h->memory) ask_for_huge_pages((uintptr_t)h->memory, tables);
    /* The slots that a hash may lie in are neighbours: so that they share a cache line. */
    h->tables = (vz_slot *)(((uintptr_t)h->memory + CACHE_LINE - 1) & ~(uintptr_t)(CACHE_LINE - 1));
    int complete = h->text && h->memory;
    for (int i = 0; i < VZ_MATCHES; i++) {
        h->match[i].ends = calloc((size_t)1 << h->bits, sizeof *h->match[i].ends);
        complete = complete && h->match[i].ends;
    }
    return complete;
}

int vz_history_init(vz_history *h, uint32_t size) {
    for (h->bits = 10; h->bits < 18 && (UINT32_C(1) << h->bits) < 2 * size; h->bits++) {}
    return allocate(h, size);
}

int vz_history_copy(vz_history *h, const vz_history *from, uint32_t more) {
    *h = *from;
    int complete = allocate(h, from->position + more);
    if (!complete) return 0;
    memcpy(h->text, from->text, from->position);
    memcpy(h->tables, from->tables, slot_count(h) * sizeof *h->tables);
    for (int i = 0; i < VZ_MATCHES; i++)
        memcpy(h->match[i].ends, from->match[i].ends, sizeof *h->match[i].ends << h->bits);
    return 1;
}

void vz_history_free(vz_history *h) {
    free(h->text);
    free(h->memory);
    for (int i = 0; i < VZ_MATCHES; i++) free(h->match[i].ends);
}

static vz_slot *slot_at(const vz_history *h, int context, uint64_t hash, uint32_t k) {
    return h->tables + ((size_t)context << h->bits) + ((uint32_t)(hash >> (64 - h->bits)) ^ k);
}

static uint8_t tag_of(uint64_t hash) {
    uint8_t tag = (uint8_t)(hash >> 8 & 255);
    return (uint8_t)(tag + !tag);
}

/* The slot of a hash, of three that it may lie in; else a free one, or the least used of them, which it takes. */
static vz_slot *find_slot(const vz_history *h, int context, uint64_t hash, vz_journal *j) {
    vz_slot *other = NULL;
    for (uint32_t k = 0; k < 3; k++) {
        vz_slot *s = slot_at(h, context, hash, k);
        if (s->tag == tag_of(hash)) {
            vz_journal_keep(j, s, sizeof *s); /* with all that the nibble's bits change of it */
            return s;
        }
        if (!s->tag) {
            other = s;
            break;
        }
        if (!other || s->state[0] < other->state[0]) other = s;
    }
    vz_journal_keep(j, other, sizeof *other);
    memset(other, 0, sizeof *other);
    other->tag = tag_of(hash);
    return other;
}

/* The byte at the same place of the same field in the line above, and the one before it; or 0. */
static uint64_t above_in_field(const vz_history *h) {
    if (h->fields >= h->fields_before || h->fields >= VZ_MANY_FIELDS) return 0;
    uint32_t at = h->field_at_before[h->fields] + (h->position - h->field_at[h->fields]);
    return 0 < at && at < h->line ? (uint64_t)h->text[at] << 8 | h->text[at - 1] : 0;
}

static uint32_t three_bytes(const vz_history *h) { return (uint32_t)(vz_hash64(h->recent & 0xFFFFFF) >> 48); }

static void hash_contexts(vz_history *h, uint64_t best, uint64_t second) {
    const uint64_t recent = h->recent, last = recent & 255, first = (uint64_t)h->first, fields = (uint64_t)h->fields;
    uint32_t column = h->position - h->line, above_at = h->line_before + column, near = column < 255 ? column : 255;
    uint64_t above = above_at < h->line ? h->text[above_at] : 0;
    uint64_t word = h->word[0] ? h->word[0] : last + 1;
    const uint64_t keys[VZ_HISTORIES] = {
        0,
        last,
        recent & 0xFFFF,
        recent & 0xFFFFFF,
        recent & 0xFFFFFFFF,
        recent & UINT64_C(0xFFFFFFFFFFFF),
        word,
        word * PRIME + h->word[1],
        above << 8 | last,
        fields << 16 | first << 8 | near,
        h->shape * PRIME + (uint64_t)h->separator,
        above << 24 | first << 16 | (recent & 0xFFFF),
        h->item * PRIME + fields,
        above_in_field(h) << 16 | (fields & 255) << 8 | last,
        word * PRIME + h->word[2],
        (uint64_t)h->followers[three_bytes(h)] << 8 | last,
        h->line_word * PRIME + word,
        ((uint64_t)h->indent << 16 | (uint64_t)h->indent_before << 8 | near) * PRIME + last,
        best << 16 | second << 8 | last,
        (best << 8) * PRIME + word,
    };
    for (int i = 0; i < VZ_HISTORIES; i++) h->context[i] = vz_hash64(keys[i] * PRIME + (uint64_t)i + 1);
}

/* Where the bytes that the block now ends with ended last. */
static uint32_t *last_end(const vz_history *h, const vz_match *match, uint32_t least) {
    return match->ends + (vz_hash64((h->recent << (64 - 8 * least)) + 1) >> (64 - h->bits));
}

static void find_match(const vz_history *h, vz_match *match, uint32_t least, vz_journal *j) {
    const uint8_t *text = h->text;
    const uint32_t at = h->position;
    if (match->length && text[match->position] == text[at - 1]) {
        match->length++;
        match->position++;
    } else {
        match->length = 0;
    }
    if (at < least) return;
    uint32_t *end = last_end(h, match, least);
    if (!match->length && *end) {
        uint32_t before = *end, length = 0;
        while (length < VZ_LONGEST_MATCH && length < before && text[before - 1 - length] == text[at - 1 - length])
            length++;
        if (length >= least) {
            match->length = length;
            match->position = before;
        }
    }
    vz_journal_keep(j, end, sizeof *end);
    *end = at;
}

static uint64_t nibble_hash(const vz_history *h, int context, int node) {
    return node == 1 ? h->context[context] : vz_hash64(h->context[context] + (uint64_t)node * SALT);
}

void vz_history_begin_nibble(vz_history *h, int node, const int *guess, vz_journal *j) {
    uint64_t hash[VZ_HISTORIES];
    if (node == 1) {
        for (int i = 0; i < VZ_MATCHES; i++) VZ_PREFETCH(last_end(h, h->match + i, least_match[i]));
        hash_contexts(h, (uint64_t)guess[0], (uint64_t)guess[1]);
    }
    for (int i = 0; i < VZ_HISTORIES; i++) {
        hash[i] = nibble_hash(h, i, node);
        VZ_PREFETCH(slot_at(h, i, hash[i], 0));
    }
    if (node == 1)
        for (int i = 0; i < VZ_MATCHES; i++) find_match(h, h->match + i, least_match[i], j);
    for (int i = 0; i < VZ_HISTORIES; i++) h->slots[i] = find_slot(h, i, hash[i], j);
}

void vz_history_expect(const vz_history *h, int byte) {
    for (int i = 0; i < VZ_HISTORIES; i++) VZ_PREFETCH(slot_at(h, i, nibble_hash(h, i, 16 | byte >> 4), 0));
}

static void begin_line(vz_history *h) {
    h->line_before = h->line;
    h->line = h->position;
    h->indent_before = h->indent;
    h->fields_before = h->fields + 1;
    memcpy(h->field_at_before, h->field_at, sizeof h->field_at);
    h->field_at[0] = h->position;
    h->line_word = 0;
    h->first = h->fields = h->separator = h->indent = 0;
}

void vz_history_push(vz_history *h, int byte, vz_journal *j) {
    uint16_t *followers = h->followers + three_bytes(h);
    vz_journal_keep(j, followers, sizeof *followers);
    *followers = (uint16_t)(*followers << 8 | byte);
    h->text[h->position++] = (uint8_t)byte;
    int class = vz_shape_class(byte), in_word = class == '0' || class == 'a' || class == 'A' || class == 128;
    if (byte == ' ')
        h->item *= PRIME;
    else
        h->item = in_word || byte == '_' || byte == '-' || byte == '.' ? (h->item + (uint64_t)byte + 1) * PRIME : 0;
    if (in_word) {
        int folded = class == 'A' ? byte + 32 : byte;
        h->word[0] = (h->word[0] + (uint64_t)folded + 1) * PRIME;
        h->word_length++;
    } else if (h->word_length) {
        if (!h->line_word) h->line_word = h->word[0];
        h->word[2] = h->word[1];
        h->word[1] = h->word[0];
        h->word[0] = 0;
        h->word_length = 0;
    }
    if ((int)(h->shape & 255) != class) h->shape = h->shape << 8 | (uint64_t)class;
    if (byte == '\n') {
        begin_line(h);
    } else {
        uint32_t column = h->position - 1 - h->line;
        if (!column) h->first = byte;
        if ((byte == ' ' || byte == '\t') && (uint32_t)h->indent == column) h->indent++;
        if (byte == ',' || byte == '\t' || byte == '|' || byte == ';' || byte == ':' || byte == '=' || byte == '"') {
            h->fields++;
            h->separator = byte;
            if (h->fields < VZ_MANY_FIELDS) h->field_at[h->fields] = h->position;
        }
    }
    h->recent = h->recent << 8 | (uint64_t)byte;
}
