/* datagen/deflate.h - zlib streams of rows, fast.
 *
 * Promise: the bytes are those of zlib 1.2.12 and later at level 4 (window 15, memory 8), for any input: compressed by another algorithm for
 * finding matches, by the same rule for choosing them.
 *
 *     deflater *d = deflater_new();
 *     size_t n = deflater_pack(d, data, bytes, out);        out has room for deflater_bound(bytes)
 *
 * Source: RFC 1950, RFC 1951; the rules of choice (lazy matching, block ends, Huffman ties) as zlib has them. */
#ifndef DATAGEN_DEFLATE_H
#define DATAGEN_DEFLATE_H
#include <stdbool.h>
#include <stddef.h>

typedef struct deflater deflater;
deflater *deflater_new(void);
void deflater_free(deflater *d);   /* NULL is allowed */
/* "avx512", "avx2" or "portable" instead of the best of this CPU; NULL: that. False when it lacks it. For tests: the bytes are the same. */
bool deflater_use(deflater *d, const char *kind);
size_t deflater_bound(size_t bytes);
size_t deflater_pack(deflater *d, const void *data, size_t bytes, unsigned char *out);
#endif
