/* datagen/shard_writer_parts.h - inside of a shard writer: shard_writer.c packs, shard_writer_file.c places what is packed. */
#ifndef DATAGEN_SHARD_WRITER_PARTS_H
#define DATAGEN_SHARD_WRITER_PARTS_H
#include <pthread.h>
#include "datagen/shard_writer.h"

/* A chunk waits as one piece of bytes: its packed datasets; positions, labels and next_sentence as they are; input_ids too, if kept raw. */
typedef struct writer_chunk {
    store_place place;
    uint64_t packed[SHARD_DATASETS];   /* bytes */
    int32_t *ids;                      /* until they are hashed */
} writer_chunk;

struct shard_writer {
    shard_writer_settings settings;
    shard_shape shape;
    char vocab_hash[SHA256_HEX];
    uint64_t chunk_rows, chunks, added;     /* added: chunks of shard_writer_add() */
    writer_chunk *chunk;
    uint16_t *length, *a_end;               /* by row: tokens; those that are not of segment 1 */
    store *store, *own;                     /* own: made here */
    memory_budget unlimited;
    shard_packer *packer;                   /* of shard_writer_add() */
    bool keep_raw;
    pthread_mutex_t mutex;                  /* of what follows */
    int64_t max_id;
    sha256 hash;                            /* of the input_ids of chunks below hashed */
    uint64_t hashed;
    bool hashing;
};

static inline size_t writer_row_bytes(const shard_writer *w, int d) {
    return shard_dataset_columns((enum shard_dataset)d, &w->shape) * shard_dataset_width((enum shard_dataset)d);
}
static inline int writer_datasets(const shard_writer *w) { return w->shape.has_nsp ? SHARD_DATASETS : SHARD_DATASETS - 1; }
/* Packed dataset d of chunk i. */
const void *writer_packed(shard_writer *w, int d, uint64_t i, store_scratch *scratch, error *e);
/* Writes the HDF5 file from the packed chunks. */
int writer_place(shard_writer *w, const char *path, error *e);
#endif
