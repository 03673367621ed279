/* datagen/examples.c - see examples.h; the algorithm is told in docs/data-format.md. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/rng.h"
#include "datagen/examples.h"

/* Draws of RNG_EXAMPLE by (duplicate, document, chunk). DRAW_PARTNER has all numbers above it to itself. */
enum { DRAW_LABEL = 0, DRAW_CUT = 1, DRAW_START = 2, DRAW_SHORT = 3, DRAW_PARTNER = 4 };

enum { DRAWS = 32 };             /* of RNG_MASK, at once */

typedef struct chunk {
    size_t begin, end;           /* tokens */
    size_t segment;              /* the one that holds begin */
    size_t starts;               /* segments that start inside (begin, end) */
    bool cut_begin, cut_end;     /* begins, ends inside a segment */
} chunk;

size_t example_longest_segment(uint32_t seq_length, bool next_sentence) { return next_sentence ? (seq_length - 3) / 2 : seq_length - 2; }

static size_t room_of(const example_settings *s) { return s->seq_length - (s->next_sentence ? 3 : 2); }
size_t example_window(const example_settings *s) { return room_of(s) + 1; }

static uint64_t held_out_draw(const example_settings *s, uint64_t document) { return rng_u64(rng_open(s->seed, RNG_HELD_OUT, 0, document, 0), 0); }

bool example_held_out(const example_settings *s, uint64_t document) { return s->held_out && held_out_draw(s, document) < s->held_out; }

/* The smallest draws are found 16 bits at a time, in as many passes over the documents: no list of them is needed. */
uint64_t example_held_out_below(const example_settings *s, uint64_t count) {
    if (!count) return 0;
    uint64_t prefix = 0, left = count, *cell = must_alloc(65536, sizeof *cell);
    for (int shift = 48; shift >= 0; shift -= 16) {
        memset(cell, 0, 65536 * sizeof *cell);
        for (uint64_t d = 0; d < s->documents; d++) {
            uint64_t draw = held_out_draw(s, d);
            if (shift == 48 || draw >> (shift + 16) == prefix >> (shift + 16)) cell[draw >> shift & 0xFFFF]++;
        }
        uint64_t at = 0;
        while (left > cell[at]) left -= cell[at++];
        prefix |= at << shift;
    }
    free(cell);
    return prefix + 1;                                         /* two equal draws in 64 bits: not with any number of documents that exists */
}

/* Room of one chunk: with probability short_seq_prob 2 to room - 1 tokens, all alike. One draw serves both questions. */
static size_t draw_room(const example_settings *s, rng_key key) {
    size_t room = room_of(s);
    if (s->short_seq_prob <= 0) return room;
    double u = rng_unit(key, DRAW_SHORT);
    return u < s->short_seq_prob ? 2 + (size_t)(u / s->short_seq_prob * (double)(room - 2)) : room;
}

/* The longest run of tokens from `begin` on that fits in `room`: whole segments, then as many whole words of the next as fit; if those are
 * fewer than `least`, as many tokens. */
static chunk fill(const document_view *d, size_t begin, size_t segment, size_t room, size_t least) {
    chunk k = { .begin = begin, .end = begin, .segment = segment, .cut_begin = begin > d->segment[segment] };
    size_t next = segment;
    while (next < d->segments && d->segment[next + 1] - begin <= room) k.end = d->segment[++next];
    k.starts = next > segment ? next - segment - 1 : 0;
    if (next < d->segments) {
        size_t cut = document_word_start(d, k.end, begin + room);
        if (cut < begin + least) cut = begin + room;
        k.cut_end = cut > k.end;
        k.starts += k.cut_end && next > segment;
        k.end = cut;
    }
    return k;
}

/* Where A ends: at a segment's start inside the chunk. Those that would leave a piece of a cut segment alone count only if no other is there. */
static size_t cut_pair(const document_view *d, const chunk *k, rng_key key) {
    size_t first = 1, count = k->starts;
    if (k->cut_end && count > 1) count--;
    if (k->cut_begin && count > 1) { first++; count--; }
    return d->segment[k->segment + first + rng_below(key, DRAW_CUT, count)];
}

/* Of a chunk of one segment: the word start nearest its middle, the earlier of two; inside a word if it is a single one. */
static size_t cut_single(const document_view *d, const chunk *k) {
    size_t middle = k->begin + (k->end - k->begin) / 2, down = document_word_start(d, k->begin, middle), up = middle;
    while (up < k->end && d->continues && d->continues[d->token[up]]) up++;
    bool has_down = down > k->begin, has_up = up < k->end;
    if (has_down && (!has_up || middle - down <= up - middle)) return down;
    return has_up ? up : middle;
}

/* B from elsewhere: from a drawn segment of a drawn other document of the same kind, as many tokens as `target` or that document has left. */
static void draw_partner(const example_settings *s, rng_key key, size_t target, example *x) {
    uint64_t draw = DRAW_PARTNER;
    bool held_out = example_held_out(s, x->document);
    do x->partner = rng_below(key, draw++, s->documents); while (x->partner == x->document || example_held_out(s, x->partner) != held_out);
    x->b_count = (uint16_t)target;
    x->foreign = true;
    x->label = 1;
}

uint64_t example_partner_segment(const example_settings *s, const example *x, uint64_t segments) {
    return rng_below(rng_open(s->seed, RNG_EXAMPLE, x->duplicate, x->document, x->chunk), DRAW_START, segments);
}

const int32_t *example_partner(const document_view *d, example *x) {
    chunk k = fill(d, d->segment[0], 0, x->b_count, 1);
    x->b_count = (uint16_t)(k.end - k.begin);
    return d->token + k.begin;
}

/* A and B stand together in the text; which comes first in the row is the label. */
static size_t order(const document_view *d, const chunk *k, rng_key key, example *x) {
    size_t cut = k->starts ? cut_pair(d, k, key) : cut_single(d, k);
    x->label = (uint8_t)rng_below(key, DRAW_LABEL, 2);
    x->a_count = (uint16_t)(x->label ? k->end - cut : cut - k->begin);
    x->b_count = (uint16_t)(k->end - k->begin - x->a_count);
    return k->end;
}

/* Fills A, B, label of a chunk; returns where the next chunk begins. */
static size_t pair(const document_view *d, const example_settings *s, const chunk *k, rng_key key, example *x) {
    size_t tokens = k->end - k->begin;
    bool random = tokens == 1 || rng_below(key, DRAW_LABEL, 2) == 1;
    if (!k->starts && random) {                                /* nothing of it is left for another chunk */
        x->a_count = (uint16_t)tokens;
        draw_partner(s, key, tokens, x);
        return k->end;
    }
    size_t cut = k->starts ? cut_pair(d, k, key) : cut_single(d, k);
    x->a_count = (uint16_t)(cut - k->begin);
    if (random) {                                              /* as long as what it replaces: length must not tell the label */
        draw_partner(s, key, k->end - cut, x);
        return cut;
    }
    x->b_count = (uint16_t)(k->end - cut);
    return k->end;
}

bool example_next(const document_view *d, const example_settings *s, example_walk *w, example *x, const int32_t **a, const int32_t **b) {
    size_t end = d->segment[d->segments], full = room_of(s);
    if (w->at >= end || (!d->last && end - w->at <= full) || (s->sentence_order && w->at + 1 == end)) return false;
    rng_key key = rng_open(s->seed, RNG_EXAMPLE, w->duplicate, w->document, w->chunk);
    rng_key shuffle = rng_open(s->seed, RNG_SHUFFLE, w->duplicate, w->document, w->chunk);
    size_t room = draw_room(s, key);
    chunk k = fill(d, w->at, w->segment, room, room < full ? 2 : 1);
    *x = (example){ .order = rng_u64(shuffle, 0), .document = w->document, .duplicate = w->duplicate, .chunk = w->chunk };
    *a = d->token + k.begin;
    if (!s->next_sentence) {
        x->a_count = (uint16_t)(k.end - k.begin);
        w->at = k.end;
    } else w->at = s->sentence_order ? order(d, &k, key, x) : pair(d, s, &k, key, x);
    *b = x->foreign ? NULL : *a + x->a_count;
    if (s->sentence_order && x->label) {
        *b = *a;
        *a += x->b_count;
    }
    w->chunk++;
    while (w->segment < d->segments && d->segment[w->segment + 1] <= w->at) w->segment++;
    return true;
}

int example_compare(const void *a, const void *b) {
    const example *x = a, *y = b;
    if (x->order != y->order) return x->order < y->order ? -1 : 1;
    if (x->duplicate != y->duplicate) return x->duplicate < y->duplicate ? -1 : 1;
    if (x->document != y->document) return x->document < y->document ? -1 : 1;
    return x->chunk < y->chunk ? -1 : x->chunk > y->chunk;
}

uint32_t example_predictions(const example_settings *s, uint32_t length) {
    double wish = nearbyint((double)length * s->mask_prob);      /* half to even, as Python's round() */
    uint32_t text = length - (s->next_sentence ? 3 : 2), count = wish < 1 ? 1 : wish > text ? text : (uint32_t)wish;
    return count < s->max_predictions ? count : s->max_predictions;
}

/* What may be masked together, in a row of `length` tokens: single tokens, or with whole_words a word's pieces as far as they stand in one part.
 * Group g is positions first[g] .. first[g + 1] - 1; a [SEP] between two groups belongs to none. Returns their number. */
static uint32_t group_candidates(const example_settings *s, const example_words *w, const example *x, uint32_t length, const int32_t *ids, uint16_t *first,
                                 uint16_t *count) {
    uint32_t n = 0, sep = s->next_sentence ? x->a_count + 1u : 0;
    if (!s->whole_words) {
        n = length - (sep ? 3 : 2);
        for (uint32_t g = 0; g < n; g++) {
            first[g] = (uint16_t)(g + 1 + (sep && g + 1 >= sep));
            count[g] = 1;
        }
        return n;
    }
    for (uint32_t i = 1; i < length - 1; i++) {
        if (i == sep) continue;
        if (n && i != sep + 1 && w->continues[ids[i]]) count[n - 1]++;
        else {
            first[n] = (uint16_t)i;
            count[n++] = 1;
        }
    }
    return n;
}

/* Takes groups in a drawn order (draws 0, 1, ...) until the row has its number of masks; one that is too large for the rest is passed over. */
static uint32_t choose(const example_settings *s, const example_words *w, const example *x, uint32_t length, const int32_t *ids, rng_key key,
                       int32_t *positions) {
    uint16_t first[65536], count[65536];
    uint32_t groups = group_candidates(s, w, x, length, ids, first, count), wanted = example_predictions(s, length), chosen = 0, drawn = 0, from = 0;
    uint64_t index[DRAWS], draw[DRAWS];
    for (uint32_t i = 0; i < groups && chosen < wanted; i++) {
        uint32_t more = wanted - chosen < DRAWS ? wanted - chosen : DRAWS;      /* that many at least, unless the groups end */
        if (i == drawn) {
            for (uint32_t k = 0; k < more; k++) index[k] = drawn + k;
            rng_u64s(key, index, more, draw);
            from = drawn;
            drawn += more;
        }
        uint32_t j = i + (uint32_t)rng_scale(draw[i - from], groups - i);
        uint32_t at = first[j], pieces = count[j];
        first[j] = first[i];
        count[j] = count[i];
        if (chosen + pieces > wanted) continue;
        for (uint32_t k = 0; k < pieces; k++) positions[chosen++] = (int32_t)(at + k);
    }
    return chosen;
}

/* Sorts different numbers below `length`. */
static void ascending(int32_t *positions, uint32_t count, uint32_t length) {
    uint64_t here[65536 / 64];
    uint32_t words = length / 64 + 1, n = 0;
    memset(here, 0, words * sizeof *here);
    for (uint32_t i = 0; i < count; i++) here[positions[i] / 64] |= UINT64_C(1) << positions[i] % 64;
    for (uint32_t i = 0; i < words; i++)
        for (uint64_t left = here[i]; left; left &= left - 1) positions[n++] = (int32_t)(64 * i + (uint32_t)__builtin_ctzll(left));
}

/* 80 % [MASK], 10 % a random word, 10 % the word itself (draws by position, behind those of choose()). */
static void mask(const example_settings *s, const example_words *w, const example *x, uint32_t length, int32_t *ids, int32_t *positions, int32_t *labels) {
    rng_key key = rng_open(s->seed, RNG_MASK, x->duplicate, x->document, x->chunk);
    uint32_t count = choose(s, w, x, length, ids, key, positions);
    ascending(positions, count, length);
    uint64_t index[DRAWS], draw[DRAWS];
    for (uint32_t i = 0; i < count; i++) {
        int32_t at = positions[i];
        if (i % DRAWS == 0) {
            uint32_t more = count - i < DRAWS ? count - i : DRAWS;
            for (uint32_t k = 0; k < more; k++) index[k] = s->seq_length + 2 * (uint64_t)positions[i + k];
            rng_u64s(key, index, more, draw);
        }
        uint64_t kind = rng_scale(draw[i % DRAWS], 10);
        labels[i] = ids[at];
        if (kind < 8) ids[at] = w->mask;
        else if (kind == 9) ids[at] = (int32_t)rng_below(key, index[i % DRAWS] + 1, (uint64_t)w->vocab_size);
    }
}

uint16_t example_render(const example_settings *s, const example_words *w, const example *x, const int32_t *a, const int32_t *b, shard_rows *r, size_t row) {
    size_t S = s->seq_length, P = s->max_predictions;
    uint32_t pair_tokens = x->a_count + 2u, length = pair_tokens + (s->next_sentence ? x->b_count + 1u : 0);
    int32_t *ids = r->input_ids + row * S;
    memset(ids, 0, S * sizeof *ids);
    memset(r->input_mask + row * S, 0, S);
    memset(r->segment_ids + row * S, 0, S);
    memset(r->positions + row * P, 0, P * sizeof *r->positions);
    memset(r->labels + row * P, 0, P * sizeof *r->labels);
    ids[0] = w->cls;
    memcpy(ids + 1, a, x->a_count * sizeof *ids);
    ids[x->a_count + 1] = w->sep;
    if (s->next_sentence) {
        memcpy(ids + pair_tokens, b, x->b_count * sizeof *ids);
        ids[length - 1] = w->sep;
        memset(r->segment_ids + row * S + pair_tokens, 1, length - pair_tokens);
    }
    memset(r->input_mask + row * S, 1, length);
    r->next_sentence[row] = (int8_t)x->label;
    mask(s, w, x, length, ids, r->positions + row * P, r->labels + row * P);
    return (uint16_t)length;
}
