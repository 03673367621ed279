/* datagen/shard_journal.h - what of a shard folder is finished, so that work that was killed goes on where it was.
 *
 * Promise: a shard is taken over only if the same text, vocabulary and options made it, and its bytes are as they were when it was finished.
 *
 * Beside FILE stands FILE.done: "bert-shard-done IDENTITY rows bytes max_id sha256 content lengths_sha256\n", then the lengths of the rows
 * (16-bit little-endian). These files are gone when the folder is finished. */
#ifndef DATAGEN_SHARD_JOURNAL_H
#define DATAGEN_SHARD_JOURNAL_H
#include <stdbool.h>
#include <stdint.h>
#include "base/fail.h"
#include "base/sha256.h"

#define SHARD_JOURNAL_ENDING ".done"

typedef struct finished_shard {
    uint64_t rows, bytes;
    int64_t max_id;
    char sha256[SHA256_HEX], content[SHA256_HEX];
    uint16_t *lengths;          /* of every row; after reading: the caller frees */
} finished_shard;

int shard_journal_write(const char *folder, const char *file, const char *identity, const finished_shard *r, error *e);
/* EXIT_MACHINE: not there, not whole, of other work. */
int shard_journal_read(const char *folder, const char *file, const char *identity, finished_shard *r, error *e);
/* Whether the file is finished, with so many rows, and unchanged. */
bool shard_journal_holds(const char *folder, const char *file, const char *identity, uint64_t rows);
#endif
