/* datagen/shard_manifest.h - manifest.json of a shard folder: what is in it and the hashes that prove it.
 *
 * Promise: holds what decides the bytes and nothing of the place, time or machine; written last, so that a folder with it is whole;
 * holds its own hash (of its text without that line).
 *
 *     folder/ manifest.json vocab.txt lengths.u16 [lengths-test.u16] training_00000.hdf5 ... [test_00000.hdf5 ...] */
#ifndef DATAGEN_SHARD_MANIFEST_H
#define DATAGEN_SHARD_MANIFEST_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/json.h"
#include "datagen/shard.h"
#include "datagen/tokenizer.h"

#define MANIFEST_NAME "manifest.json"
#define MANIFEST_VOCAB "vocab.txt"
enum { MANIFEST_VERSION = 1, MANIFEST_LONGEST_ROW = 65535 };

typedef struct shard_manifest_file {
    char *name;                          /* bare */
    enum shard_split split;
    uint64_t rows, bytes;
    char sha256[SHA256_HEX], content[SHA256_HEX];
} shard_manifest_file;

typedef struct shard_manifest {
    uint32_t seq_length, max_predictions;
    bool has_nsp, lowercase;
    int strip_accents, specials;         /* of datagen/tokenizer.h */
    size_t vocab_size;
    int64_t max_id;
    char vocab_hash[SHA256_HEX];
    uint64_t seed;                       /* 0 for adopted shards */
    shard_manifest_file *file;                 /* training files first, names ascending bytewise within a split */
    size_t files;
    char lengths_hash[2][SHA256_HEX];    /* by split; "" when it has no file */
    json *options, *summary;             /* objects; may be NULL when writing */
} shard_manifest;

const char *shard_manifest_lengths_name(enum shard_split split);
uint64_t shard_manifest_rows(const shard_manifest *m, enum shard_split split);
/* Split that a file's name tells (readers elsewhere choose by these words): test if it holds "test" and not "train". */
enum shard_split shard_manifest_split_of(const char *name);
/* Whether label 1 says that A and B are swapped (--sentence-order), not that B is from elsewhere. */
bool shard_manifest_is_order(const shard_manifest *m);
void shard_manifest_add_file(shard_manifest *m, const char *name, enum shard_split split);   /* keeps the order above */
void shard_manifest_content_hash(const shard_manifest *m, char hex[SHA256_HEX]);             /* over the files' content hashes (hex, no separator) */

/* EXIT_USAGE: absent (names --adopt) or malformed, with path and key. */
int shard_manifest_read(shard_manifest *out, const char *folder, error *e);
/* Writes folder/manifest.json, atomically. Takes ownership of nothing. */
int shard_manifest_write(const shard_manifest *m, const char *folder, error *e);
/* Writes lengths files and the vocabulary's copy, fills lengths_hash. lengths[split] holds shard_manifest_rows() values; NULL: that file is the
 * caller's, who fills lengths_hash. */
int shard_manifest_write_parts(shard_manifest *m, const char *folder, const uint16_t *const lengths[2], const vocab *v, error *e);
void shard_manifest_free(shard_manifest *m);
#endif
