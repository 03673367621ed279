/* Tensor table, initialisation, and every config.json that must be refused, by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <math.h>
#include "trainer/model.h"
#include <cmocka.h>

static char path[512];

static int read_text(model_config *c, const char *text, error *e) {
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
    return model_config_read(c, path, e);
}

static void refuses(void **state) {
    (void)state;
    static const struct { const char *json, *named; } bad[] = {
        {"[1]", "JSON object"},
        {"{\"model_type\": \"roberta\"}", "model_type"},
        {"{\"hidden_act\": \"gelu_new\"}", "gelu_new"},
        {"{\"hidden_act\": 3}", "hidden_act"},
        {"{\"position_embedding_type\": \"relative_key\"}", "position_embedding_type"},
        {"{\"is_decoder\": true}", "is_decoder"},
        {"{\"add_cross_attention\": true}", "add_cross_attention"},
        {"{\"tie_word_embeddings\": false}", "tie_word_embeddings"},
        {"{\"pruned_heads\": {\"0\": [1]}}", "pruned_heads"},
        {"{\"pad_token_id\": 1}", "pad_token_id"},
        {"{\"hidden_size\": 100, \"num_attention_heads\": 3}", "num_attention_heads"},
        {"{\"hidden_size\": 0}", "hidden_size"},
        {"{\"hidden_size\": 768.5}", "hidden_size"},
        {"{\"hidden_size\": 100000000000}", "hidden_size"},
        {"{\"vocab_size\": -1}", "vocab_size"},
        {"{\"num_hidden_layers\": 0}", "num_hidden_layers"},
        {"{\"num_hidden_layers\": 1000}", "num_hidden_layers"},
        {"{\"intermediate_size\": \"big\"}", "intermediate_size"},
        {"{\"max_position_embeddings\": 0}", "max_position_embeddings"},
        {"{\"type_vocab_size\": 1}", "type_vocab_size"},
        {"{\"layer_norm_eps\": -1}", "layer_norm_eps"},
        {"{\"hidden_dropout_prob\": 1.0}", "hidden_dropout_prob"},
        {"{\"attention_probs_dropout_prob\": -0.1}", "attention_probs_dropout_prob"},
        {"{\"initializer_range\": \"x\"}", "initializer_range"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        model_config c;
        error e = {0};
        int code = read_text(&c, bad[i].json, &e);
        if (code != EXIT_USAGE || !strstr(e.text, bad[i].named) || !strstr(e.text, path)) fail_msg("%s: code %d, \"%s\"", bad[i].json, code, e.text);
    }
}

static void defaults_and_print(void **state) {
    (void)state;
    model_config c, again;
    error e = {0};
    assert_int_equal(read_text(&c, "{\"hidden_size\": 64, \"num_attention_heads\": 2, \"classifier_dropout\": null, \"extra\": 7}", &e), 0);
    assert_int_equal(c.vocab_size, 0);
    assert_int_equal(c.num_hidden_layers, 12);
    assert_true(c.layer_norm_eps == 1e-12 && c.hidden_dropout_prob == 0.1);
    assert_int_equal(model_config_fit_vocab(&c, 300, "m", &e), 0);
    assert_int_equal(c.vocab_size, 300);
    assert_int_equal(model_config_fit_vocab(&c, 200, "m", &e), 0);
    assert_int_equal(c.vocab_size, 300);
    assert_int_equal(model_config_fit_vocab(&c, 301, "m", &e), EXIT_USAGE);
    assert_non_null(strstr(e.text, "vocab_size 300"));
    char *text = model_config_print(&c);
    assert_non_null(strstr(text, "BertForPreTraining"));
    assert_non_null(strstr(text, "\"extra\": 7"));
    assert_int_equal(read_text(&again, text, &e), 0);
    assert_int_equal(again.vocab_size, 300);
    assert_true(again.layer_norm_eps == 1e-12);
    free(text);
    model_config_free(&c), model_config_free(&again);
}

static model *small_model(void) {
    model_config c = {.vocab_size = 101, .hidden_size = 24, .num_hidden_layers = 3, .num_attention_heads = 2, .intermediate_size = 40,
                      .max_position_embeddings = 33, .type_vocab_size = 2, .layer_norm_eps = 1e-12, .initializer_range = 0.02};
    return model_new(&c);
}

static void table(void **state) {
    (void)state;
    model *m = small_model();
    size_t end = 0, count = 0;
    assert_int_equal(m->tensors, 5 + 16 * 3 + 9);
    for (size_t i = 0; i < m->tensors; i++) {
        assert_int_equal(m->tensor[i].offset % PLAN_BLOCK, 0);
        assert_true(m->tensor[i].offset >= end && m->tensor[i].offset < end + PLAN_BLOCK);
        end = m->tensor[i].offset + m->tensor[i].count;
        count += m->tensor[i].count;
        range r = m->bucket[m->tensor[i].bucket];
        assert_true(r.begin <= m->tensor[i].offset && end <= r.end);
        assert_int_equal(model_find(m, m->tensor[i].name), i);
        assert_int_equal(m->tensor[i].decay, m->tensor[i].vector ? DECAY_NO : DECAY_YES);
    }
    assert_int_equal(count, m->parameters);
    assert_int_equal(m->buckets, 7);
    size_t covered = 0;
    for (int i = 0; i < m->buckets; i++) covered += m->bucket[i].end - m->bucket[i].begin;
    assert_int_equal(covered, m->gradient_elements);
    assert_int_equal(m->bucket[0].begin, m->decoder_offset);
    assert_int_equal(m->bucket[0].end - m->bucket[0].begin, m->bucket[6].end - m->bucket[6].begin);
    assert_int_equal(model_find(m, "bert.nothing"), -1);
    assert_string_equal(m->tensor[m->layer[2].query_weight].name, "bert.encoder.layer.2.attention.self.query.weight");
    assert_true(m->bucket[2].begin == m->tensor[m->layer[2].query_weight].offset);
    assert_true(m->tensor[m->pooler_weight].only_nsp && m->tensor[m->nsp_bias].only_nsp && !m->tensor[m->mlm_bias].only_nsp);
    model_free(m);
}

static void init(void **state) {
    (void)state;
    model *m = small_model();
    size_t bytes = m->weight_elements * sizeof(float);
    float *w = malloc(bytes), *again = malloc(bytes), *other = malloc(bytes);
    memset(w, 0xff, bytes);
    model_init(m, w, 5), model_init(m, again, 5), model_init(m, other, 6);
    assert_memory_equal(w, again, bytes);
    assert_true(memcmp(w, other, bytes) != 0);
    const tensor *word = &m->tensor[m->word];
    for (size_t i = 0; i < word->columns; i++) assert_true(w[word->offset + i] == 0);
    double square = 0;
    for (size_t i = word->columns; i < word->count; i++) square += (double)w[word->offset + i] * (double)w[word->offset + i];
    double deviation = sqrt(square / (double)(word->count - word->columns));
    if (!(fabs(deviation - 0.02) < 0.0012)) fail_msg("standard deviation %g, wanted 0.02", deviation);
    for (size_t i = 0; i < m->tensors; i++) {
        const tensor *t = &m->tensor[i];
        size_t end = i + 1 < m->tensors ? m->tensor[i + 1].offset : m->weight_elements;
        for (size_t j = t->offset + t->count; j < end; j++) assert_true(w[j] == 0);
        if (t->vector) assert_true(w[t->offset] == (strstr(t->name, "LayerNorm.weight") ? 1.0f : 0.0f));
    }
    free(w), free(again), free(other);
    model_free(m);
}

int main(void) {
    snprintf(path, sizeof path, "%s/config.json", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    const struct CMUnitTest tests[] = {cmocka_unit_test(refuses), cmocka_unit_test(defaults_and_print), cmocka_unit_test(table), cmocka_unit_test(init)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
