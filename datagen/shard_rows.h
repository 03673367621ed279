/* datagen/shard_rows.h - buffers for rows without a folder, and the check that every value in them is possible. */
#ifndef DATAGEN_SHARD_ROWS_H
#define DATAGEN_SHARD_ROWS_H
#include <stdint.h>
#include "datagen/shard.h"

typedef struct shard_rows_limits {
    uint32_t seq_length, max_predictions;
    uint32_t longest;             /* tokens of a row, at most */
    int64_t ids;                  /* every id is below */
    const uint16_t *expected;     /* tokens of each row as recorded, or NULL */
} shard_rows_limits;

shard_rows *shard_rows_make(uint32_t seq_length, uint32_t max_predictions, size_t capacity);   /* all zero; shard_rows_free() */

/* Checks r's rows; lengths (NULL allowed) gets their tokens. file and first (row number of the first) are for the message: EXIT_USAGE. */
int shard_rows_check(const shard_rows *r, const shard_rows_limits *limits, uint16_t *lengths, const char *file, uint64_t first, error *e);
#endif
