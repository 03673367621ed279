/* datagen/wordpiece_train.h - a WordPiece vocabulary learned from counted words.
 *
 * Promise: a pure function of the words, their counts and the settings: not of the order of the text.
 *
 *     wordpiece_train(&counts, &(wordpiece_settings){ .size = 8000, .min_frequency = 2 }, &vocab, &e);
 *
 * As Hugging Face's WordPieceTrainer: every character is a piece ("##" before it inside of words); then the most frequent pair of
 * neighbours becomes a piece, again and again (ties: the pair whose pieces came first). Order of the vocabulary: [PAD] [UNK] [CLS] [SEP]
 * [MASK], characters by code point, continuations by code point, merged pieces as learned.
 * Source: Sennrich et al. 2016, "Neural Machine Translation of Rare Words with Subword Units", algorithm 1. */
#ifndef DATAGEN_WORDPIECE_TRAIN_H
#define DATAGEN_WORDPIECE_TRAIN_H
#include <stddef.h>
#include <stdint.h>
#include "base/fail.h"            /* error */
#include "base/text.h"            /* text */
#include "datagen/word_counts.h"  /* word_counts */

typedef struct wordpiece_settings {
    size_t size;             /* tokens wanted, special ones included */
    int64_t min_frequency;   /* a pair seen less often is not merged; 0 is 1 */
    size_t limit_alphabet;   /* characters kept, the most frequent ones (ties: the smaller code point); 0 = all */
} wordpiece_settings;

typedef struct wordpiece_result {
    text vocab;              /* one token per line; the caller frees vocab.data */
    size_t tokens;           /* fewer than settings.size when the text has no more pairs */
    size_t alphabet;         /* tokens of one character */
    uint64_t left_out;       /* words with a character outside the limited alphabet: always [UNK], so nothing is learned from them */
} wordpiece_result;

/* Not collective. EXIT_USAGE when there is no word to learn from, or the characters alone need more than settings.size (names the size needed). */
int wordpiece_train(const word_counts *counts, const wordpiece_settings *settings, wordpiece_result *out, error *e);
#endif
