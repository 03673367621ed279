/* datagen/shard_writer.h - writes one shard; equal rows give equal bytes (for one zlib version).
 *
 * Promise: layout, order of chunks, compression and checksums are ours; libhdf5 only places what it is given. A file without the attribute
 * `complete` is not a shard: it is written last.
 *
 *     shard_writer *w = shard_writer_new(&settings, rows);
 *     while (...) shard_writer_add(w, batch);             SHARD_CHUNK_ROWS at a time, the last may be shorter
 *     shard_writer_finish(w, "training_00000.hdf5", content, &e);
 *
 * Format: docs/data-format.md. Checksum: H5_checksum_fletcher32() of HDF5, as its filter stores it. */
#ifndef DATAGEN_SHARD_WRITER_H
#define DATAGEN_SHARD_WRITER_H
#include <stddef.h>
#include <stdint.h>
#include "datagen/shard.h"
#include "datagen/shard_file.h"

enum { SHARD_FORMAT_VERSION = 1, SHARD_CHUNK_ROWS = 256, SHARD_DEFLATE_LEVEL = 4 };

typedef struct shard_writer_settings {
    uint32_t seq_length, max_predictions;
    bool has_nsp, lowercase;
    int strip_accents;
    const char *vocab_hash;     /* hex, borrowed */
    uint64_t seed;
} shard_writer_settings;

typedef struct shard_writer shard_writer;

shard_writer *shard_writer_new(const shard_writer_settings *settings, uint64_t rows);
void shard_writer_add(shard_writer *w, const shard_rows *rows);
/* Largest token id added so far. */
int64_t shard_writer_max_id(const shard_writer *w);
/* Writes and fsyncs path (a new file), returns its content hash. EXIT_MACHINE on failure. */
int shard_writer_finish(shard_writer *w, const char *path, char content_hash[SHA256_HEX], error *e);
void shard_writer_free(shard_writer *w);   /* NULL is allowed */

/* HDF5's checksum of a chunk's stored bytes. Exposed for its test. */
uint32_t shard_fletcher32(const void *data, size_t bytes);
#endif
