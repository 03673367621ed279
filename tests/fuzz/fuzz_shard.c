/* tests/fuzz/fuzz_shard.c - HDF5 files without a record. libhdf5 may crash on them, in the child; the parent must say one thing about each. */
#include <string.h>
#include "datagen/shard_foreign.h"
#include "tests/fuzz/fuzz.h"

const char *const fuzz_words[] = {
    "input_ids", "TREE", "HEAP", "SNOD", "OHDR", "\xff\xff\xff\xff\xff\xff\xff\xff", NULL
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    error e = {0};
    foreign_shard f;
    uint16_t *lengths = NULL;
    const char *path = fuzz_file("one.hdf5", data, size);
    int code = shard_foreign_read(&f, path, NULL, false, &(child_limits){ 256 << 20, 5 }, &lengths, 0, &e);
    FUZZ_CHECK(code ? code == EXIT_USAGE && strstr(e.text, "one.hdf5") : f.shape.rows > 0 && f.stats.rows == f.shape.rows);
    for (uint64_t i = 0; !code && i < f.shape.rows; i++) FUZZ_CHECK(lengths[i] > 0 && lengths[i] <= f.shape.seq_length);
    free(lengths);
    return 0;
}
