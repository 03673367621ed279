/* datagen/corpus.h - all documents of a text as token ids, in memory.
 *
 * Promise: documents in input order without empty ones; segments no longer than `longest`, cut at word boundaries.
 *
 *     token:     the ids of all documents, end to end
 *     segment:   where each segment starts in token;   segment[segments] = tokens
 *     document:  first segment of each document;       document[documents] = segments
 *
 * Memory: 4 bytes a token, 8 a segment, 8 a document. */
#ifndef DATAGEN_CORPUS_H
#define DATAGEN_CORPUS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "datagen/document.h"
#include "datagen/text_stream.h"
#include "datagen/tokenizer.h"

typedef struct corpus {
    token_list token;
    uint64_t *segment, *document;
    size_t segments, documents, segment_capacity, document_capacity;
    unsigned char *continues;          /* by id: 1 = the token goes on with a word (##...) */
    uint64_t text_segments, text_bytes, unknown, skipped;   /* as read: segments, bytes of them, [UNK] tokens, segments left out */
} corpus;

/* Ids of a vocabulary that continue a word; caller frees. */
unsigned char *corpus_continuations(const vocab *v);

void corpus_init(corpus *c, unsigned char *continues);   /* takes ownership of continues (may be NULL: every token is a word) */
/* Appends the tokens at the end of c->token, from `from` on, as one segment of the current document, cut where longer than `longest`. */
void corpus_add_segment(corpus *c, size_t from, size_t longest);
void corpus_end_document(corpus *c);                      /* an empty one is dropped */
void corpus_end_piece(corpus *c);                         /* of a document that goes on elsewhere: kept even if empty */
void corpus_drop_last(corpus *c);                         /* the segments and tokens since the last end of a document */
void corpus_clear(corpus *c);                             /* as after corpus_init(), memory kept; counts of what was read are zero */

/* Called after each document. */
typedef void corpus_progress(const corpus *c, const text_stream *t);

/* Reads t to its end. progress may be NULL. EXIT_USAGE naming file and line on invalid UTF-8 (INVALID_FAIL). */
int corpus_read(corpus *c, text_stream *t, tokenizer *k, int32_t unk, size_t longest, int invalid, corpus_progress *progress, error *e);
void corpus_free(corpus *c);

/* Document d of it, from segment `from` of the document on, whole. */
document_view corpus_document(const corpus *c, uint64_t d, uint64_t from);
#endif
