/* datagen/tokenizer.h - text to WordPiece ids, equal to Hugging Face's BertTokenizerFast.
 *
 * Promise: for every byte sequence that is valid UTF-8, the ids equal those of the pinned `tokenizers` release
 * (BertNormalizer, BertPreTokenizer, WordPiece with 100 characters a word).
 *
 *     vocab *v; tokenizer *t; token_list ids = {0};
 *     vocab_load(&v, "vocab.txt", &e);
 *     t = tokenizer_new(v, (tokenizer_settings){ .lowercase = true, .strip_accents = STRIP_AUTO, .specials = SPECIALS_KEEP });
 *     tokenizer_encode(t, text, bytes, &ids);
 *
 * Source: huggingface/tokenizers: normalizers/bert.rs, pre_tokenizers/bert.rs, models/wordpiece. Tables: datagen/unicode_tables.c. */
#ifndef DATAGEN_TOKENIZER_H
#define DATAGEN_TOKENIZER_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/fail.h"     /* error */
#include "base/sha256.h"   /* SHA256_HEX */

typedef struct vocab vocab;

enum { VOCAB_PAD = 0 };    /* [PAD] must be id 0 */

/* One token per line, id = line number from 0. EXIT_USAGE naming file and line: missing [PAD] [UNK] [CLS] [SEP] [MASK], [PAD] not
 * first, duplicate, empty line, invalid UTF-8, NUL or \r inside a token, byte order mark, over 4 Mi tokens, a token over 1,000 bytes.
 * A \r before \n is dropped. path may be a Hugging Face folder: its vocab.txt is read, and the casing in tokenizer_config.json kept for
 * vocab_casing() (there do_lower_case is true unless said otherwise; EXIT_USAGE for tokenizers that are not BERT's). */
int vocab_load(vocab **out, const char *path, error *e);
/* The same from memory; `where` stands for the path in messages. */
int vocab_parse(vocab **out, const char *text, size_t bytes, const char *where, error *e);
void vocab_free(vocab *v);                                               /* NULL is allowed */

size_t vocab_size(const vocab *v);
int32_t vocab_id(const vocab *v, const char *token, size_t bytes);       /* -1 when absent */
const char *vocab_token(const vocab *v, int32_t id);                     /* borrowed, NUL-terminated */
int32_t vocab_unk(const vocab *v);
int32_t vocab_cls(const vocab *v);
int32_t vocab_sep(const vocab *v);
int32_t vocab_mask(const vocab *v);
const char *vocab_hash(const vocab *v);                                  /* hex SHA-256 of the tokens, each followed by \n */
char *vocab_text(const vocab *v, size_t *bytes);                         /* that text: what vocab.txt copies hold; caller frees */
bool vocab_has_capitals(const vocab *v);                                 /* some token outside the specials holds an upper-case letter */
/* Casing found beside the vocabulary in a Hugging Face folder: returns true and fills both when it was there. */
bool vocab_casing(const vocab *v, bool *lowercase, int *strip_accents);

enum { STRIP_AUTO = 0, STRIP_YES = 1, STRIP_NO = 2 };                    /* auto = as lowercase */
enum { SPECIALS_SPLIT = 0, SPECIALS_KEEP = 1 };                          /* "[MASK]" in text: ordinary characters, or the special token */

typedef struct tokenizer_settings { bool lowercase; int strip_accents; int specials; } tokenizer_settings;
typedef struct tokenizer tokenizer;
typedef struct token_list { int32_t *id; size_t count, capacity; } token_list;   /* owned by the caller: free(id) */

tokenizer *tokenizer_new(const vocab *v, tokenizer_settings settings);   /* v is borrowed */
void tokenizer_free(tokenizer *t);

/* Appends the ids of one text (no [CLS]/[SEP] added). Invalid UTF-8 is read as U+FFFD per maximal bad sequence, as Python's
 * errors="replace". One tokenizer per thread (it holds scratch). */
void tokenizer_encode(tokenizer *t, const char *text, size_t bytes, token_list *out);

/* True when the bytes are valid UTF-8; else *bad is the offset of the first bad byte. */
bool utf8_valid(const char *text, size_t bytes, size_t *bad);
#endif
