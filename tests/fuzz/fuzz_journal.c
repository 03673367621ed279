/* tests/fuzz/fuzz_journal.c - FILE.done, by which a killed sharder goes on. The last hash of its line is made right first. */
#include <string.h>
#include "datagen/shard_journal.h"
#include "tests/fuzz/fuzz.h"

const char *const fuzz_words[] = { "bert-shard-done ", " 2 ", " 9223372036854775809 ", " -1 ", " 18446744073709551616 ", "\n", "\n\x01\x02", NULL };
static const char identity[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    error e = {0};
    finished_shard r;
    const uint8_t *end = memchr(data, '\n', size);
    uint8_t *copy = must_alloc(size + 1, 1);
    memcpy(copy, data, size);
    if (end && end - data > SHA256_HEX) {
        char hex[SHA256_HEX];
        sha256 h;
        sha256_init(&h);
        sha256_add(&h, end + 1, size - (size_t)(end + 1 - data));
        sha256_end_hex(&h, hex);
        memcpy(copy + (end - data) - (SHA256_HEX - 1), hex, SHA256_HEX - 1);
    }
    fuzz_file("x.done", copy, size);
    free(copy);
    int code = shard_journal_read(fuzz_folder(), "x", identity, &r, &e);
    FUZZ_CHECK(code ? code == EXIT_MACHINE && e.text[0] : r.rows <= size && (r.lengths || !r.rows));
    if (!code) free(r.lengths);
    return 0;
}
