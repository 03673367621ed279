/* datagen/deflate_block.h - one block of a deflate stream from its symbols. Inside of deflate.c. */
#ifndef DATAGEN_DEFLATE_BLOCK_H
#define DATAGEN_DEFLATE_BLOCK_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BLOCK_SYMBOLS = 16383, LITERALS = 286, DISTANCES = 30, LENGTH_CODES = 19, BLOCK_END = 256 };

/* Codes of lengths and distances without their extra bits; value: length - 3, d: distance - 1. */
static inline unsigned deflate_length_code(unsigned value) {
    if (value < 8) return value;
    if (value == 255) return 28;
    unsigned high = 31u - (unsigned)__builtin_clz(value);
    return 4 * (high - 1) + (value >> (high - 2) & 3);
}
static inline unsigned deflate_distance_code(unsigned d) {
    if (d < 4) return d;
    unsigned high = 31u - (unsigned)__builtin_clz(d);
    return 2 * high + (d >> (high - 1) & 1);
}

typedef struct bit_writer { unsigned char *at; uint64_t held; unsigned bits; } bit_writer;      /* below 8 bits between calls */
typedef struct symbol { uint16_t distance; uint8_t value; } symbol;      /* distance 0: the literal value; else length - 3 */

typedef struct deflate_block {
    symbol symbol[BLOCK_SYMBOLS];
    size_t symbols;
    uint16_t literal_count[LITERALS + 2], distance_count[DISTANCES + 2];
} deflate_block;

void deflate_block_start(deflate_block *b);
static inline void deflate_block_literal(deflate_block *b, uint8_t c) {
    b->symbol[b->symbols++] = (symbol){ 0, c };
    b->literal_count[c]++;
}
static inline void deflate_block_match(deflate_block *b, uint32_t distance, uint32_t length) {
    b->symbol[b->symbols++] = (symbol){ (uint16_t)distance, (uint8_t)(length - 3) };
    b->literal_count[BLOCK_END + 1 + deflate_length_code(length - 3)]++;
    b->distance_count[deflate_distance_code(distance - 1)]++;
}
/* Writes the block as stored, with fixed or with its own codes, whatever is shortest; data is what it stands for. Starts the next. */
void deflate_block_end(deflate_block *b, const unsigned char *data, size_t bytes, bool last, bit_writer *w);
void bit_writer_align(bit_writer *w);
#endif
