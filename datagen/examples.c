/* datagen/examples.c - see examples.h; the algorithm is told in docs/data-format.md. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/rng.h"
#include "datagen/examples.h"

/* Draws of RNG_EXAMPLE by (duplicate, document, chunk). 3 is kept for a short-sequence draw. */
enum { DRAW_LABEL = 0, DRAW_CUT = 1, DRAW_START = 2, DRAW_PARTNER = 4 };

typedef struct chunk {
    uint64_t begin, end;         /* tokens */
    size_t segment;              /* the one that holds begin */
    size_t starts;               /* segments that start inside (begin, end) */
    bool cut_begin, cut_end;     /* begins, ends inside a segment */
} chunk;

size_t example_longest_segment(uint32_t seq_length, bool next_sentence) { return next_sentence ? (seq_length - 3) / 2 : seq_length - 2; }

/* The longest run of tokens from `begin` on that fits in `room`: whole segments, then as many whole words of the next as fit. */
static chunk fill(const corpus *c, uint64_t begin, size_t segment, size_t last_segment, size_t room) {
    chunk k = { .begin = begin, .end = begin, .segment = segment, .cut_begin = begin > c->segment[segment] };
    size_t next = segment;
    while (next < last_segment && c->segment[next + 1] - begin <= room) k.end = c->segment[++next];
    k.starts = next > segment ? next - segment - 1 : 0;
    if (next < last_segment) {
        uint64_t cut = corpus_word_start(c, k.end, begin + room);
        if (k.end == begin && cut == begin) cut = begin + room;
        k.cut_end = cut > k.end;
        k.starts += k.cut_end && next > segment;
        k.end = cut;
    }
    return k;
}

/* Where A ends: at a segment's start inside the chunk. Those that would leave a piece of a cut segment alone count only if no other is there. */
static uint64_t cut_pair(const corpus *c, const chunk *k, rng_key key) {
    size_t first = 1, count = k->starts;
    if (k->cut_end && count > 1) count--;
    if (k->cut_begin && count > 1) { first++; count--; }
    return c->segment[k->segment + first + rng_below(key, DRAW_CUT, count)];
}

/* Of a chunk of one segment: the word start nearest its middle, the earlier of two; inside a word if it is a single one. */
static uint64_t cut_single(const corpus *c, const chunk *k) {
    uint64_t middle = k->begin + (k->end - k->begin) / 2, down = corpus_word_start(c, k->begin, middle), up = middle;
    while (up < k->end && c->continues && c->continues[c->token.id[up]]) up++;
    bool has_down = down > k->begin, has_up = up < k->end;
    if (has_down && (!has_up || middle - down <= up - middle)) return down;
    return has_up ? up : middle;
}

/* B from elsewhere: from a drawn segment of a drawn other document, as many tokens as `target` or that document has left. */
static void draw_partner(const corpus *c, rng_key key, uint64_t document, size_t target, example *x) {
    uint64_t other, draw = DRAW_PARTNER;
    do other = rng_below(key, draw++, c->documents); while (other == document);
    size_t first = c->document[other], last = c->document[other + 1];
    size_t start = first + rng_below(key, DRAW_START, last - first);
    chunk k = fill(c, c->segment[start], start, last, target);
    x->b = k.begin;
    x->b_count = (uint16_t)(k.end - k.begin);
    x->label = 1;
}

static example *append(example_list *list) {
    if (list->count == list->capacity) list->item = must_realloc(list->item, list->capacity = list->capacity ? 2 * list->capacity : 1024, sizeof *list->item);
    return &list->item[list->count++];
}

/* Fills A, B, label of a chunk; returns where the next chunk begins. */
static uint64_t pair(const corpus *c, const chunk *k, rng_key key, example *x) {
    size_t tokens = (size_t)(k->end - k->begin);
    bool random = tokens == 1 || rng_below(key, DRAW_LABEL, 2) == 1;
    x->a = k->begin;
    if (!k->starts && random) {                                /* nothing of it is left for another chunk */
        x->a_count = (uint16_t)tokens;
        draw_partner(c, key, x->document, tokens, x);
        return k->end;
    }
    uint64_t cut = k->starts ? cut_pair(c, k, key) : cut_single(c, k);
    x->a_count = (uint16_t)(cut - k->begin);
    if (random) {                                              /* as long as what it replaces: length must not tell the label */
        draw_partner(c, key, x->document, (size_t)(k->end - cut), x);
        return cut;
    }
    x->b = cut;
    x->b_count = (uint16_t)(k->end - cut);
    return k->end;
}

void examples_of_document(const corpus *c, const example_settings *s, uint32_t duplicate, uint64_t document, example_list *out) {
    size_t segment = c->document[document], last = c->document[document + 1], room = s->seq_length - (s->next_sentence ? 3 : 2);
    uint64_t at = c->segment[segment], end = c->segment[last];
    assert(!s->next_sentence || c->documents > 1);
    for (uint32_t number = 0; at < end; number++) {
        chunk k = fill(c, at, segment, last, room);
        rng_key key = rng_open(s->seed, RNG_EXAMPLE, duplicate, document, number);
        example *x = append(out);
        rng_key shuffle = rng_open(s->seed, RNG_SHUFFLE, duplicate, document, number);
        *x = (example){ .order = rng_u64(shuffle, 0), .document = document, .duplicate = duplicate, .chunk = number };
        if (s->next_sentence) at = pair(c, &k, key, x);
        else {
            x->a = at;
            x->a_count = (uint16_t)(k.end - at);
            at = k.end;
        }
        while (segment < last && c->segment[segment + 1] <= at) segment++;
    }
}

static int compare(const void *a, const void *b) {
    const example *x = a, *y = b;
    if (x->order != y->order) return x->order < y->order ? -1 : 1;
    if (x->duplicate != y->duplicate) return x->duplicate < y->duplicate ? -1 : 1;
    if (x->document != y->document) return x->document < y->document ? -1 : 1;
    return x->chunk < y->chunk ? -1 : x->chunk > y->chunk;
}

void examples_sort(example_list *list) {
    if (list->count) qsort(list->item, list->count, sizeof *list->item, compare);
}

uint32_t example_predictions(const example_settings *s, uint32_t length) {
    double wish = nearbyint((double)length * s->mask_prob);      /* half to even, as Python's round() */
    uint32_t text = length - (s->next_sentence ? 3 : 2), count = wish < 1 ? 1 : wish > text ? text : (uint32_t)wish;
    return count < s->max_predictions ? count : s->max_predictions;
}

static int ascending(const void *a, const void *b) { return *(const int32_t *)a < *(const int32_t *)b ? -1 : *(const int32_t *)a > *(const int32_t *)b; }

/* Chooses positions without repetition (draws 0..count-1), then 80 % [MASK], 10 % a random word, 10 % the word itself (draws by position). */
static void mask(const example_settings *s, const example_words *w, const example *x, uint32_t length, int32_t *ids, int32_t *positions, int32_t *labels) {
    rng_key key = rng_open(s->seed, RNG_MASK, x->duplicate, x->document, x->chunk);
    uint32_t count = example_predictions(s, length), n = 0;
    int32_t candidate[65536];
    for (int32_t i = 1; i < (int32_t)length - 1; i++) if (i != x->a_count + 1 || !s->next_sentence) candidate[n++] = i;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t j = i + (uint32_t)rng_below(key, i, n - i);
        int32_t swap = candidate[i];
        candidate[i] = candidate[j];
        candidate[j] = swap;
    }
    qsort(candidate, count, sizeof *candidate, ascending);
    for (uint32_t i = 0; i < count; i++) {
        int32_t at = candidate[i];
        uint64_t draw = s->seq_length + 2 * (uint64_t)at, kind = rng_below(key, draw, 10);
        positions[i] = at;
        labels[i] = ids[at];
        if (kind < 8) ids[at] = w->mask;
        else if (kind == 9) ids[at] = (int32_t)rng_below(key, draw + 1, (uint64_t)w->vocab_size);
    }
}

uint16_t example_render(const corpus *c, const example_settings *s, const example_words *w, const example *x, shard_rows *r, size_t row) {
    size_t S = s->seq_length, P = s->max_predictions;
    uint32_t pair_tokens = x->a_count + 2u, length = pair_tokens + (s->next_sentence ? x->b_count + 1u : 0);
    int32_t *ids = r->input_ids + row * S;
    memset(ids, 0, S * sizeof *ids);
    memset(r->input_mask + row * S, 0, S);
    memset(r->segment_ids + row * S, 0, S);
    memset(r->positions + row * P, 0, P * sizeof *r->positions);
    memset(r->labels + row * P, 0, P * sizeof *r->labels);
    ids[0] = w->cls;
    memcpy(ids + 1, c->token.id + x->a, x->a_count * sizeof *ids);
    ids[x->a_count + 1] = w->sep;
    if (s->next_sentence) {
        memcpy(ids + pair_tokens, c->token.id + x->b, x->b_count * sizeof *ids);
        ids[length - 1] = w->sep;
        memset(r->segment_ids + row * S + pair_tokens, 1, length - pair_tokens);
    }
    memset(r->input_mask + row * S, 1, length);
    r->next_sentence[row] = (int8_t)x->label;
    mask(s, w, x, length, ids, r->positions + row * P, r->labels + row * P);
    return (uint16_t)length;
}
