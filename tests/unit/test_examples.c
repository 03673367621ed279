/* datagen/examples.c: every token used, half of the pairs random, masks as told, bytes final. */
#include "tests/unit/examples_fixture.h"

static void check_pairs(uint32_t S, size_t documents, size_t segments, size_t tokens) {
    corpus c = make_corpus(S, documents, segments, tokens, S);
    example_settings s = settings(S);
    example_list list = make_examples(&c, &s, 0);
    unsigned char *used = must_zalloc(c.token.count, 1);
    for (size_t i = 0; i < list.count; i++) {
        const item *t = &list.item[i];
        const example *x = &t->x;
        if (!x->a_count || !x->b_count || x->a_count + x->b_count + 3u > S) fail_msg("S %u row %zu: A %u and B %u tokens", S, i, x->a_count, x->b_count);
        assert_true(inside(&c, x->document, t->a, x->a_count));
        for (uint64_t k = 0; k < x->a_count; k++) used[t->a + k]++;
        if (x->label) assert_false(inside(&c, x->document, t->b, 1));
        else assert_int_equal(t->b, t->a + x->a_count);
        for (uint64_t k = 0; k < x->b_count && !x->label; k++) used[t->b + k]++;
    }
    for (size_t t = 0; t < c.token.count; t++) if (used[t] != 1) fail_msg("S %u: token %zu of %zu is used %d times", S, t, c.token.count, used[t]);
    free(used);
    free(list.item);
    corpus_free(&c);
}

static void test_every_token_is_used_once(void **state) {
    (void)state;
    check_pairs(128, 100, 60, 60);
    check_pairs(128, 100, 3, 400);       /* paragraphs, cut */
    check_pairs(512, 60, 80, 60);
    check_pairs(9, 200, 6, 9);
    check_pairs(8, 300, 4, 4);
    check_pairs(128, 500, 1, 1);         /* documents of one token */
}

static void test_share_of_random_pairs(void **state) {
    (void)state;
    corpus c = make_corpus(128, 600, 120, 56, 1);
    example_settings s = settings(128);
    example_list list = make_examples(&c, &s, 0);
    uint64_t random = 0, full = 0, length[2] = {0}, rows[2] = {0};
    for (size_t i = 0; i < list.count; i++) {
        const example *x = &list.item[i].x;
        random += x->label;
        rows[x->label]++;
        length[x->label] += x->a_count + x->b_count;
        full += x->a_count + x->b_count >= 120;
    }
    double share = (double)random / (double)list.count, filled = (double)full / (double)list.count;
    if (list.count < 10000 || fabs(share - 0.5) > 0.015) fail_msg("%zu rows, label 1 has a share of %.4f", list.count, share);
    if (filled < 0.88) fail_msg("only %.3f of the rows are full", filled);
    double mean0 = (double)length[0] / (double)rows[0], mean1 = (double)length[1] / (double)rows[1];
    if (fabs(mean0 - mean1) > 3) fail_msg("length tells the label: %.1f tokens with label 0, %.1f with 1", mean0, mean1);
    free(list.item);
    corpus_free(&c);
}

/* Cuts stand at word starts wherever a word is shorter than its segment. */
static void test_cuts_are_at_words(void **state) {
    (void)state;
    corpus c = make_corpus(64, 200, 30, 90, 7);
    example_settings s = settings(64);
    example_list list = make_examples(&c, &s, 0);
    size_t bad = 0;
    for (size_t i = 0; i < list.count; i++) {
        const item *t = &list.item[i];
        bool start = t->a == c.segment[c.document[t->x.document]];
        bad += !start && c.continues[c.token.id[t->a]] && !(t->x.chunk == 0);
    }
    /* Random ids make segments that begin with a continuation: those cuts are allowed. */
    size_t segment_starts = 0;
    for (size_t k = 0; k < c.segments; k++) segment_starts += c.continues[c.token.id[c.segment[k]]];
    assert_true(bad <= segment_starts);
    unsigned char one_word[16] = {0};
    for (int i = 6; i < 16; i++) one_word[i] = 1;
    corpus w;
    corpus_init(&w, memcpy(must_alloc(16, 1), one_word, 16));
    w.token.id = must_alloc(12, sizeof *w.token.id);
    for (int i = 0; i < 12; i++) w.token.id[i] = i == 0 || i == 4 ? 5 : 6;      /* words of 4 and 8 pieces */
    w.token.count = 12;
    corpus_add_segment(&w, 0, 6);                                               /* cut at the word, then at pieces */
    corpus_end_document(&w);
    assert_int_equal(w.segments, 3);
    assert_int_equal(w.segment[1], 4);
    assert_int_equal(w.segment[2], 10);
    corpus_free(&w);
    free(list.item);
    corpus_free(&c);
}

static void test_order_and_keys(void **state) {
    (void)state;
    corpus c = make_corpus(64, 50, 30, 40, 3);
    example_settings s = settings(64);
    example_list a = make_examples(&c, &s, 0), b = {0};
    for (uint64_t d = c.documents; d-- > 0; ) examples_of_document(&c, &s, 0, d, &b);      /* another order of work */
    examples_sort(&a);
    examples_sort(&b);
    assert_int_equal(a.count, b.count);
    assert_memory_equal(a.item, b.item, a.count * sizeof *a.item);
    for (size_t i = 1; i < a.count; i++) assert_true(a.item[i - 1].x.order < a.item[i].x.order);
    example_list other = make_examples(&c, &s, 1);
    examples_sort(&other);
    assert_true(other.item[0].x.order != a.item[0].x.order);
    free(other.item);
    free(a.item);
    free(b.item);
    corpus_free(&c);
}

static void test_predictions_round_half_to_even(void **state) {
    (void)state;
    example_settings s = settings(512);
    const struct { uint32_t length, count; } known[] = { { 4, 1 }, { 10, 2 }, { 30, 4 }, { 50, 8 }, { 110, 16 }, { 512, 77 } };   /* Python's round() */
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) assert_int_equal(example_predictions(&s, known[i].length), known[i].count);
    s.max_predictions = 20;
    assert_int_equal(example_predictions(&s, 512), 20);
    s.mask_prob = 1;
    s.max_predictions = 512;
    assert_int_equal(example_predictions(&s, 10), 7);        /* not [CLS], not the two [SEP] */
}

static void test_masks(void **state) {
    (void)state;
    corpus c = make_corpus(128, 200, 60, 50, 5);
    example_settings s = settings(128);
    example_list list = make_examples(&c, &s, 0);
    shard_rows *r = shard_rows_make(128, 20, 1);
    double kind[3] = {0}, total = 0, per_third[3] = {0};
    r->count = 1;
    for (size_t i = 0; i < list.count; i++) {
        const item *t = &list.item[i];
        const example *x = &t->x;
        uint16_t length = example_render(&s, &words, x, c.token.id + t->a, c.token.id + t->b, r, 0), checked;
        error e = {0};
        shard_rows_limits limits = { 128, 20, 128, VOCABULARY, NULL };
        if (shard_rows_check(r, &limits, &checked, "row", i, &e)) fail_msg("%s", e.text);
        assert_int_equal(length, checked);
        assert_int_equal(r->input_ids[0], CLS);
        assert_int_equal(r->input_ids[x->a_count + 1], SEP);
        assert_int_equal(r->input_ids[length - 1], SEP);
        uint32_t n = 0;
        for (; n < 20 && r->positions[n]; n++) {
            int32_t at = r->positions[n], now = r->input_ids[at], was = r->labels[n];
            kind[now == MASK ? 0 : now == was ? 1 : 2]++;
            per_third[at * 3 / length]++;
            total++;
            r->input_ids[at] = was;
        }
        assert_int_equal(n, example_predictions(&s, length));
        assert_memory_equal(r->input_ids + 1, c.token.id + t->a, x->a_count * 4u);
        assert_memory_equal(r->input_ids + x->a_count + 2, c.token.id + t->b, x->b_count * 4u);
    }
    if (fabs(kind[0] / total - 0.8) > 0.01 || fabs(kind[1] / total - 0.1) > 0.01 || fabs(kind[2] / total - 0.1) > 0.01)
        fail_msg("[MASK] %.4f, kept %.4f, random %.4f of %.0f", kind[0] / total, kind[1] / total, kind[2] / total, total);
    for (int i = 0; i < 3; i++)
        if (fabs(per_third[i] / total - 1.0 / 3) > 0.02) fail_msg("third %d of the rows has a share of %.4f of the masks", i, per_third[i] / total);
    shard_rows_free(r);
    free(list.item);
    corpus_free(&c);
}

static void test_without_pairs(void **state) {
    (void)state;
    corpus c = make_corpus(64, 1, 40, 30, 9);
    example_settings s = settings(64);
    s.next_sentence = false;
    example_list list = make_examples(&c, &s, 0);
    uint64_t at = 0;
    for (size_t i = 0; i < list.count; i++) {
        assert_int_equal(list.item[i].a, at);
        assert_int_equal(list.item[i].x.b_count, 0);
        assert_true(list.item[i].x.a_count <= 62);
        at += list.item[i].x.a_count;
    }
    assert_int_equal(at, c.token.count);
    free(list.item);
    corpus_free(&c);
}

/* The bytes of native mode are final: whoever changes this hash changes everybody's shards. */
static void test_bytes_are_final(void **state) {
    (void)state;
    corpus c = make_corpus(64, 40, 30, 70, 11);
    example_settings s = settings(64);
    example_list list = make_examples(&c, &s, 0);
    examples_sort(&list);
    shard_rows *r = shard_rows_make(64, s.max_predictions, 1);
    sha256 hash;
    char hex[SHA256_HEX];
    sha256_init(&hash);
    for (size_t i = 0; i < list.count; i++) {
        example_render(&s, &words, &list.item[i].x, c.token.id + list.item[i].a, c.token.id + list.item[i].b, r, 0);
        sha256_add(&hash, r->input_ids, 64 * 4);
        sha256_add(&hash, r->positions, s.max_predictions * 4u);
        sha256_add(&hash, r->labels, s.max_predictions * 4u);
        sha256_add(&hash, r->next_sentence, 1);
    }
    sha256_end_hex(&hash, hex);
    assert_string_equal(hex, "ffa2de82040a95545374b9b6c296278e622814c28b74c82e99ef4bef0ec7111b");
    shard_rows_free(r);
    free(list.item);
    corpus_free(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_token_is_used_once), cmocka_unit_test(test_share_of_random_pairs), cmocka_unit_test(test_cuts_are_at_words),
        cmocka_unit_test(test_order_and_keys), cmocka_unit_test(test_predictions_round_half_to_even), cmocka_unit_test(test_masks),
        cmocka_unit_test(test_without_pairs), cmocka_unit_test(test_bytes_are_final),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
