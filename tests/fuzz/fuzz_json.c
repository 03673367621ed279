/* tests/fuzz/fuzz_json.c - the door to jansson: what parses prints, and what was printed parses to the same. Repaired text is valid. */
#include <string.h>
#include "base/json.h"
#include "datagen/json_text.h"
#include "tests/fuzz/fuzz.h"

const char *const fuzz_words[] = {
    "null", "true", "1e308", "1e-400", "-0", "9223372036854775808", "\\u0000", "\\ud83d\\ude00", "\\ud800", "[[[[[[[[", "{\"a\":",
    "\xed\xa0\x80", NULL
};

static void check_repair(const char *data, size_t size) {
    size_t bad = 0, bytes;
    char *right = json_text_repair(data, size, &bytes);
    if (json_text_valid(data, size, &bad)) FUZZ_CHECK(bytes == size && !memcmp(right, data, size));
    else FUZZ_CHECK(bad < size && json_text_valid(right, bytes, &bad));
    free(right);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    error e = {0};
    json *a, *b;
    check_repair((const char *)data, size);
    if (json_parse(&a, (const char *)data, size, "text", &e)) {
        FUZZ_CHECK(e.code == EXIT_USAGE && e.text[0]);
        return 0;
    }
    char *once = json_print(a, 2);
    FUZZ_CHECK(json_parse(&b, once, strlen(once), "again", &e) == 0);
    char *twice = json_print(b, 2);
    FUZZ_CHECK(!strcmp(once, twice));
    free(once);
    free(twice);
    json_free(a);
    json_free(b);
    return 0;
}
