/* datagen/shard.h - a folder of HDF5 shards with its manifest: opened, verified, read by row.
 *
 * Promise: no file is opened with libhdf5 before its SHA-256 matched the manifest.
 *
 *     shard_folder *f;
 *     if (shard_folder_open(&f, "data", &e)) return error_print(&e);
 *     for (size_t i = 0; i < shard_folder_files(f); i++) if (shard_folder_verify(f, i, &e)) return error_print(&e);
 *     shard_read_rows(f, SHARD_TRAINING, first, n, &rows, &e);
 *
 * Format: docs/data-format.md. Keys as in NVIDIA's DeepLearningExamples BERT data preparation. */
#ifndef DATAGEN_SHARD_H
#define DATAGEN_SHARD_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/fail.h"     /* error */
#include "base/sha256.h"   /* SHA256_HEX */

enum shard_split { SHARD_TRAINING = 0, SHARD_TEST = 1 };

typedef struct shard_folder shard_folder;

typedef struct shard_info {            /* borrowed from the folder */
    const char *path;                  /* the folder */
    uint32_t seq_length;               /* S */
    uint32_t max_predictions;          /* P */
    uint64_t rows[2];                  /* by split */
    size_t vocab_size;                 /* entries of vocab.txt */
    int64_t max_id;                    /* largest token id in any dataset */
    const char *vocab_hash;            /* hex */
    const char *content_hash;          /* hex SHA-256 over the files' content hashes, name order: identifies the data */
    bool lowercase;
    int strip_accents;                 /* STRIP_AUTO, STRIP_YES, STRIP_NO of datagen/tokenizer.h */
    bool has_nsp;                      /* false: no next_sentence_labels */
    uint64_t seed;
} shard_info;

/* Reads and checks manifest.json, vocab.txt's hash, lengths files and the files' sizes; opens no HDF5 file.
 * EXIT_USAGE: no manifest (names --adopt), malformed, a file missing; EXIT_CORRUPT: size or hash differs from the record. */
int shard_folder_open(shard_folder **out, const char *path, error *e);
void shard_folder_free(shard_folder *f);
const shard_info *shard_folder_info(const shard_folder *f);
size_t shard_folder_files(const shard_folder *f);
const char *shard_folder_file(const shard_folder *f, size_t i);          /* bare name, name order, training files first */

/* Not collective. Hashes file i against the manifest. EXIT_CORRUPT when it differs. Remembered by size, mtime, inode within the process. */
int shard_folder_verify(shard_folder *f, size_t i, error *e);
/* Says that another rank verified file i (same path, agreed): the stat triple is remembered without hashing. */
void shard_folder_trust(shard_folder *f, size_t i);

/* Tokens ([CLS] .. last [SEP]) of every row of a split, in row order; borrowed. */
const uint16_t *shard_lengths(const shard_folder *f, enum shard_split split);

typedef struct shard_rows {            /* buffers owned by the caller, made by shard_rows_new() for `capacity` rows */
    size_t count, capacity;
    int32_t *input_ids;                /* (n, S) */
    int8_t *input_mask;                /* (n, S) */
    int8_t *segment_ids;               /* (n, S) */
    int32_t *positions;                /* (n, P) masked_lm_positions, zero-padded */
    int32_t *labels;                   /* (n, P) masked_lm_ids, zero-padded */
    int8_t *next_sentence;             /* (n), zeros when the shards have none */
} shard_rows;

shard_rows *shard_rows_new(const shard_folder *f, size_t capacity);
void shard_rows_free(shard_rows *r);

/* Reads rows [first, first + n) of a split (rows count through its files in name order; n <= capacity) into r, replacing its content,
 * and checks every value (ids below vocab size or the model's, positions ascending and inside, labels 0/1): EXIT_USAGE naming file and
 * row; EXIT_CORRUPT when a file changed since it was verified. */
int shard_read_rows(shard_folder *f, enum shard_split split, uint64_t first, size_t n, shard_rows *r, error *e);
#endif
