/* datagen/document.h - a window on the token ids of one document: all that examples are made from.
 *
 * Promise: who makes examples sees one document, and of it no more than its caller holds in memory.
 *
 *     segment j of the window is token[segment[j]] .. token[segment[j + 1] - 1];   segment[0] need not be 0
 *
 * Segments are no longer than example_longest_segment(), cut at word boundaries, never empty. A window begins where a segment does. */
#ifndef DATAGEN_DOCUMENT_H
#define DATAGEN_DOCUMENT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct document_view {
    const int32_t *token;              /* ids; borrowed, like all here */
    const uint64_t *segment;           /* segments + 1 places in token */
    size_t segments;
    bool last;                         /* the document ends where the window does */
    const unsigned char *continues;    /* by id: 1 = the token goes on with a word (##...); NULL: every token is a word */
} document_view;

/* Last place in (from, upto] where a word starts; `from` when there is none. token[upto] must exist. */
static inline size_t document_word_start(const document_view *d, size_t from, size_t upto) {
    if (!d->continues) return upto;
    while (upto > from && d->continues[d->token[upto]]) upto--;
    return upto;
}
#endif
