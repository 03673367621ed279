/* datagen/store.h - bytes put away for later: in memory while a budget lasts, then in a temporary file.
 *
 * Promise: what was put comes back the same from either place; memory held is never above the budget.
 *
 *     memory_budget budget; memory_budget_init(&budget, bytes);
 *     store *s = store_new(folder, "tokens", rank, &budget);
 *     store_put(s, data, bytes, &place, &e);                  takes data over
 *     const void *p = store_get(s, &place, &scratch, &e);     borrowed: from memory, or read into scratch
 *
 * Ranks: a store's files lie in one folder that all ranks see; a place with another rank's number reads that rank's file, once
 * store_flush() of that rank and a barrier made it whole. Threads may call every function at once. */
#ifndef DATAGEN_STORE_H
#define DATAGEN_STORE_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/fail.h"   /* error */

typedef struct memory_budget { _Atomic int64_t left; } memory_budget;
void memory_budget_init(memory_budget *b, uint64_t bytes);
bool memory_budget_take(memory_budget *b, size_t bytes);       /* false: nothing was taken */
void memory_budget_give(memory_budget *b, size_t bytes);

typedef struct store_place { void *data; uint64_t offset, bytes; uint32_t rank; } store_place;   /* data NULL: in rank's file */
typedef struct store_scratch { void *data; size_t capacity; } store_scratch;                     /* owned by the caller: free(data) */
typedef struct store store;

store *store_new(const char *folder, const char *name, int rank, memory_budget *budget);
/* Closes, removes this rank's file. What lies in memory is the owners' of the places: store_drop(). NULL is allowed. */
void store_free(store *s);

/* data is malloc()ed; freed here or by store_drop(). EXIT_MACHINE naming the file: no space, a failing disk. */
int store_put(store *s, void *data, size_t bytes, store_place *place, error *e);
/* Straight to the file; data stays the caller's. */
int store_write(store *s, const void *data, size_t bytes, store_place *place, error *e);
const void *store_get(store *s, const store_place *place, store_scratch *scratch, error *e);     /* NULL: *e is set */
int store_read(store *s, const store_place *place, void *out, error *e);
/* Moves a place from memory to the file, for other ranks. */
int store_flush(store *s, store_place *place, error *e);
void store_drop(store *s, store_place *place);                 /* memory goes back to the budget; a file only shrinks when it is removed */
uint64_t store_file_bytes(const store *s);                     /* written to the file so far */

/* Buckets of records on top of a store, filled by many threads. */
typedef struct spill spill;
/* piece: bytes that a bucket gathers before they are put away. */
spill *spill_new(store *s, size_t buckets, size_t piece);
void spill_free(spill *b);                                     /* drops all; the store stays. NULL is allowed */
int spill_add(spill *b, size_t bucket, const void *record, size_t bytes, error *e);
/* One thread's records on their way there, by as many bytes at once as it can hold: who adds each by itself waits for the other threads' caches. */
typedef struct spill_batch spill_batch;
spill_batch *spill_batch_new(spill *to, size_t bytes);         /* of all buckets */
int spill_batch_add(spill_batch *t, size_t bucket, const void *record, size_t bytes, error *e);
int spill_batch_end(spill_batch *t, error *e);                 /* adds what is left, unless *e is an error already; frees */
uint64_t spill_bytes(const spill *b, size_t bucket);
int spill_read(spill *b, size_t bucket, void *out, error *e);
void spill_drop(spill *b, size_t bucket);
/* Ranks: puts all in the file and writes an index beside it; then, after a barrier, takes in the others'. */
int spill_publish(spill *b, error *e);
int spill_take_in(spill *b, int ranks, error *e);
#endif
