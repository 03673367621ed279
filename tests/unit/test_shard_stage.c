/* datagen/blocks.c, shard_pair.c, shard_rows_in_order.c, store.c: the rows of a text that is divided anyhow, in memory or in files, are those of
 * the same text held whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/files.h"
#include "base/rng.h"
#include "base/text.h"
#include "datagen/corpus.h"
#include "datagen/shard_rows.h"
#include "datagen/shard_rows_in_order.h"
#include <cmocka.h>   /* last: its macro fail() must not meet ours */

enum { S = 32, P = 5, DOCUMENTS = 60, VOCABULARY_LINES = 300 };
static volatile sig_atomic_t never;
static vocab *words;

static int make_vocab(void **state) {
    text t = {0};
    error e = {0};
    (void)state;
    text_format(&t, "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n");
    for (int i = 5; i < VOCABULARY_LINES; i++) text_format(&t, "%sw%d\n", i % 4 ? "" : "##", i);
    int code = vocab_parse(&words, t.data, t.bytes, "test", &e);
    free(t.data);
    return code;
}

/* The whole text; every seventh document is short, every fifth equals the one before. */
static corpus make_corpus(uint64_t seed) {
    corpus c;
    rng_key k = rng_open(seed, RNG_INIT, 0, 0, 0);
    uint64_t draw = 0;
    corpus_init(&c, corpus_continuations(words));
    c.token.id = must_alloc((size_t)DOCUMENTS * 40 * 40, sizeof *c.token.id);
    for (int d = 0; d < DOCUMENTS; d++) {
        size_t segments = d % 7 == 3 ? 1 : 1 + rng_below(k, draw++, 39);
        for (size_t s = 0; s < segments; s++) {
            size_t from = c.token.count, n = 1 + rng_below(k, draw++, d % 7 == 3 ? 2 : 30);
            for (size_t i = 0; i < n; i++) c.token.id[c.token.count++] = (int32_t)(5 + rng_below(k, draw++, VOCABULARY_LINES - 5));
            corpus_add_segment(&c, from, example_longest_segment(S, true));
        }
        corpus_end_document(&c);
    }
    return c;
}

/* Copies segment s of document d to the end of part. */
static void copy_segment(corpus *part, const corpus *c, uint64_t s) {
    size_t from = part->token.count, n = (size_t)(c->segment[s + 1] - c->segment[s]);
    part->token.id = must_realloc(part->token.id, from + n, sizeof *part->token.id);
    memcpy(part->token.id + from, c->token.id + c->segment[s], n * sizeof *part->token.id);
    part->token.count = part->token.capacity = from + n;
    corpus_add_segment(part, from, S);
}

/* Divides c into blocks that end after any segment with a chance of 1 in `chance`; an empty block, and an empty piece, now and then. */
static void divide(stage *g, const corpus *c, uint64_t chance, uint64_t seed) {
    rng_key k = rng_open(seed, RNG_INIT, 1, 0, 0);
    uint64_t draw = 0, index = 0;
    corpus part;
    error e = {0};
    bool continues = false;
    corpus_init(&part, NULL);
    for (uint64_t d = 0; d < c->documents; d++) {
        for (uint64_t s = c->document[d]; s < c->document[d + 1]; s++) {
            copy_segment(&part, c, s);
            bool ends = s + 1 == c->document[d + 1];
            if (ends) { if (continues && part.documents == 0) corpus_end_piece(&part); else corpus_end_document(&part); }
            if (rng_below(k, draw++, chance)) continue;
            if (!ends) corpus_end_piece(&part);
            assert_int_equal(blocks_add(&g->blocks, index++, &part, continues, !ends, NULL, &e), 0);
            continues = !ends;
            corpus_clear(&part);
            if (continues && rng_below(k, draw++, 4) == 0) {                       /* a block whose text gave no tokens */
                corpus_end_piece(&part);
                assert_int_equal(blocks_add(&g->blocks, index++, &part, true, true, NULL, &e), 0);
                corpus_clear(&part);
            }
        }
    }
    assert_int_equal(blocks_add(&g->blocks, index, &part, continues, false, NULL, &e), 0);
    corpus_free(&part);
}

static stage make_stage(uint64_t pool, int threads, uint32_t duplicates) {
    stage g = { .v = words, .continues = corpus_continuations(words), .size = 1, .temp = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp", .stop = &never,
                .pool = pool, .buckets = 7, .wish_groups = 3, .live = live_line_new(true), .sum = must_zalloc(1, sizeof(build_summary)) };
    g.s = (build_settings){ .example = { .seq_length = S, .max_predictions = P, .mask_prob = 0.15, .seed = 5, .next_sentence = true },
                            .duplicates = duplicates, .threads = threads };
    memory_budget_init(&g.budget, pool);
    return g;
}

static void open_stores(stage *g) {
    g->token_store = store_new(g->temp, "tokens", 0, &g->budget);
    g->wish_store = store_new(g->temp, "wishes", 0, &g->budget);
    g->row_store = store_new(g->temp, "rows", 0, &g->budget);
    g->wishes = spill_new(g->wish_store, g->wish_groups, 256);
    g->rows = spill_new(g->row_store, 2 * g->buckets, 256);
    g->bucket_rows = must_zalloc(2 * g->buckets, sizeof *g->bucket_rows);
    blocks_init(&g->blocks, g->token_store, NULL, vocab_size(words));
}

static void close_stage(stage *g) {
    spill_free(g->wishes);
    spill_free(g->rows);
    blocks_free(&g->blocks);
    store_free(g->token_store);
    store_free(g->wish_store);
    store_free(g->row_store);
    assert_int_equal(atomic_load(&g->budget.left), (int64_t)g->pool);           /* all memory was given back */
    live_line_free(g->live);
    free(g->bucket_rows);
    free(g->continues);
    free(g->sum);
}

typedef struct item { example x; const int32_t *a, *b; } item;

/* The same from the text held whole. */
static item *reference(const corpus *c, const example_settings *s, uint32_t duplicates, bool held_out, size_t *count) {
    item *list = NULL;
    *count = 0;
    for (uint32_t n = 0; n < (held_out ? 1 : duplicates); n++) for (uint64_t d = 0; d < c->documents; d++) {
        if (example_held_out(s, d) != held_out) continue;
        document_view v = corpus_document(c, d, 0);
        example_walk walk = { .document = d, .duplicate = n, .at = v.segment[0] };
        item t = {0};
        while (example_next(&v, s, &walk, &t.x, &t.a, &t.b)) {
            if (t.x.foreign) {
                if (example_held_out(s, t.x.partner) != held_out) fail_msg("document %zu has a partner of the other kind", (size_t)d);
                document_view o = corpus_document(c, t.x.partner, example_partner_segment(s, &t.x, c->document[t.x.partner + 1] - c->document[t.x.partner]));
                t.b = example_partner(&o, &t.x);
            }
            list = must_realloc(list, *count + 1, sizeof *list);
            list[(*count)++] = t;
        }
    }
    if (*count) qsort(list, *count, sizeof *list, example_compare);
    return list;
}

static void compare_rows(stage *g, const corpus *c, enum shard_split split) {
    size_t count;
    error e = {0};
    item *list = reference(c, &g->s.example, g->s.duplicates, split == SHARD_TEST, &count);
    uint64_t rows = 0;
    for (size_t i = 0; i < g->buckets; i++) rows += g->bucket_rows[(size_t)split * g->buckets + i];
    assert_int_equal(rows, count);
    example_words w = { vocab_cls(words), vocab_sep(words), vocab_mask(words), (int32_t)vocab_size(words), g->continues };
    shard_rows *is = shard_rows_make(S, P, 1), *want = shard_rows_make(S, P, 1);
    row_run *t = row_run_new(g);
    for (size_t first = 0; first < count; first += 37) {
        size_t end = first + 37 < count ? first + 37 : count;
        assert_int_equal(row_run_load(t, split, first, end, &e), 0);
        for (size_t r = first; r < end; r++) {
            row_run_render(t, r, is, 0);
            example_render(&g->s.example, &w, &list[r].x, list[r].a, list[r].b, want, 0);
            if (memcmp(is->input_ids, want->input_ids, S * 4) || memcmp(is->segment_ids, want->segment_ids, S) || memcmp(is->labels, want->labels, P * 4)
                || *is->next_sentence != *want->next_sentence) fail_msg("row %zu of %zu differs", r, count);
        }
    }
    row_run_free(t);
    shard_rows_free(is);
    shard_rows_free(want);
    free(list);
}

static void check(uint64_t pool, int threads, uint32_t duplicates, uint64_t chance, uint64_t held_out) {
    corpus c = make_corpus(chance);
    stage g = make_stage(pool, threads, duplicates);
    error e = {0};
    open_stores(&g);
    divide(&g, &c, chance, chance);
    assert_int_equal(blocks_settle(&g.blocks, 0, &e), 0);
    assert_int_equal(g.blocks.documents, c.documents);
    assert_int_equal(g.blocks.tokens, c.token.count);
    g.s.example.documents = c.documents;
    g.s.example.held_out = example_held_out_below(&g.s.example, held_out);
    assert_int_equal(stage_pair(&g, &e), 0);
    assert_int_equal(stage_find(&g, &e), 0);
    assert_int_equal(g.sum->test_documents, held_out);
    compare_rows(&g, &c, SHARD_TRAINING);
    compare_rows(&g, &c, SHARD_TEST);
    corpus_free(&c);
    close_stage(&g);
}

static void test_any_division(void **state) {
    (void)state;
    check(1 << 24, 1, 1, 1, 0);          /* a block for every segment */
    check(1 << 24, 1, 1, 3, 0);
    check(1 << 24, 2, 2, 50, 0);
    check(1 << 24, 1, 1, 1000000, 0);    /* one block */
}

static void test_from_files(void **state) {
    (void)state;
    check(0, 1, 1, 2, 0);
    check(20000, 3, 2, 40, 0);           /* part of it in memory */
}

static void test_held_out(void **state) {
    (void)state;
    check(1 << 24, 2, 3, 5, 2);
    check(0, 1, 1, 1, 30);
}

/* min_tokens drops documents over several blocks here (whoever tokenises drops the others); no token is lost from the count. */
static void test_short_documents(void **state) {
    (void)state;
    corpus c = make_corpus(3);
    stage g = make_stage(1 << 24, 1, 1);
    error e = {0};
    uint64_t least = 40, left = 0, dropped = 0;
    open_stores(&g);
    divide(&g, &c, 1, 3);
    for (uint64_t d = 0; d < c.documents; d++) {
        uint64_t tokens = c.segment[c.document[d + 1]] - c.segment[c.document[d]];
        bool several = c.document[d + 1] - c.document[d] > 1;
        left += tokens < least && several ? tokens : 0;
        dropped += tokens < least && several;
    }
    assert_true(dropped > 0);
    assert_int_equal(blocks_settle(&g.blocks, least, &e), 0);
    assert_int_equal(g.blocks.documents, c.documents - dropped);
    assert_int_equal(g.blocks.short_documents, dropped);
    assert_int_equal(g.blocks.left_out_tokens, left);
    assert_int_equal(g.blocks.tokens, c.token.count - left);
    corpus_free(&c);
    close_stage(&g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_division), cmocka_unit_test(test_from_files), cmocka_unit_test(test_held_out), cmocka_unit_test(test_short_documents),
    };
    return cmocka_run_group_tests(tests, make_vocab, NULL);
}
