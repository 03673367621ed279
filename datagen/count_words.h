/* datagen/count_words.h - the words of a text, counted by several threads.
 *
 * Promise: the same words and counts for any number of threads. Memory: one entry for each different word, and at most 2 MiB of text and
 * 65,536 different words a thread besides.
 *
 *     text_stream ─► batch ─► batch ─► ...          the calling thread reads
 *                      │        │
 *                    thread   thread                each normalises a batch and counts in a table of its own;
 *                      └────┬───┘
 *                       partitions                  a full table is added to the common one, part by part under locks */
#ifndef DATAGEN_COUNT_WORDS_H
#define DATAGEN_COUNT_WORDS_H
#include <stdbool.h>
#include "base/fail.h"            /* error */
#include "datagen/text_stream.h"
#include "datagen/word_counts.h"

typedef struct count_settings { bool lowercase, strip_accents; int threads; } count_settings;   /* threads: 1 or more */

/* Not collective. Reads t to its end and adds to out, an empty table. The order of the words in it is not fixed. Errors: those of t. */
int count_words(word_counts *out, text_stream *t, const count_settings *settings, error *e);
#endif
