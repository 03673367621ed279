/* datagen/pair_table.h - neighbouring symbols: how often, and in which words. Inside of WordPiece learning. */
#ifndef DATAGEN_PAIR_TABLE_H
#define DATAGEN_PAIR_TABLE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct symbol_pair {
    uint64_t key;               /* left << 32 | right: ties are broken by the smaller key */
    int64_t count;
    uint32_t places, last;      /* list of words that held the pair; the word put in last */
    bool grown;                 /* count rose since the pair was last in the heap */
} symbol_pair;

typedef struct pair_places { uint32_t word[6], used, next; } pair_places;   /* next 0 = end */
typedef struct pair_bid { uint64_t key; int64_t count; uint32_t pair; } pair_bid;

typedef struct pair_table {
    symbol_pair *pair;
    size_t count, room;
    uint32_t *slot;             /* open addressing: index + 1 */
    size_t slots;
    pair_places *places;        /* [0] is not used */
    size_t places_count, places_room;
    uint32_t places_free;
    uint32_t *grown;            /* pairs to be put into the heap */
    size_t grown_count, grown_room;
    pair_bid *heap;             /* largest count first, then smallest key; counts may be out of date */
    size_t heap_count, heap_room;
} pair_table;

void pair_table_init(pair_table *t);
void pair_table_free(pair_table *t);

/* Adds n (may be negative) to the count of (left, right); word is remembered as a place when n > 0. */
void pair_table_add(pair_table *t, uint32_t left, uint32_t right, int64_t n, uint32_t word);

/* Puts what grew since the last call into the heap. */
void pair_table_settle(pair_table *t);

/* Takes the most frequent pair of a count >= least (ties: smaller left, then right) out of the heap: its index, or -1 when none is left. */
int64_t pair_table_take(pair_table *t, int64_t least);

/* Hands the places list of a pair to the caller, who walks it with places[].next; pair_table_release() gives it back. */
uint32_t pair_table_places(pair_table *t, size_t pair);
void pair_table_release(pair_table *t, uint32_t first);
#endif
