/* datagen/examples.c: shorter rows, swapped sentences, whole words. */
#include "tests/unit/examples_fixture.h"

static void free_all(example_list *list, corpus *c) {
    free(list->item);
    corpus_free(c);
}

/* Times that each token of the corpus stands in an A or a B of the same document; caller frees. */
static unsigned char *count_uses(const corpus *c, const example_list *list) {
    unsigned char *used = must_zalloc(c->token.count, 1);
    for (size_t i = 0; i < list->count; i++) {
        const item *t = &list->item[i];
        for (uint64_t k = 0; k < t->x.a_count; k++) used[t->a + k]++;
        for (uint64_t k = 0; k < t->x.b_count && !t->x.foreign; k++) used[t->b + k]++;
    }
    return used;
}

static void check_short(uint32_t S, double share, size_t documents, size_t segments, size_t tokens, bool pairs) {
    corpus c = make_corpus(S, documents, segments, tokens, S);
    example_settings s = settings(S);
    s.short_seq_prob = share;
    s.next_sentence = pairs;
    example_list list = make_examples(&c, &s, 0);
    for (size_t i = 0; i < list.count; i++) {
        const example *x = &list.item[i].x;
        if (!x->a_count || (pairs && !x->b_count) || x->a_count + x->b_count + (pairs ? 3u : 2u) > S)
            fail_msg("S %u: A %u, B %u tokens", S, x->a_count, x->b_count);
        if (x->foreign) assert_true(inside(&c, x->partner, list.item[i].b, x->b_count) && x->partner != x->document);
    }
    unsigned char *used = count_uses(&c, &list);
    for (size_t t = 0; t < c.token.count; t++) if (used[t] != 1) fail_msg("S %u: token %zu of %zu is used %d times", S, t, c.token.count, used[t]);
    free(used);
    free_all(&list, &c);
}

static void test_short_rows_use_every_token(void **state) {
    (void)state;
    check_short(128, 0.3, 100, 60, 60, true);
    check_short(128, 1, 100, 60, 60, true);
    check_short(128, 1, 60, 3, 400, true);
    check_short(8, 1, 300, 4, 4, true);
    check_short(128, 0.5, 60, 40, 60, false);
    check_short(8, 1, 300, 4, 12, false);
}

/* Where every token is a word, a chunk inside a document is as long as its room: the share of short ones, and their mean, can be counted. */
static void test_share_of_short_rows(void **state) {
    (void)state;
    corpus c = make_corpus(128, 60, 1000, 40, 3);
    memset(c.continues, 0, VOCABULARY);
    example_settings s = settings(128);
    s.short_seq_prob = 0.2;
    example_list list = make_examples(&c, &s, 0);
    double all = 0, less = 0, sum = 0, ones = 0;
    for (size_t i = 0; i + 1 < list.count; i++) {
        const example *x = &list.item[i].x;
        ones += x->label;
        if (x->label || list.item[i + 1].x.document != x->document) continue;
        uint32_t tokens = x->a_count + x->b_count;
        all++;
        if (tokens == 125) continue;
        assert_true(tokens >= 2);
        less++;
        sum += tokens;
    }
    if (all < 3000 || fabs(less / all - 0.2) > 0.02) fail_msg("%.0f of %.0f rows are short, 0.2 were asked for", less, all);
    if (fabs(sum / less - 63) > 4) fail_msg("short rows have %.1f tokens in the mean, 63 (2 to 124) are expected", sum / less);
    if (fabs(ones / (double)list.count - 0.5) > 0.02) fail_msg("label 1 has a share of %.4f", ones / (double)list.count);
    free_all(&list, &c);
}

static void check_order(uint32_t S, size_t documents, size_t segments, size_t tokens, double short_share) {
    corpus c = make_corpus(S, documents, segments, tokens, S);
    example_settings s = settings(S);
    s.sentence_order = true;
    s.short_seq_prob = short_share;
    example_list list = make_examples(&c, &s, 0);
    double swapped = 0;
    for (size_t i = 0; i < list.count; i++) {
        const item *t = &list.item[i];
        const example *x = &t->x;
        assert_true(x->a_count && x->b_count && x->a_count + x->b_count + 3u <= S && !x->foreign);
        assert_true(inside(&c, x->document, t->a, x->a_count) && inside(&c, x->document, t->b, x->b_count));
        if (x->label) assert_int_equal(t->a, t->b + x->b_count);
        else assert_int_equal(t->b, t->a + x->a_count);
        swapped += x->label;
    }
    if (list.count > 2000 && fabs(swapped / (double)list.count - 0.5) > 0.03) fail_msg("%.0f of %zu rows are swapped", swapped, list.count);
    unsigned char *used = count_uses(&c, &list);
    for (size_t d = 0; d < c.documents; d++)
        for (uint64_t t = c.segment[c.document[d]], end = c.segment[c.document[d + 1]]; t < end; t++)
            if (used[t] != 1 && (t + 1 < end || used[t])) fail_msg("S %u, document %zu: token %llu is used %d times", S, d, (unsigned long long)t, used[t]);
    free(used);
    free_all(&list, &c);
}

static void test_sentence_order(void **state) {
    (void)state;
    check_order(128, 300, 60, 60, 0);
    check_order(128, 1, 60, 60, 0);          /* one document is enough */
    check_order(8, 300, 4, 4, 0);
    check_order(64, 300, 3, 1, 0.5);
    check_order(32, 200, 20, 60, 1);
}

/* Masked positions of the row are whole words of its part. */
static void check_whole(const corpus *c, const item *t, const shard_rows *r, uint16_t length, uint32_t masks) {
    bool masked[512] = {0};
    for (uint32_t n = 0; n < masks; n++) masked[r->positions[n]] = true;
    for (uint32_t i = 2; i + 1 < length; i++) {
        uint32_t sep = t->x.a_count + 1u;
        if (i == sep || i == sep + 1) continue;
        int32_t id = i < sep ? c->token.id[t->a + i - 1] : c->token.id[t->b + i - sep - 1];
        if (c->continues[id] && masked[i] != masked[i - 1]) fail_msg("position %u continues a word, but only one of the two is masked", i);
    }
}

static void test_whole_words(void **state) {
    (void)state;
    corpus c = make_corpus(128, 200, 60, 50, 5);
    example_settings s = settings(128);
    s.whole_words = true;
    example_list list = make_examples(&c, &s, 0);
    example_words w = words;
    w.continues = c.continues;
    shard_rows *r = shard_rows_make(128, 20, 1);
    double kind[3] = {0}, total = 0, wanted = 0, continued = 0, tokens = 0, text_continued = 0;
    r->count = 1;
    for (size_t i = 0; i < list.count; i++) {
        const item *t = &list.item[i];
        uint16_t length = example_render(&s, &w, &t->x, c.token.id + t->a, c.token.id + t->b, r, 0);
        uint32_t n = 0, most = example_predictions(&s, length);
        for (; n < 20 && r->positions[n]; n++) {
            int32_t now = r->input_ids[r->positions[n]], was = r->labels[n];
            kind[now == MASK ? 0 : now == was ? 1 : 2]++;
            continued += c.continues[was];
        }
        for (uint64_t k = 0; k < t->x.a_count; k++) text_continued += c.continues[c.token.id[t->a + k]];
        tokens += t->x.a_count;
        assert_true(n <= most && n + 3 >= most);         /* the words of a long row are of 1, 2 or few pieces */
        total += n;
        wanted += most;
        check_whole(&c, t, r, length, n);
    }
    if (total < 0.99 * wanted) fail_msg("%.0f tokens are masked of %.0f", total, wanted);
    if (fabs(continued / total - text_continued / tokens) > 0.03)      /* long words are passed over at the end */
        fail_msg("%.4f of the masked tokens are ##, %.4f of the text", continued / total, text_continued / tokens);
    if (fabs(kind[0] / total - 0.8) > 0.01 || fabs(kind[1] / total - 0.1) > 0.01 || fabs(kind[2] / total - 0.1) > 0.01)
        fail_msg("[MASK] %.4f, kept %.4f, random %.4f of %.0f", kind[0] / total, kind[1] / total, kind[2] / total, total);
    shard_rows_free(r);
    free_all(&list, &c);
}

/* One word of 20 pieces, 3 masks wanted: none is set; and with room for it, all of it. */
static void test_a_word_that_does_not_fit(void **state) {
    (void)state;
    unsigned char continues[VOCABULARY] = { [7] = 1 };
    int32_t ids[20] = { 6 };
    for (int i = 1; i < 20; i++) ids[i] = 7;
    example_settings s = settings(64);
    s.next_sentence = false;
    s.whole_words = true;
    example_words w = words;
    w.continues = continues;
    example x = { .a_count = 20 };
    shard_rows *r = shard_rows_make(64, 20, 1);
    s.max_predictions = 20;
    example_render(&s, &w, &x, ids, NULL, r, 0);
    assert_int_equal(r->positions[0], 0);
    s.mask_prob = 1;
    example_render(&s, &w, &x, ids, NULL, r, 0);
    for (int i = 0; i < 20; i++) assert_int_equal(r->positions[i], i + 1);
    shard_rows_free(r);
}

/* These bytes are final too. */
static void test_bytes_are_final(void **state) {
    (void)state;
    static const struct { double short_share; bool order, whole; const char *hash; } known[] = {
        { 0.2, false, false, "bf6b4f231adf80ad39fb3aee7c92d7bef25c4245554fdcbce1517dc37fdd194d" },
        { 0, true, false, "07448019d7aae0878b481a49ad084cff70c2bf13ea576273c0365e715a6a3d1e" },
        { 0, false, true, "62f2cea9aabf785b5bb2d46d02c7e5251af846ea8ed527d5fb66d0bb54457e77" },
        { 0.5, true, true, "c7271eefe41c7f93778ac07efbe6008dfc824edcc0e94654c10b347f89f6113c" },
    };
    corpus c = make_corpus(64, 40, 30, 70, 11);
    shard_rows *r = shard_rows_make(64, 10, 1);
    for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
        example_settings s = settings(64);
        s.short_seq_prob = known[k].short_share;
        s.sentence_order = known[k].order;
        s.whole_words = known[k].whole;
        example_words w = words;
        w.continues = c.continues;
        example_list list = make_examples(&c, &s, 1);
        examples_sort(&list);
        sha256 hash;
        char hex[SHA256_HEX];
        sha256_init(&hash);
        for (size_t i = 0; i < list.count; i++) {
            example_render(&s, &w, &list.item[i].x, c.token.id + list.item[i].a, c.token.id + list.item[i].b, r, 0);
            sha256_add(&hash, r->input_ids, 64 * 4);
            sha256_add(&hash, r->positions, 10 * 4);
            sha256_add(&hash, r->labels, 10 * 4);
            sha256_add(&hash, r->next_sentence, 1);
        }
        sha256_end_hex(&hash, hex);
        assert_string_equal(hex, known[k].hash);
        free(list.item);
    }
    shard_rows_free(r);
    corpus_free(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_short_rows_use_every_token), cmocka_unit_test(test_share_of_short_rows), cmocka_unit_test(test_sentence_order),
        cmocka_unit_test(test_whole_words), cmocka_unit_test(test_a_word_that_does_not_fit), cmocka_unit_test(test_bytes_are_final),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
