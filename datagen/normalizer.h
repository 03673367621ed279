/* datagen/normalizer.h - raw text to normalised words, in one pass, as BertNormalizer and BertPreTokenizer do.
 *
 * Promise: the words equal those of the pinned `tokenizers` release, whatever the bytes.
 *
 *     normalizer n;
 *     normalizer_init(&n, true, true, count_word, &counts);
 *     normalizer_text(&n, text, bytes);         calls count_word() for every word, in order
 *     normalizer_free(&n);
 *
 * Order, per code point: clean (drop or space), spaces round CJK, canonical decomposition with reordering and Mn dropped, lower case;
 * a word ends at a space, and each punctuation mark is a word. Source: huggingface/tokenizers, normalizers/bert.rs, pre_tokenizers/bert.rs. */
#ifndef DATAGEN_NORMALIZER_H
#define DATAGEN_NORMALIZER_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WORD_CHARACTERS = 100, WORD_BYTES = 4 * WORD_CHARACTERS, WORD_SLACK = 16 };   /* a longer word is [UNK] in WordPiece */

/* characters > WORD_CHARACTERS: the word is too long and its bytes are not kept (bytes = 0). word is borrowed for the call; WORD_SLACK bytes
 * behind it can be read. */
typedef void word_sink(void *context, const char *word, size_t bytes, size_t characters);

typedef struct normalizer {
    bool lowercase, strip_accents;
    word_sink *sink;
    void *context;
    size_t bytes, characters;          /* of the word under way */
    uint64_t *waiting;                 /* combining characters that are no Mn, until the next starter sorts them: class, order, code point */
    size_t waiting_count, waiting_room;
    unsigned char ascii[128];          /* 0 = dropped, ' ' = ends a word, 0x80 | c = punctuation, else the letter */
    char word[WORD_BYTES + WORD_SLACK];
} normalizer;

void normalizer_init(normalizer *n, bool lowercase, bool strip_accents, word_sink *sink, void *context);
void normalizer_free(normalizer *n);

/* The end of the text ends a word. */
void normalizer_text(normalizer *n, const char *text, size_t bytes);
#endif
