/* Vocabularies: what is refused, and with which words; what a good one answers. */
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include "base/files.h"
#include "datagen/tokenizer.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>   /* after base/fail.h: it makes fail a macro */

#define GOOD "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n"

static void refused_n(const char *text, size_t bytes, const char *message) {
    vocab *v = (vocab *)1;
    error e = {0};
    assert_int_equal(vocab_parse(&v, text, bytes, "v.txt", &e), EXIT_USAGE);
    assert_int_equal(e.code, EXIT_USAGE);
    assert_null(v);
    assert_string_equal(e.text, message);
}
static void refused(const char *text, const char *message) { refused_n(text, strlen(text), message); }

static void test_refusals(void **state) {
    (void)state;
    refused("", "v.txt: the special token [PAD] is missing; BERT needs [PAD] [UNK] [CLS] [SEP] [MASK]");
    refused("[PAD]\n[CLS]\n[SEP]\n[MASK]\n", "v.txt: the special token [UNK] is missing; BERT needs [PAD] [UNK] [CLS] [SEP] [MASK]");
    refused("[PAD]\n[UNK]\n[SEP]\n[MASK]\n", "v.txt: the special token [CLS] is missing; BERT needs [PAD] [UNK] [CLS] [SEP] [MASK]");
    refused("[PAD]\n[UNK]\n[CLS]\n[MASK]\n", "v.txt: the special token [SEP] is missing; BERT needs [PAD] [UNK] [CLS] [SEP] [MASK]");
    refused("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[mask]\n", "v.txt: the special token [MASK] is missing; BERT needs [PAD] [UNK] [CLS] [SEP] [MASK]");
    refused("[UNK]\n[PAD]\n[CLS]\n[SEP]\n[MASK]\n", "v.txt:2: [PAD] must be the first token (id 0)");
    refused(GOOD "a\nb\na\n", "v.txt:8: token \"a\" stands on line 6 already; remove one");
    refused(GOOD "a\n\nb\n", "v.txt:7: an empty line; every line is a token: remove it");
    refused(GOOD "a\n\r\nb\n", "v.txt:7: an empty line; every line is a token: remove it");
    refused(GOOD "a\nb\xff\n", "v.txt:7: invalid UTF-8 at byte 2 of the line");
    refused(GOOD "\xed\xa0\x80\n", "v.txt:6: invalid UTF-8 at byte 1 of the line");
    refused(GOOD "a\xe2\x82", "v.txt:6: invalid UTF-8 at byte 2 of the line");
    refused(GOOD "a\rb\n", "v.txt:6: the token holds a carriage return; end lines with \\n");
    refused("\xef\xbb\xbf" GOOD, "v.txt:1: begins with a byte order mark; save the file without it");
    refused_n(GOOD "a\0b\n", sizeof(GOOD "a\0b\n") - 1, "v.txt:6: the token holds a NUL byte; this is no vocabulary");
}

static void test_limits(void **state) {
    (void)state;
    char line[2048] = GOOD;
    size_t at = strlen(GOOD);
    memset(line + at, 'x', 1001);
    refused(line, "v.txt:6: a token of 1001 bytes; at most 1000 are allowed");
    vocab *v;
    error e = {0};
    assert_int_equal(vocab_parse(&v, line, at + 1000, "v.txt", &e), 0);
    assert_int_equal(vocab_id(v, line + at, 1000), 5);
    vocab_free(v);
    size_t many = (4u << 20) + 1, room = at + many * 8, used = at;      /* 4 Mi + 6 tokens */
    char *text = malloc(room + 1);
    memcpy(text, GOOD, at);
    for (size_t i = 0; i < many; i++) used += (size_t)snprintf(text + used, 9, "%zx\n", i);
    assert_int_equal(vocab_parse(&v, text, used, "v.txt", &e), EXIT_USAGE);
    assert_string_equal(e.text, "v.txt: 4194311 lines; at most 4194304 tokens are allowed");
    free(text);
}

static void test_answers(void **state) {
    (void)state;
    const char *text = "[PAD]\r\n[MASK]\nabc\n##b\n[SEP]\n\xce\xa9\n[CLS]\n[UNK]\n \nlast";
    vocab *v;
    error e = {0};
    assert_int_equal(vocab_parse(&v, text, strlen(text), "v.txt", &e), 0);
    assert_int_equal(vocab_size(v), 10);
    assert_int_equal(vocab_mask(v), 1);
    assert_int_equal(vocab_sep(v), 4);
    assert_int_equal(vocab_cls(v), 6);
    assert_int_equal(vocab_unk(v), 7);
    assert_string_equal(vocab_token(v, 3), "##b");
    assert_string_equal(vocab_token(v, 9), "last");
    for (int32_t id = 0; id < 10; id++) assert_int_equal(vocab_id(v, vocab_token(v, id), strlen(vocab_token(v, id))), id);
    assert_int_equal(vocab_id(v, "ab", 2), -1);
    assert_int_equal(vocab_id(v, "", 0), -1);
    assert_true(vocab_has_capitals(v));
    size_t bytes;
    char *copy = vocab_text(v, &bytes), hex[SHA256_HEX];
    assert_string_equal(copy, "[PAD]\n[MASK]\nabc\n##b\n[SEP]\n\xce\xa9\n[CLS]\n[UNK]\n \nlast\n");
    sha256 s;
    sha256_init(&s);
    sha256_add(&s, copy, bytes);
    sha256_end_hex(&s, hex);
    assert_string_equal(vocab_hash(v), hex);
    bool lower;
    int strip;
    assert_false(vocab_casing(v, &lower, &strip));
    free(copy);
    vocab_free(v);
    assert_int_equal(vocab_parse(&v, GOOD "a\n\xcf\x89\n", strlen(GOOD) + 5, "v.txt", &e), 0);
    assert_false(vocab_has_capitals(v));            /* the special tokens do not count */
    vocab_free(v);
}

/* Writes tokenizer_config.json beside a vocabulary and loads the folder. */
static int load_with(const char *config, vocab **v, error *e) {
    const char *temp = getenv("TMPDIR");
    char folder[512], path[600];
    snprintf(folder, sizeof folder, "%s/hf", temp ? temp : "/tmp");
    assert_int_equal(files_remove_tree(folder, e), 0);
    assert_int_equal(files_make_folders(folder, e), 0);
    snprintf(path, sizeof path, "%s/vocab.txt", folder);
    assert_int_equal(files_write_atomic(path, GOOD, strlen(GOOD), e), 0);
    snprintf(path, sizeof path, "%s/tokenizer_config.json", folder);
    if (config) assert_int_equal(files_write_atomic(path, config, strlen(config), e), 0);
    int code = vocab_load(v, folder, e);
    error ignored = {0};
    files_remove_tree(folder, &ignored);
    return code;
}

static void test_folder(void **state) {
    (void)state;
    static const struct { const char *config; bool found, lower; int strip; } good[] = {
        {NULL, false, false, 0},
        {"{}", true, true, STRIP_AUTO},
        {"{\"do_lower_case\": false}", true, false, STRIP_AUTO},
        {"{\"do_lower_case\": true, \"strip_accents\": null, \"tokenizer_class\": \"BertTokenizerFast\"}", true, true, STRIP_AUTO},
        {"{\"do_lower_case\": false, \"strip_accents\": true}", true, false, STRIP_YES},
        {"{\"strip_accents\": false, \"tokenize_chinese_chars\": true, \"model_max_length\": 1000000000000000019884624838656}", true, true, STRIP_NO},
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        vocab *v;
        error e = {0};
        bool lower = false;
        int strip = 0;
        if (load_with(good[i].config, &v, &e)) fail_msg("%s: %s", good[i].config, e.text);
        assert_int_equal(vocab_casing(v, &lower, &strip), good[i].found);
        assert_int_equal(lower, good[i].lower);
        assert_int_equal(strip, good[i].strip);
        vocab_free(v);
    }
    static const char *const bad[][2] = {
        {"[1]", "tokenizer_config.json"},
        {"{", "tokenizer_config.json"},
        {"{\"do_lower_case\": \"no\"}", "do_lower_case"},
        {"{\"strip_accents\": 1}", "strip_accents"},
        {"{\"tokenizer_class\": \"BertJapaneseTokenizer\"}", "BertJapaneseTokenizer"},
        {"{\"tokenize_chinese_chars\": false}", "tokenize_chinese_chars"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        vocab *v;
        error e = {0};
        assert_int_equal(load_with(bad[i][0], &v, &e), EXIT_USAGE);
        assert_null(v);
        if (!strstr(e.text, bad[i][1])) fail_msg("%s: expected the message to name %s: %s", bad[i][0], bad[i][1], e.text);
    }
}

static void test_missing(void **state) {
    (void)state;
    vocab *v;
    error e = {0};
    assert_int_equal(vocab_load(&v, "/nowhere/vocab.txt", &e), EXIT_USAGE);
    assert_non_null(strstr(e.text, "/nowhere/vocab.txt"));
    assert_null(v);
}

/* Two tokenizers, long text, more words than the cache holds: same ids as a fresh tokenizer gives word by word. */
static void test_cache(void **state) {
    (void)state;
    vocab *v;
    error e = {0};
    const char *text = GOOD "a\nb\nc\n##a\n##b\n##c\nab\n##bc\n";
    assert_int_equal(vocab_parse(&v, text, strlen(text), "v.txt", &e), 0);
    tokenizer_settings s = {.lowercase = true};
    tokenizer *t = tokenizer_new(v, s);
    token_list once = {0}, again = {0};
    char word[16];
    for (int round = 0; round < 2; round++)
        for (uint32_t i = 0; i < 400000; i++) {      /* numbers in base 3 with letters abc */
            size_t n = 0;
            for (uint32_t k = i + 1; k; k /= 3) word[n++] = (char)('a' + k % 3);
            tokenizer_encode(t, word, n, round ? &again : &once);
        }
    assert_int_equal(once.count, again.count);
    assert_memory_equal(once.id, again.id, once.count * sizeof *once.id);
    free(once.id);
    free(again.id);
    tokenizer_free(t);
    vocab_free(v);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusals), cmocka_unit_test(test_limits), cmocka_unit_test(test_answers),
        cmocka_unit_test(test_folder), cmocka_unit_test(test_missing), cmocka_unit_test(test_cache),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
