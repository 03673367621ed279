/* tests/unit/examples_fixture.h - a made-up corpus and all its examples, for the tests of datagen/examples.c. */
#ifndef TESTS_EXAMPLES_FIXTURE_H
#define TESTS_EXAMPLES_FIXTURE_H
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/rng.h"
#include "base/sha256.h"
#include "datagen/corpus.h"
#include "datagen/examples.h"
#include "datagen/shard_rows.h"
#include <cmocka.h>   /* last: its macro fail() must not meet ours */

enum { VOCABULARY = 1000, CLS = 2, SEP = 3, MASK = 4 };
static const example_words words = { CLS, SEP, MASK, VOCABULARY, NULL };

static example_settings settings(uint32_t S) {
    return (example_settings){ .seq_length = S, .max_predictions = (S * 5 + 31) / 32, .mask_prob = 0.15, .seed = 12345, .next_sentence = true };
}

/* Ids from 5 on; every fourth continues a word. */
static corpus make_corpus(uint32_t S, size_t documents, size_t most_segments, size_t most_tokens, uint64_t seed) {
    unsigned char *continues = must_zalloc(VOCABULARY, 1);
    for (int i = 8; i < VOCABULARY; i += 4) continues[i] = 1;
    corpus c;
    corpus_init(&c, continues);
    c.token.id = must_alloc(documents * most_segments * most_tokens, sizeof *c.token.id);
    rng_key k = rng_open(seed, RNG_INIT, 0, 0, 0);
    uint64_t draw = 0;
    for (size_t d = 0; d < documents; d++) {
        size_t segments = 1 + rng_below(k, draw++, most_segments);
        for (size_t s = 0; s < segments; s++) {
            size_t from = c.token.count, n = 1 + rng_below(k, draw++, most_tokens);
            for (size_t i = 0; i < n; i++) c.token.id[c.token.count++] = (int32_t)(5 + rng_below(k, draw++, VOCABULARY - 5));
            corpus_add_segment(&c, from, example_longest_segment(S, true));
        }
        corpus_end_document(&c);
    }
    return c;
}

/* An example with the places of its tokens in the corpus. */
typedef struct item { example x; uint64_t a, b; } item;
typedef struct example_list { item *item; size_t count, capacity; } example_list;

static void examples_of_document(const corpus *c, const example_settings *s, uint32_t duplicate, uint64_t number, example_list *list) {
    document_view d = corpus_document(c, number, 0);
    example_walk walk = { .document = number, .duplicate = duplicate, .at = d.segment[0] };
    const int32_t *a, *b;
    item t;
    while (example_next(&d, s, &walk, &t.x, &a, &b)) {
        if (t.x.foreign) {
            document_view other = corpus_document(c, t.x.partner, example_partner_segment(s, &t.x, c->document[t.x.partner + 1] - c->document[t.x.partner]));
            b = example_partner(&other, &t.x);
        }
        t.a = (uint64_t)(a - c->token.id);
        t.b = (uint64_t)(b - c->token.id);
        if (list->count == list->capacity) list->item = must_realloc(list->item, list->capacity = 2 * list->capacity + 64, sizeof t);
        list->item[list->count++] = t;
    }
}

static example_list make_examples(const corpus *c, example_settings *s, uint32_t duplicate) {
    example_list list = {0};
    s->documents = c->documents;
    for (uint64_t d = 0; d < c->documents; d++) examples_of_document(c, s, duplicate, d, &list);
    return list;
}

static inline void examples_sort(example_list *list) { qsort(list->item, list->count, sizeof *list->item, example_compare); }

static inline bool inside(const corpus *c, uint64_t document, uint64_t from, uint64_t count) {
    return from >= c->segment[c->document[document]] && from + count <= c->segment[c->document[document + 1]];
}
#endif
