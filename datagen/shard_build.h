/* datagen/shard_build.h - from a text to a folder of shards, by threads and ranks, within a budget of memory.
 *
 * Promise: the bytes are a function of text, vocabulary and build_settings up to `seed`: not of threads, ranks, memory, or how often the work
 * was killed and begun again; what was finished then is taken over. */
#ifndef DATAGEN_SHARD_BUILD_H
#define DATAGEN_SHARD_BUILD_H
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include "comm/comm.h"
#include "datagen/examples.h"
#include "datagen/shard_manifest.h"
#include "datagen/shard_output.h"
#include "datagen/text_stream.h"
#include "datagen/tokenizer.h"

enum { SHARD_FILE_ROWS = 65536 };   /* at most, unless the number of files is given; files = ceil(rows / this), rows dealt evenly */

typedef struct build_settings {
    example_settings example;       /* documents and held_out are found here */
    uint32_t duplicates;
    uint32_t shards;                /* training files; 0: by their rows */
    uint64_t min_tokens;            /* documents of fewer are left out */
    double eval_fraction;           /* of the documents */
    bool deduplicate;               /* documents that equal an earlier one are left out */
    int invalid;                    /* of datagen/corpus.h */
    tokenizer_settings words;
    text_settings text;
    bool google;                    /* as Google's script: google_build() makes them */
    int threads;
    uint64_t memory;                /* bytes, of each rank */
    const char *temp;               /* folder for temporary files; NULL: beside the output */
    bool quiet;
} build_settings;

typedef struct build_summary {
    uint64_t documents, segments, bytes, tokens, unknown, skipped, rows;
    uint64_t random_next, used, filled;      /* of training: rows of label 1; tokens in some A or true B, of all duplicates; tokens of all rows */
    uint64_t test_documents, test_rows;      /* documents counts both kinds, rows the training ones */
    uint64_t short_documents, equal_documents, left_out;   /* left out, and their tokens */
    uint32_t files, reused;         /* training and test files; of them found finished */
    double seconds;
} build_summary;

/* First row of file i of `files`: a function of the total only. */
uint64_t build_first_row(uint64_t rows, uint64_t files, uint64_t i);

/* For the manifest; caller frees. Options that are at their default and came later than the first release are left out: manifests keep their bytes. */
json *build_options(const build_settings *s);
json *build_summary_numbers(const build_settings *s, const build_summary *b);

/* Bytes of memory below which the work cannot be done with so many threads. */
uint64_t build_least_memory(const build_settings *s);

/* Collective when ranks is not NULL. Reads paths, writes shards, lengths, vocabulary and manifest into out->work. Stops early, with
 * EXIT_MACHINE, when *stop becomes non-zero. Of several ranks, the one that failed has printed its line: the others return its code. */
int build_shards(const build_settings *s, const vocab *v, char *const *paths, size_t count, shard_output *out, comm *ranks,
                 const volatile sig_atomic_t *stop, build_summary *sum, error *e);
#endif
