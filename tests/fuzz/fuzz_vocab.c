/* tests/fuzz/fuzz_vocab.c - vocabularies, and with a first byte of 'c' the tokenizer_config.json beside one. */
#include <string.h>
#include "datagen/tokenizer.h"
#include "tests/fuzz/fuzz.h"

const char *const fuzz_words[] = {
    "[PAD]\n", "[UNK]\n", "[CLS]\n", "[SEP]\n", "[MASK]\n", "##", "\r\n", "\n", "\"do_lower_case\": ", "\"strip_accents\": ", "null",
    "true", "\"tokenizer_class\": ", "\"BertTokenizerFast\"", "\"tokenize_chinese_chars\": ", NULL
};
static const char plain[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n##b\n";

static void check_whole(const vocab *v) {
    error e = {0};
    vocab *again;
    size_t bytes;
    char *text = vocab_text(v, &bytes);
    FUZZ_CHECK(vocab_parse(&again, text, bytes, "again", &e) == 0);
    FUZZ_CHECK(vocab_size(again) == vocab_size(v) && !strcmp(vocab_hash(again), vocab_hash(v)));
    for (size_t id = 0; id < vocab_size(v); id++) {
        const char *token = vocab_token(v, (int32_t)id);
        FUZZ_CHECK(*token && vocab_id(v, token, strlen(token)) == (int32_t)id);
    }
    vocab_free(again);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    error e = {0};
    vocab *v = NULL;
    if (size && data[0] == 'c') {
        fuzz_file("vocab.txt", plain, sizeof plain - 1);
        fuzz_file("tokenizer_config.json", data + 1, size - 1);
        int code = vocab_load(&v, fuzz_folder(), &e);
        bool lowercase;
        int strip;
        FUZZ_CHECK(code ? code == EXIT_USAGE && e.text[0] && !v : vocab_casing(v, &lowercase, &strip) && strip >= 0 && strip <= 2);
    } else {
        int code = vocab_parse(&v, (const char *)data, size, "vocabulary", &e);
        FUZZ_CHECK(code ? code == EXIT_USAGE && e.text[0] : v != NULL);
        if (!code) check_whole(v);
    }
    vocab_free(v);
    return 0;
}
