/* datagen/deflate_sum.h - Adler-32 (RFC 1950, 8.2): of all bytes and of all sums on the way, in parts that cannot overflow. Inside of deflate.c. */
#ifndef DATAGEN_DEFLATE_SUM_H
#define DATAGEN_DEFLATE_SUM_H
#include <stdint.h>
#ifdef __x86_64__
#include <immintrin.h>
#endif

enum { SUM_PART = 5536, SUM_PRIME = 65521 };         /* the most that cannot, in whole vectors */

/* Adds a part's bytes, and its bytes by how many of the part there are from each on. */
typedef void add_bytes(const unsigned char *text, uint32_t count, uint32_t *sum, uint32_t *weighted);

static inline void add_bytes_portable(const unsigned char *text, uint32_t count, uint32_t *sum, uint32_t *weighted) {
    for (uint32_t i = 0; i < count; i++) {
        *sum += text[i];
        *weighted += (count - i) * text[i];
    }
}

#ifdef __x86_64__
__attribute__((target("avx2"))) static inline uint32_t add_lanes(__m256i v) {
    __m128i x = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    x = _mm_add_epi32(x, _mm_shuffle_epi32(x, 0x4E));
    return (uint32_t)_mm_cvtsi128_si32(_mm_add_epi32(x, _mm_shuffle_epi32(x, 0xB1)));
}

__attribute__((target("avx2"))) static inline void add_bytes_avx2(const unsigned char *text, uint32_t count, uint32_t *sum, uint32_t *weighted) {
    const __m256i weight = _mm256_setr_epi8(32, 31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17,
                                            16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1);
    const __m256i one = _mm256_set1_epi16(1), zero = _mm256_setzero_si256();
    __m256i bytes = zero, before = zero, inside = zero;      /* before: at each vector, of all bytes before it */
    uint32_t rest = count % 32, whole = count - rest;
    for (uint32_t i = 0; i < whole; i += 32) {
        __m256i v = _mm256_loadu_si256((const __m256i *)(text + i));
        before = _mm256_add_epi32(before, bytes);
        bytes = _mm256_add_epi32(bytes, _mm256_sad_epu8(v, zero));
        inside = _mm256_add_epi32(inside, _mm256_madd_epi16(_mm256_maddubs_epi16(v, weight), one));
    }
    *sum = add_lanes(bytes);
    *weighted = 32 * add_lanes(before) + add_lanes(inside) + rest * *sum;
    add_bytes_portable(text + whole, rest, sum, weighted);
}
#endif

__attribute__((always_inline)) static inline uint32_t adler32_of(add_bytes *add, const unsigned char *text, uint32_t bytes) {
    uint32_t a = 1, b = 0;
    for (uint32_t part; bytes; bytes -= part, text += part) {
        uint32_t sum = 0, weighted = 0;
        part = bytes < SUM_PART ? bytes : SUM_PART;
        add(text, part, &sum, &weighted);
        b = (b + part * a + weighted) % SUM_PRIME;
        a = (a + sum) % SUM_PRIME;
    }
    return b << 16 | a;
}
#endif
