/* datagen/row_stats.h - what rows of shards are made of: tokens, [UNK], masks, labels, repetitions. Rows must have passed shard_rows_check(). */
#ifndef DATAGEN_ROW_STATS_H
#define DATAGEN_ROW_STATS_H
#include <stdint.h>
#include "datagen/digests.h"
#include "datagen/shard.h"       /* shard_rows */
#include "datagen/tokenizer.h"   /* vocab */

typedef struct row_stats {
    uint64_t rows, tokens;       /* [CLS] to the last [SEP] */
    uint64_t words, unknown;     /* of tokens as they were before masking: all but [CLS] and [SEP]; those that are [UNK] */
    uint64_t masked, as_mask, as_itself;   /* predictions; those shown as [MASK]; those shown unchanged (the rest: as another token) */
    uint64_t label[2];           /* next_sentence_labels */
} row_stats;

typedef struct row_words { int32_t unk, cls, sep, mask; } row_words;   /* ids; all -1 where no vocabulary is known: nothing is counted for them */
row_words row_words_of(const vocab *v);   /* NULL: not known */

/* Adds the first r->count rows, S tokens and at most P predictions each. */
void row_stats_add(row_stats *s, const shard_rows *r, uint32_t S, uint32_t P, const row_words *words);

/* Rows that are equal, and rows whose text before masking is equal. */
typedef struct row_repeats { digests rows, texts; } row_repeats;
typedef struct row_repeat_counts { digest_counts rows, texts; } row_repeat_counts;   /* shared: rows of test whose text stands in training too */
void row_repeats_init(row_repeats *d);
int row_repeats_add(row_repeats *d, const shard_rows *r, uint32_t S, uint32_t P, enum shard_split split, error *e);   /* EXIT_MACHINE: no room */
int row_repeats_count(row_repeats *d, row_repeat_counts *out, error *e);
void row_repeats_free(row_repeats *d);
#endif
