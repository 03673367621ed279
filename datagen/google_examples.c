/* datagen/google_examples.c - see google_examples.h. Draws come in the script's order: that order is the whole point. */
#include "datagen/google_examples.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "datagen/google_random.h"

typedef struct maker {
    google_examples *out;
    python_random random;
    uint64_t *order;             /* documents, shuffled */
    uint32_t *group;             /* scratch of one row: where each group of candidates begins in `candidate` */
    uint32_t *turn;              /* groups in the order in which they are tried */
    uint16_t *candidate;         /* positions that may be masked, ascending */
} maker;

/* Python's shuffle of `count` things of 8 bytes or of examples. */
static void shuffle_numbers(python_random *r, uint64_t *x, size_t count) {
    for (size_t i = count; i-- > 1;) {
        size_t j = python_random_below(r, (uint32_t)i + 1);
        uint64_t swap = x[i];
        x[i] = x[j];
        x[j] = swap;
    }
}

static void shuffle_examples(python_random *r, google_example *x, size_t count) {
    for (size_t i = count; i-- > 1;) {
        size_t j = python_random_below(r, (uint32_t)i + 1);
        google_example swap = x[i];
        x[i] = x[j];
        x[j] = swap;
    }
}

/* Lists grow by a half: what is held is never much more than what is used. */
static size_t larger(size_t capacity) { return capacity + capacity / 2 + 4096; }

static void add_mask(google_examples *x, int32_t shown, uint16_t position) {
    if (x->mask_count == x->mask_capacity) x->mask = must_realloc(x->mask, x->mask_capacity = larger(x->mask_capacity), sizeof *x->mask);
    x->mask[x->mask_count++] = (google_mask){ shown, position };
}

static int by_position(const void *a, const void *b) { return (int)((const google_mask *)a)->position - (int)((const google_mask *)b)->position; }

static int32_t token_at(const google_examples *x, const google_example *e, uint32_t position) {
    return position <= e->a_count ? x->corpus->token.id[e->a + position - 1] : x->corpus->token.id[e->b + position - e->a_count - 2];
}

/* Candidates in groups: a token, or with whole words a token and the ## pieces behind it (over the [SEP] too, as in the script). */
static uint32_t group_candidates(const maker *m, const google_example *e, uint32_t *candidates) {
    const google_examples *x = m->out;
    uint32_t groups = 0, n = 0, end = e->a_count + e->b_count + 2u;
    for (uint32_t i = 1; i < end; i++) {
        if (i == e->a_count + 1u) continue;
        bool joins = x->settings.whole_words && n && x->words.continues[token_at(x, e, i)];
        if (!joins) m->group[groups++] = n;
        m->candidate[n++] = (uint16_t)i;
    }
    m->group[groups] = *candidates = n;
    return groups;
}

static void mask(maker *m, google_example *e) {
    google_examples *x = m->out;
    const google_settings *s = &x->settings;
    uint32_t candidates, groups = group_candidates(m, e, &candidates), chosen = 0;
    double wish = nearbyint((e->a_count + e->b_count + 3) * s->mask_prob);          /* half to even, as Python's round() */
    uint32_t count = wish < 1 ? 1 : wish > candidates ? candidates : (uint32_t)wish;
    if (count > s->max_predictions) count = s->max_predictions;
    for (uint32_t i = 0; i < groups; i++) m->turn[i] = i;
    for (uint32_t i = groups; i-- > 1;) {
        uint32_t j = python_random_below(&m->random, i + 1), swap = m->turn[i];
        m->turn[i] = m->turn[j];
        m->turn[j] = swap;
    }
    e->mask = x->mask_count;
    for (uint32_t i = 0; i < groups && chosen < count; i++) {
        uint32_t first = m->group[m->turn[i]], end = m->group[m->turn[i] + 1];
        if (chosen + end - first > count) continue;
        for (uint32_t k = first; k < end; k++, chosen++) {
            int32_t shown = x->words.mask;
            if (python_random_unit(&m->random) >= 0.8) {
                if (python_random_unit(&m->random) < 0.5) shown = token_at(x, e, m->candidate[k]);
                else shown = (int32_t)python_random_below(&m->random, (uint32_t)x->words.vocab_size);
            }
            add_mask(x, shown, m->candidate[k]);
        }
    }
    e->masks = (uint16_t)chosen;
    if (chosen) qsort(x->mask + e->mask, chosen, sizeof *x->mask, by_position);
}

typedef struct run { uint64_t from, count; } run;   /* consecutive tokens of a document */

/* Whole segments of another document (of this one after ten vain draws) until `target` tokens are there: at least one. */
static run random_next(maker *m, size_t index, uint64_t a_count, uint64_t target) {
    const corpus *c = m->out->corpus;
    uint32_t other = 0;
    for (int i = 0; i < 10; i++) {
        other = python_random_below(&m->random, (uint32_t)c->documents);
        if (other != index) break;
    }
    uint64_t first = c->document[m->order[other]], last = c->document[m->order[other] + 1];
    uint64_t segment = first + python_random_below(&m->random, (uint32_t)(last - first));
    run b = { c->segment[segment], 0 };
    do b.count = c->segment[++segment] - b.from; while (segment < last && a_count + b.count < target);
    return b;
}

/* Removes tokens from the longer one (B if equal), from a drawn end, until both fit. */
static void truncate_pair(maker *m, run *a, run *b, uint64_t most) {
    while (a->count + b->count > most) {
        run *longer = a->count > b->count ? a : b;
        if (python_random_unit(&m->random) < 0.5) longer->from++;
        longer->count--;
    }
}

static void add_example(maker *m, run a, run b, bool random) {
    google_examples *x = m->out;
    truncate_pair(m, &a, &b, x->settings.seq_length - 3);
    if (x->count == x->capacity) x->item = must_realloc(x->item, x->capacity = larger(x->capacity), sizeof *x->item);
    google_example *e = &x->item[x->count++];
    *e = (google_example){ .a = a.from, .b = b.from, .a_count = (uint16_t)a.count, .b_count = (uint16_t)b.count, .random_next = random };
    mask(m, e);
}

/* index: the document's place after the shuffle. */
static void add_document(maker *m, size_t index) {
    const corpus *c = m->out->corpus;
    const google_settings *s = &m->out->settings;
    const uint64_t *start = c->segment;
    uint64_t most = s->seq_length - 3, target = most, last = c->document[m->order[index] + 1], begin = c->document[m->order[index]];
    if (python_random_unit(&m->random) < s->short_seq_prob) target = 2 + python_random_below(&m->random, (uint32_t)most - 1);
    for (uint64_t i = begin; i < last; i++) {                               /* the chunk is segments begin..i */
        if (i + 1 < last && start[i + 1] - start[begin] < target) continue;
        uint64_t segments = i + 1 - begin, cut = begin + 1;
        if (segments >= 2) cut = begin + 1 + python_random_below(&m->random, (uint32_t)(segments - 1));
        run a = { start[begin], start[cut] - start[begin] }, b = { start[cut], start[i + 1] - start[cut] };
        bool random = segments == 1 || python_random_unit(&m->random) < 0.5;
        if (random) {
            b = random_next(m, index, a.count, target);
            i = cut - 1;                                                    /* the segments behind A are used again */
        }
        add_example(m, a, b, random);
        begin = i + 1;
    }
}

google_examples *google_examples_make(const corpus *c, const google_settings *settings, const example_words *words, const volatile sig_atomic_t *stop) {
    google_examples *x = must_zalloc(1, sizeof *x);
    size_t S = settings->seq_length;
    maker m = { .out = x, .order = must_alloc(c->documents + 1, sizeof *m.order), .group = must_alloc(S + 1, sizeof *m.group),
                .turn = must_alloc(S, sizeof *m.turn), .candidate = must_alloc(S, sizeof *m.candidate) };
    x->corpus = c;
    x->settings = *settings;
    x->words = *words;
    python_random_seed(&m.random, settings->seed);
    for (size_t i = 0; i < c->documents; i++) m.order[i] = i;
    shuffle_numbers(&m.random, m.order, c->documents);
    for (uint32_t d = 0; d < settings->duplicates; d++)
        for (size_t i = 0; i < c->documents && !*stop && !x->too_many; i++) {
            add_document(&m, i);
            x->too_many = x->capacity * sizeof *x->item + x->mask_capacity * sizeof *x->mask > settings->most_bytes || x->count > UINT32_MAX;
        }
    if (!x->too_many) shuffle_examples(&m.random, x->item, x->count);
    free(m.order);
    free(m.group);
    free(m.turn);
    free(m.candidate);
    return x;
}

uint16_t google_example_render(const google_examples *x, size_t i, shard_rows *r, size_t row) {
    const google_example *e = &x->item[i];
    size_t S = x->settings.seq_length, P = x->settings.max_predictions;
    uint32_t second = e->a_count + 2u, length = second + e->b_count + 1u;
    int32_t *ids = r->input_ids + row * S, *positions = r->positions + row * P, *labels = r->labels + row * P;
    memset(ids, 0, S * sizeof *ids);
    memset(r->input_mask + row * S, 0, S);
    memset(r->input_mask + row * S, 1, length);
    memset(r->segment_ids + row * S, 0, S);
    memset(r->segment_ids + row * S + second, 1, length - second);
    memset(positions, 0, P * sizeof *positions);
    memset(labels, 0, P * sizeof *labels);
    ids[0] = x->words.cls;
    memcpy(ids + 1, x->corpus->token.id + e->a, e->a_count * sizeof *ids);
    ids[second - 1] = x->words.sep;
    memcpy(ids + second, x->corpus->token.id + e->b, e->b_count * sizeof *ids);
    ids[length - 1] = x->words.sep;
    for (size_t k = 0; k < e->masks; k++) {
        const google_mask *at = &x->mask[e->mask + k];
        positions[k] = at->position;
        labels[k] = ids[at->position];
        ids[at->position] = at->shown;
    }
    r->next_sentence[row] = e->random_next;
    return (uint16_t)length;
}

void google_examples_free(google_examples *x) {
    if (!x) return;
    free(x->item);
    free(x->mask);
    free(x);
}
