/* datagen/google_tokenizer.h - text to WordPiece ids by google-research/bert's own rules, for --compat google.
 *
 * Promise: the ids of FullTokenizer(vocab, do_lower_case).tokenize(text) of its tokenization.py under Python 3.11.
 *
 *     google_tokenizer *t = google_tokenizer_new(v, true);
 *     google_tokenizer_encode(t, line, bytes, &ids);
 *
 * Where they differ from BertTokenizerFast's (datagen/tokenizer.h): a word is lowered as a whole (so a capital sigma at its end is U+03C2) and
 * before accents go; up to 200 characters a word; private use is kept, U+2B820..2B91F is split as CJK; Unicode 14.0 throughout; special tokens
 * written in the text are split. Source: google-research/bert tokenization.py. */
#ifndef DATAGEN_GOOGLE_TOKENIZER_H
#define DATAGEN_GOOGLE_TOKENIZER_H
#include <stdbool.h>
#include <stddef.h>
#include "datagen/tokenizer.h"

typedef struct google_tokenizer google_tokenizer;

google_tokenizer *google_tokenizer_new(const vocab *v, bool lowercase);   /* v is borrowed */
void google_tokenizer_free(google_tokenizer *t);                          /* NULL is allowed */

/* Appends the ids of one text. Invalid UTF-8 is read as U+FFFD, which is dropped. */
void google_tokenizer_encode(google_tokenizer *t, const char *text, size_t bytes, token_list *out);

/* True when Python's str.strip() leaves nothing: white space of any kind, U+001C..001F and U+0085 among it. */
bool google_blank(const char *line, size_t bytes);
#endif
