/* datagen/blocks.h - the tokenised text, block after block in input order: documents, numbered, that need not fit in memory.
 *
 * Promise: what is found does not depend on where the text was divided, nor on who tokenised which block.
 *
 * A block holds pieces of documents: most are whole, its first may continue one of the block before, its last may go on in the next.
 *
 *     block 0: [doc 0][doc 1][doc 2 ...   block 1: ... doc 2 ...   block 2: ... doc 2][doc 3]
 *
 *     blocks_add() for every block (any order, any thread);  blocks_settle() drops what is to be left out and numbers the documents;
 *     blocks_load() brings one block back. */
#ifndef DATAGEN_BLOCKS_H
#define DATAGEN_BLOCKS_H
#include <pthread.h>
#include "base/sha256.h"
#include "datagen/corpus.h"
#include "datagen/store.h"
#include "datagen/text_hash.h"

typedef struct block_info {
    uint64_t index;                            /* of the piece of text, in input order */
    uint64_t first;                            /* number of the first document that starts here, after blocks_settle() */
    uint32_t pieces, segments, tokens, starts; /* starts: kept documents that start here */
    uint32_t first_segments, last_segments, first_tokens, last_tokens;   /* of the first and the last piece */
    text_hash first_hash, last_hash;
    bool continues, more;                      /* the first piece continues a document; the last one goes on */
    bool drop_first, drop_last;                /* of such documents */
    unsigned char digest[SHA256_BYTES];
    store_place place;
    unsigned char *dropped;                    /* by piece, 1 = left out as a duplicate; or NULL */
} block_info;

typedef struct long_document { uint64_t number, segments; size_t first, last; } long_document;   /* the blocks that it stands in */

typedef struct blocks {
    store *store;
    spill *hashes;                             /* of whole documents, when duplicates are to be dropped; else NULL */
    size_t token_bytes;                        /* 2 or 4 */
    block_info *info;
    size_t count, room;
    uint64_t documents, tokens;                /* kept ones */
    uint64_t short_documents, equal_documents, left_out_tokens;   /* documents across blocks, and equal ones, that were left out */
    long_document *long_document;
    size_t long_documents, long_room;
    pthread_mutex_t mutex;
} blocks;

void blocks_init(blocks *b, store *s, spill *hashes, size_t vocab_size);
void blocks_free(blocks *b);

/* Takes in the documents of c as block `index`; hash (by document of c; NULL without duplicates to drop). Any thread. */
int blocks_add(blocks *b, uint64_t index, const corpus *c, bool continues, bool more, const text_hash *hash, error *e);

/* Hands the hash of a whole document on: of the piece where it starts. Buckets of hashes: BLOCKS_HASHES. */
enum { BLOCKS_HASHES = 256 };
int blocks_keep_hash(blocks *b, const text_hash *hash, uint64_t index, uint64_t piece_number, error *e);

/* Ranks: writes this rank's list of blocks, and, after a barrier, takes in the others'. */
int blocks_publish(blocks *b, error *e);
int blocks_take_in(blocks *b, int ranks, error *e);

/* Sorts, drops documents below min_tokens (and empty ones), equal ones (when hashes are kept), numbers the rest. Same on every rank. */
int blocks_settle(blocks *b, uint64_t min_tokens, error *e);
void blocks_digest(const blocks *b, sha256 *hash);   /* adds what the blocks hold */

typedef struct piece { uint64_t number; size_t segment, segments; bool continues, more; } piece;   /* segment: the first in block */
typedef struct block {
    int32_t *token;
    uint64_t *segment;                         /* segments + 1 places in token */
    piece *piece;                              /* kept ones */
    size_t pieces, index;
    size_t token_room, segment_room, piece_room;
    store_scratch scratch;
    bool loaded;
} block;

int blocks_load(blocks *b, size_t i, block *out, error *e);   /* out: zeroed before the first call; nothing is done when it holds block i */
void block_free(block *k);

/* The block where a document starts. */
size_t blocks_find(const blocks *b, uint64_t document);
const long_document *blocks_find_long(const blocks *b, uint64_t document);   /* NULL: it stands in one block */
/* Block and segment (in the document's piece there) of segment `segment` of a long document. */
size_t blocks_find_segment(const blocks *b, const long_document *d, uint64_t *segment);
#endif
