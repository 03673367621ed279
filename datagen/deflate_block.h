/* datagen/deflate_block.h - one block of a deflate stream from its symbols. Inside of deflate.c. */
#ifndef DATAGEN_DEFLATE_BLOCK_H
#define DATAGEN_DEFLATE_BLOCK_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BLOCK_SYMBOLS = 16383, LITERALS = 286, DISTANCES = 30, LENGTH_CODES = 19, BLOCK_END = 256 };

/* d: distance - 1. */
static inline unsigned deflate_distance_code(unsigned d) {
    if (d < 4) return d;
    unsigned high = 31u - (unsigned)__builtin_clz(d);
    return 2 * high + (d >> (high - 1) & 1);
}

typedef struct bit_writer { unsigned char *at; uint64_t held; unsigned bits; } bit_writer;      /* below 8 bits between calls */

/* Of symbols, low bits first: distance - 1 (15 bits, 0 for a literal); which of WHICH; the code of the distance, NO_DISTANCE for a literal. */
enum { WHICH = 512, WHICH_AT = 15, LENGTH_FROM = 256, CODE_AT = 24, NO_DISTANCE = DISTANCES };      /* a literal, or LENGTH_FROM + length - 3 */

typedef struct deflate_block {
    uint32_t symbol[BLOCK_SYMBOLS];
    size_t symbols;
    uint16_t which_count[WHICH], distance_count[DISTANCES + 2];
} deflate_block;

void deflate_block_start(deflate_block *b);
static inline void deflate_block_literal(deflate_block *b, uint8_t c) {
    b->symbol[b->symbols++] = (uint32_t)c << WHICH_AT | (uint32_t)NO_DISTANCE << CODE_AT;
    b->which_count[c]++;
}
static inline void deflate_block_match(deflate_block *b, uint32_t distance, uint32_t length) {
    uint32_t which = LENGTH_FROM + length - 3, code = deflate_distance_code(distance - 1);
    b->symbol[b->symbols++] = (distance - 1) | which << WHICH_AT | code << CODE_AT;
    b->which_count[which]++;
    b->distance_count[code]++;
}
/* Writes the block as stored, with fixed or with its own codes, whatever is shortest; data is what it stands for. Starts the next. */
void deflate_block_end(deflate_block *b, const unsigned char *data, size_t bytes, bool last, bit_writer *w);
void bit_writer_align(bit_writer *w);
#endif
