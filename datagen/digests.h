/* datagen/digests.h - how many of very many hashes are equal, in little memory.
 *
 * Promise: exact but for collisions of 120 bits; at most 32 MiB of hashes in memory (while sorting twice that), the rest in an unlinked file
 * in $TMPDIR (default /tmp), 16 bytes each.
 *
 *     digests d;
 *     digests_init(&d, 0);
 *     digests_add(&d, hash, side, &e);           for every row
 *     digests_count(&d, &counts, &e);            once, at the end
 *     digests_free(&d); */
#ifndef DATAGEN_DIGESTS_H
#define DATAGEN_DIGESTS_H
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include "base/fail.h"   /* error */

typedef struct digest { unsigned char byte[16]; } digest;     /* 15 of hash, then the side */

typedef struct digests {
    digest *held;            /* not yet sorted */
    size_t count, most;
    FILE *file;              /* sorted runs of `most` digests, the last one of fewer; NULL while all are in memory */
    uint64_t spilled;        /* digests in file */
} digests;

typedef struct digest_counts {
    uint64_t repeated;       /* hashes that were there before */
    uint64_t shared;         /* hashes of side 1 that side 0 has too */
} digest_counts;

void digests_init(digests *d, size_t most);                                        /* most in memory; 0: two million */
int digests_add(digests *d, const unsigned char *hash, int side, error *e);       /* at least 15 bytes of hash; side 0 or 1. EXIT_MACHINE: no room */
int digests_count(digests *d, digest_counts *out, error *e);
void digests_free(digests *d);
#endif
