/* tests/fuzz/fuzz_safetensors.c - headers of safetensors files, by the trainer's reader and by bert-inspect's, which takes whatever the other takes. */
#include <math.h>
#include <string.h>
#include "datagen/inspect_safetensors.h"
#include "tests/fuzz/fuzz.h"
#include "trainer/safetensors.h"

const char *const fuzz_words[] = {
    "\"dtype\":", "\"F32\"", "\"BF16\"", "\"F16\"", "\"shape\":[", "\"data_offsets\":[", "\"__metadata__\":{", "9007199254740993",
    "4294967296", "-1", "1e3", NULL
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    error e = {0};
    safetensors s;
    inspect_tensors t;
    const char *path = fuzz_file("model.safetensors", data, size);
    int code = safetensors_open(&s, path, &e);
    FUZZ_CHECK(code == 0 || (code == EXIT_USAGE && e.text[0]));
    int seen = inspect_tensors_read(&t, path, &e);
    FUZZ_CHECK(seen == 0 || (seen == EXIT_USAGE && e.text[0]));
    FUZZ_CHECK(code || !seen);
    for (size_t i = 0; !code && i < s.count; i++) {
        const safetensors_entry *entry = &s.entry[i];
        FUZZ_CHECK(entry->begin <= entry->end && s.data_start + entry->end <= size);
        if (entry->count > size) continue;        /* a type of less than a byte is none of ours */
        float *values = must_alloc(entry->count + 1, sizeof *values);
        code = safetensors_read(&s, entry, values, &e);
        FUZZ_CHECK(code == 0 || code == EXIT_USAGE);
        code = 0;
        free(values);
    }
    if (!code) safetensors_close(&s);
    if (!seen) inspect_tensors_free(&t);
    return 0;
}
