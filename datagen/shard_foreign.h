/* datagen/shard_foreign.h - a shard without a record, read by a child process: libhdf5 is not safe on hostile files. */
#ifndef DATAGEN_SHARD_FOREIGN_H
#define DATAGEN_SHARD_FOREIGN_H
#include "datagen/child.h"       /* child_limits */
#include "datagen/row_stats.h"
#include "datagen/shard_file.h"  /* shard_shape */
#include "datagen/tokenizer.h"   /* vocab */

typedef struct foreign_shard {
    shard_shape shape;
    row_stats stats;
    row_repeat_counts repeats;   /* within the file, if asked for */
    int64_t max_id;              /* of input_ids and masked_lm_ids */
    char content[SHA256_HEX];    /* content hash */
} foreign_shard;

/* Reads path through and checks every value; with v (may be NULL) also against that vocabulary: ids, and that rows begin with [CLS] and end
 * with [SEP]. repeats: also counts equal rows. *lengths (grown by realloc, owned by the caller) gets the tokens of its rows behind the `have` that are there.
 * EXIT_USAGE naming path and what is wrong. */
int shard_foreign_read(foreign_shard *out, const char *path, const vocab *v, bool repeats, const child_limits *limits, uint16_t **lengths,
                       uint64_t have, error *e);
/* Reads the shape only. */
int shard_foreign_shape(shard_shape *out, const char *path, const child_limits *limits, error *e);
#endif
