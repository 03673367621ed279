/* datagen/shard_build.h - from a text to a folder of shards. */
#ifndef DATAGEN_SHARD_BUILD_H
#define DATAGEN_SHARD_BUILD_H
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include "datagen/examples.h"
#include "datagen/shard_manifest.h"
#include "datagen/text_stream.h"

enum { SHARD_FILE_ROWS = 65536 };   /* at most; files = ceil(rows / this), rows dealt evenly */

typedef struct build_settings {
    example_settings example;
    uint32_t duplicates;
    int invalid;                    /* of datagen/corpus.h */
    tokenizer_settings words;
    text_settings text;
    bool google;                    /* as Google's script: google_build() makes them */
    bool quiet;
} build_settings;

typedef struct build_summary {
    uint64_t documents, segments, bytes, tokens, unknown, skipped, rows;
    uint64_t random_next, used, filled;   /* rows of label 1; tokens in some A or true B, of all duplicates; tokens of all rows */
    uint32_t files;
    double seconds;
} build_summary;

/* First row of file i of `files`: a function of the total only. */
uint64_t build_first_row(uint64_t rows, uint64_t files, uint64_t i);

/* For the manifest; caller frees. Options that are at their default and came later than the first release are left out: manifests keep their bytes. */
json *build_options(const build_settings *s);
json *build_summary_numbers(const build_settings *s, const build_summary *b);

/* Reads paths, writes shards, lengths, vocabulary and manifest into folder (empty, existing). Stops early, with EXIT_MACHINE,
 * when *stop becomes non-zero. */
int build_shards(const build_settings *s, const vocab *v, char *const *paths, size_t count, const char *folder, const volatile sig_atomic_t *stop,
                 build_summary *out, error *e);
#endif
