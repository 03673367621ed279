/* tests/fuzz/fuzz.h - what a fuzz target defines, and the help that it gets.
 *
 *     fuzz_TARGET.c defines LLVMFuzzerTestOneInput(), so that libFuzzer and AFL++ can drive it too; driver.c needs gcc alone.
 *     A finding is whatever a sanitizer reports, a failed FUZZ_CHECK(), fail(), or an input that takes more than 10 s. */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_CHECK(what) ((what) ? (void)0 : (fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #what), abort()))

/* A file of these bytes and this name, inside a folder of this process; the path, or the folder, is good until the process ends. */
const char *fuzz_file(const char *name, const void *data, size_t size);
const char *fuzz_folder(void);

/* Words of the format, NULL at the end; mutations put them in. */
extern const char *const fuzz_words[];
#endif
