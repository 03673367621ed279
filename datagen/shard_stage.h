/* datagen/shard_stage.h - inside of shard_build.c: what its stages share.
 *
 *     read    text -> blocks of tokens                             shard_read.c
 *     pair    blocks -> rows in buckets of their order; wishes     shard_pair.c
 *     find    wishes + blocks -> the second parts of such rows     shard_pair.c
 *     write   buckets -> chunks -> files                           shard_rows_in_order.c, shard_files.c
 *
 * A wish is a row whose B is from another document. Rows lie in buckets by the high bits of their order, so that any run of rows is found
 * in a few buckets, sorted by itself. Each stage is done by all threads of all ranks; it ends with their agreement. */
#ifndef DATAGEN_SHARD_STAGE_H
#define DATAGEN_SHARD_STAGE_H
#include <stdatomic.h>
#include "comm/comm.h"
#include "datagen/blocks.h"
#include "datagen/live_line.h"
#include "datagen/shard_build.h"

typedef struct stage {
    build_settings s;
    const vocab *v;
    unsigned char *continues;        /* by id */
    comm *ranks;                     /* NULL: alone */
    int rank, size;
    char *temp;                      /* folder for stores, seen by all ranks */
    const char *folder;              /* where the shards go */
    memory_budget budget;            /* for what lies in stores */
    uint64_t pool;                   /* that budget's size */
    const volatile sig_atomic_t *stop;
    _Atomic bool failed;             /* some thread of this rank: the others stop */
    live_line *live;
    blocks blocks;
    store *token_store, *hash_store, *wish_store, *row_store, *chunk_store;
    spill *hashes, *wishes, *rows;
    size_t wish_groups;              /* a wish lies in group block * groups / blocks */
    size_t buckets;                  /* of rows, by split: 2 * buckets in all */
    uint64_t *bucket_rows;           /* by bucket, all ranks */
    uint64_t split_rows[2];
    char identity[SHA256_HEX];       /* of options, vocabulary and text */
    build_summary *sum;
} stage;

/* Collective. Ends a stage: 0, or the code of the lowest rank that failed (its line was printed: *e is marked as said). */
int stage_agree(stage *g, error *e);
/* Adds up over the ranks. */
void stage_sum(stage *g, uint64_t *values, size_t count);

/* Whether temp and folder have room for what is to come of so many bytes of text (0: not known). EXIT_USAGE with both numbers. */
int stage_check_space(const stage *g, uint64_t text_bytes, error *e);
int stage_read(stage *g, char *const *paths, size_t count, error *e);
int stage_pair(stage *g, error *e);
int stage_find(stage *g, error *e);
int stage_write(stage *g, error *e);
/* Lengths, vocabulary and manifest, from the records of the finished files (training first, in name order). One rank. */
int stage_manifest(stage *g, const char *const *names, size_t files, error *e);

/* A row, or the foreign B of one, in a bucket: followed by tokens of 2 or 4 bytes, padded to 8. */
typedef struct row_record {
    uint64_t order, document;
    uint32_t duplicate, chunk;
    uint16_t a_count, b_count;
    uint8_t label, foreign, part, spare;   /* part 1: only the tokens of B */
} row_record;

static inline size_t row_record_tokens(const row_record *r) { return r->part ? r->b_count : r->foreign ? r->a_count : (size_t)r->a_count + r->b_count; }
static inline size_t row_record_bytes(const row_record *r, size_t token_bytes) {
    return sizeof *r + ((row_record_tokens(r) * token_bytes + 7) & ~(size_t)7);
}
#endif
