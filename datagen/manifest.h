/* datagen/manifest.h - manifest.json of a shard folder: what is in it and the hashes that prove it.
 *
 * Promise: holds what decides the bytes and nothing of the place, time or machine; written last, so that a folder with it is whole.
 *
 *     folder/ manifest.json vocab.txt lengths.u16 [lengths-test.u16] training_00000.hdf5 ... [test_00000.hdf5 ...] */
#ifndef DATAGEN_MANIFEST_H
#define DATAGEN_MANIFEST_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/json.h"
#include "datagen/shard.h"
#include "datagen/tokenizer.h"

#define MANIFEST_NAME "manifest.json"
#define MANIFEST_VOCAB "vocab.txt"
enum { MANIFEST_VERSION = 1, MANIFEST_LONGEST_ROW = 65535 };

typedef struct manifest_file {
    char *name;                          /* bare */
    enum shard_split split;
    uint64_t rows, bytes;
    char sha256[SHA256_HEX], content[SHA256_HEX];
} manifest_file;

typedef struct manifest {
    uint32_t seq_length, max_predictions;
    bool has_nsp, lowercase;
    int strip_accents, specials;         /* of datagen/tokenizer.h */
    size_t vocab_size;
    int64_t max_id;
    char vocab_hash[SHA256_HEX];
    uint64_t seed;                       /* 0 for adopted shards */
    manifest_file *file;                 /* training files first, names ascending bytewise within a split */
    size_t files;
    char lengths_hash[2][SHA256_HEX];    /* by split; "" when it has no file */
    json *options, *summary;             /* objects; may be NULL when writing */
} manifest;

const char *manifest_lengths_name(enum shard_split split);
uint64_t manifest_rows(const manifest *m, enum shard_split split);
/* Split that a file's name tells (readers elsewhere choose by these words): "training" or else "test"; -1 for neither. */
int manifest_split_of(const char *name);
void manifest_add_file(manifest *m, const char *name, enum shard_split split);   /* keeps the order above */
void manifest_content_hash(const manifest *m, char hex[SHA256_HEX]);             /* over the files' content hashes (hex, no separator) */

/* EXIT_USAGE: absent (names --adopt) or malformed, with path and key. */
int manifest_read(manifest *out, const char *folder, error *e);
/* Writes and fsyncs folder/manifest.json, a new file. Takes ownership of nothing. */
int manifest_write(const manifest *m, const char *folder, error *e);
/* Writes lengths files and the vocabulary's copy, fills lengths_hash. lengths[split] holds manifest_rows() values. */
int manifest_write_parts(manifest *m, const char *folder, const uint16_t *const lengths[2], const vocab *v, error *e);
void manifest_free(manifest *m);
#endif
