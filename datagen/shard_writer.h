/* datagen/shard_writer.h - writes one shard; equal rows give equal bytes.
 *
 * Promise: layout, order of chunks, compression and checksums are ours; libhdf5 only places what it is given. A file without the attribute
 * `complete` is not a shard: it is written last.
 *
 *     shard_writer *w = shard_writer_new(&settings, rows, NULL);
 *     while (...) shard_writer_add(w, batch);             SHARD_CHUNK_ROWS at a time, the last may be shorter
 *     shard_writer_finish(w, "training_00000.hdf5", content, whole, &bytes, &e);
 *
 * Threads put chunks at their places instead, in any order, each with a packer of its own; shard_writer_finish() is called by one, when all
 * are there, and takes turns with other writers at libhdf5.
 *
 * Format: docs/data-format.md. Checksum: H5_checksum_fletcher32() of HDF5, as its filter stores it. */
#ifndef DATAGEN_SHARD_WRITER_H
#define DATAGEN_SHARD_WRITER_H
#include <stddef.h>
#include <stdint.h>
#include "datagen/shard.h"
#include "datagen/shard_file.h"
#include "datagen/store.h"

enum { SHARD_FORMAT_VERSION = 1, SHARD_CHUNK_ROWS = 256, SHARD_DEFLATE_LEVEL = 4 };

typedef struct shard_writer_settings {
    uint32_t seq_length, max_predictions;
    bool has_nsp, lowercase;
    int strip_accents;
    const char *vocab_hash;     /* hex, borrowed */
    uint64_t seed;
    int threads;                /* above 1: at the end one writes while another hashes */
} shard_writer_settings;

typedef struct shard_writer shard_writer;
typedef struct shard_packer shard_packer;

/* Packed chunks wait in s; NULL: in memory of the writer's own. */
shard_writer *shard_writer_new(const shard_writer_settings *settings, uint64_t rows, store *s);
void shard_writer_add(shard_writer *w, const shard_rows *rows);

shard_packer *shard_packer_new(void);
void shard_packer_free(shard_packer *p);
uint64_t shard_writer_chunks(const shard_writer *w);
uint64_t shard_writer_chunk_rows(const shard_writer *w);      /* of all chunks but the last */
/* Packs all rows of chunk i. Any thread, once for each i. */
int shard_writer_put(shard_writer *w, shard_packer *p, uint64_t i, const shard_rows *rows, error *e);

/* Ranks: some chunks of a file are packed by others. keep_raw before the first put: what the content hash needs of a chunk stays with it.
 * Then the places of chunks [first, first + n), to be flushed and written beside the store; and the same taken in by who finishes the file. */
void shard_writer_keep_raw(shard_writer *w);
int shard_writer_publish(shard_writer *w, uint64_t first, uint64_t n, const char *path, error *e);
int shard_writer_take_in(shard_writer *w, uint64_t first, uint64_t n, const char *path, error *e);

/* Largest token id so far. */
int64_t shard_writer_max_id(const shard_writer *w);
/* Tokens of all rows, [CLS] to the last [SEP], when all chunks are there; borrowed. */
const uint16_t *shard_writer_lengths(const shard_writer *w);
/* Writes and fsyncs path (a new file); returns both hashes and the file's bytes. EXIT_MACHINE on failure. */
int shard_writer_finish(shard_writer *w, const char *path, char content_hash[SHA256_HEX], char file_hash[SHA256_HEX], uint64_t *bytes, error *e);
void shard_writer_free(shard_writer *w);   /* NULL is allowed */

/* HDF5's checksum of a chunk's stored bytes. Exposed for its test. */
uint32_t shard_fletcher32(const void *data, size_t bytes);
#endif
