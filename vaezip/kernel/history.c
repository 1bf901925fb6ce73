#include "history.h"

#include <stdlib.h>
#include <string.h>

#define CACHE_LINE 64

static const uint32_t least_match[VZ_MATCHES] = {4, 8};

int vz_history_init(vz_history *h, uint32_t size) {
    for (h->bits = 10; h->bits < 18 && (UINT32_C(1) << h->bits) < 2 * size; h->bits++) {}
    h->text = calloc(size ? size : 1, 1);
    h->memory = calloc(((size_t)VZ_HISTORIES << h->bits) * sizeof *h->tables + CACHE_LINE, 1);
    /* The slots that a hash may lie in are neighbours: so that they share a cache line. */
    h->tables = (vz_slot *)(((uintptr_t)h->memory + CACHE_LINE - 1) & ~(uintptr_t)(CACHE_LINE - 1));
    int complete = h->text && h->memory;
    for (int i = 0; i < VZ_MATCHES; i++) {
        h->match[i].ends = calloc((size_t)1 << h->bits, sizeof *h->match[i].ends);
        complete = complete && h->match[i].ends;
    }
    return complete;
}

void vz_history_free(vz_history *h) {
    free(h->text);
    free(h->memory);
    for (int i = 0; i < VZ_MATCHES; i++) free(h->match[i].ends);
}

int vz_history_copy(vz_history *to, const vz_history *from, uint32_t size) {
    memset(to, 0, sizeof *to);
    if (!vz_history_init(to, size)) return 0;
    vz_history own = *to;
    *to = *from;
    to->text = own.text;
    to->memory = own.memory;
    to->tables = own.tables;
    memcpy(to->text, from->text, from->position);
    memcpy(to->tables, from->tables, ((size_t)VZ_HISTORIES << to->bits) * sizeof *to->tables);
    for (int i = 0; i < VZ_MATCHES; i++) {
        to->match[i].ends = own.match[i].ends;
        memcpy(to->match[i].ends, from->match[i].ends, sizeof *to->match[i].ends << to->bits);
    }
    for (int i = 0; i < VZ_HISTORIES; i++)
        if (from->slots[i]) to->slots[i] = to->tables + (from->slots[i] - from->tables);
    return 1;
}

static vz_slot *slot_at(const vz_history *h, int context, uint64_t hash, uint32_t k) {
    return h->tables + ((size_t)context << h->bits) + ((uint32_t)(hash >> (64 - h->bits)) ^ k);
}

static uint8_t check_of(uint64_t hash) {
    uint8_t check = (uint8_t)(hash >> 8 & 255);
    return (uint8_t)(check + !check);
}

/* The slot of a hash, of three that it may lie in; else NULL, and `*other` is a free one, or the least used of them. */
VZ_INLINE vz_slot *look_up(const vz_history *h, int context, uint64_t hash, vz_slot **other) {
    *other = NULL;
    for (uint32_t k = 0; k < 3; k++) {
        vz_slot *s = slot_at(h, context, hash, k);
        if (s->check == check_of(hash)) return s;
        if (!s->check) {
            *other = s;
            break;
        }
        if (!*other || s->state[0] < (*other)->state[0]) *other = s;
    }
    return NULL;
}

static vz_slot *find_slot(const vz_history *h, int context, uint64_t hash) {
    vz_slot *other, *s = look_up(h, context, hash, &other);
    if (s) return s;
    memset(other, 0, sizeof *other);
    other->check = check_of(hash);
    return other;
}

/* The byte above in the same field, counted from where the field begins, and the one before it; or 0. */
static uint64_t above_in_field(const vz_history *h) {
    if (h->fields >= h->fields_before || h->fields >= VZ_MANY_FIELDS) return 0;
    uint32_t at = h->field_at_before[h->fields] + (h->position - h->field_at[h->fields]);
    return 0 < at && at < h->line ? (uint64_t)h->text[at] << 8 | h->text[at - 1] : 0;
}

static uint32_t three_bytes(const vz_history *h) { return (uint32_t)(vz_hash(h->recent & 0xFFFFFF) >> 48); }

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
    for (int i = 0; i < VZ_HISTORIES; i++) h->context[i] = vz_hash(keys[i] * PRIME + (uint64_t)i + 1);
}

static void find_match(const vz_history *h, vz_match *match, uint32_t least) {
    const uint8_t *text = h->text;
    const uint32_t at = h->position;
    if (match->length && text[match->position] == text[at - 1]) {
        match->length++;
        match->position++;
    } else {
        match->length = 0;
    }
    if (at < least) return;
    uint32_t *end = match->ends + (vz_hash((h->recent << (64 - 8 * least)) + 1) >> (64 - h->bits));
    if (!match->length && *end) {
        uint32_t before = *end, length = 0;
        while (length < VZ_LONGEST_MATCH && length < before && text[before - 1 - length] == text[at - 1 - length])
            length++;
        if (length >= least) {
            match->length = length;
            match->position = before;
        }
    }
    *end = at;
}

static uint64_t second_hash(const vz_history *h, int context, int node) {
    return vz_hash(h->context[context] + (uint64_t)node * SALT);
}

void vz_history_begin_nibble(vz_history *h, int node, const int *guess) {
    if (node == 1) {
        hash_contexts(h, (uint64_t)guess[0], (uint64_t)guess[1]);
        for (int i = 0; i < VZ_MATCHES; i++) find_match(h, h->match + i, least_match[i]);
    }
    uint64_t hash[VZ_HISTORIES];
    for (int i = 0; i < VZ_HISTORIES; i++) {
        hash[i] = node == 1 ? h->context[i] : second_hash(h, i, node);
        VZ_PREFETCH(slot_at(h, i, hash[i], 0));
    }
    for (int i = 0; i < VZ_HISTORIES; i++) h->slots[i] = find_slot(h, i, hash[i]);
}

void vz_history_peek_nibble(vz_history *h, int node) {
    for (int i = 0; i < VZ_HISTORIES; i++) {
        vz_slot *other, *s = look_up(h, i, second_hash(h, i, node), &other);
        h->slots[i] = s ? s : h->free + i;
    }
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

void vz_history_push(vz_history *h, int byte) {
    uint16_t *followers = h->followers + three_bytes(h);
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
