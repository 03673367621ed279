/* tests/fuzz/fuzz_tokenizer.c - any bytes as text, valid UTF-8 or not. The first byte chooses the settings.
 * Checked: ids are of the vocabulary, and the same again when words come from the cache or the text is told in one more call; sentences advance. */
#include <string.h>
#include "datagen/google_tokenizer.h"
#include "datagen/sentences.h"
#include "datagen/tokenizer.h"
#include "tests/fuzz/fuzz.h"

const char *const fuzz_words[] = {
    "[MASK]", "[SEP]", "\xc4\xb0", "\xea\xb0\x80", "\xcc\x81\xcd\x85", "\xe4\xb8\x80", "\xef\xbf\xbd", "\xf4\x90\x80\x80", "\xed\xa0\x80",
    "Dr. ", "\xe3\x80\x82", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", NULL
};
static const char words[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nab\n##b\n##c\nb\n.\n,\ni\n##\xcc\x87\nA\n##B\n"
                            "\xe4\xb8\x80\n\xea\xb0\x80\n##\xea\xb0\x81\n\xe1\x84\x80\n##\xe1\x85\xa1\n";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static vocab *v;
    error e = {0};
    unsigned how = size ? data[0] : 0;
    if (size) data++, size--;
    if (!v) FUZZ_CHECK(vocab_parse(&v, words, sizeof words - 1, "vocabulary", &e) == 0);
    google_tokenizer *g = google_tokenizer_new(v, how & 1);
    tokenizer *t = tokenizer_new(v, (tokenizer_settings){ how & 1, (int)(how >> 1 & 3) % 3, how >> 3 & 1 });
    token_list a = {0}, b = {0};
    tokenizer_encode(t, (const char *)data, size, &a);
    tokenizer_encode(t, (const char *)data, size, &b);
    FUZZ_CHECK(a.count == b.count && (!a.count || !memcmp(a.id, b.id, a.count * sizeof *a.id)));
    FUZZ_CHECK(a.count <= 4 * size);              /* a character becomes at most four (decompositions) */
    for (size_t i = 0; i < a.count; i++) FUZZ_CHECK(a.id[i] >= 0 && (size_t)a.id[i] < vocab_size(v));
    a.count = 0;
    google_tokenizer_encode(g, (const char *)data, size, &a);
    FUZZ_CHECK(a.count <= 4 * size);
    for (size_t i = 0; i < a.count; i++) FUZZ_CHECK(a.id[i] >= 0 && (size_t)a.id[i] < vocab_size(v));
    google_tokenizer_free(g);
    for (size_t at = 0; at < size;) {
        size_t n = sentence_bytes((const char *)data + at, size - at);
        FUZZ_CHECK(n > 0 && n <= size - at);
        at += n;
    }
    free(a.id);
    free(b.id);
    tokenizer_free(t);
    return 0;
}
