/* datagen/deflate_places_x86.h - places compared by vector instructions; see deflate_search.h. Inside of deflate.c. */
#ifndef DATAGEN_DEFLATE_PLACES_X86_H
#define DATAGEN_DEFLATE_PLACES_X86_H
#include <immintrin.h>
#include "datagen/deflate_search.h"

#define AVX2 "avx2,bmi,bmi2"
#define AVX512 "avx512f,avx2,bmi,bmi2"

__attribute__((target(AVX2))) INLINE uint32_t equal_avx2(__m256i low, __m256i high, uint32_t mask) {
    const __m256i zero = _mm256_setzero_si256(), m = _mm256_set1_epi32((int)mask);
    __m256i a = _mm256_cmpeq_epi32(_mm256_and_si256(low, m), zero), b = _mm256_cmpeq_epi32(_mm256_and_si256(high, m), zero);
    return (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(a)) | (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(b)) << 8;
}

__attribute__((target(AVX2))) INLINE alike words_avx2(const uint32_t *entry, uint32_t word, uint32_t among) {
    const __m256i w = _mm256_set1_epi32((int)word);
    __m256i low = _mm256_xor_si256(_mm256_load_si256((const __m256i *)entry), w), high = _mm256_xor_si256(_mm256_load_si256((const __m256i *)(entry + 8)), w);
    return (alike){ equal_avx2(low, high, 0xFF) & among, equal_avx2(low, high, 0xFFFF) & among, equal_avx2(low, high, 0xFFFFFF) & among,
                    equal_avx2(low, high, 0xFFFFFFFF) & among };
}

__attribute__((target(AVX2))) INLINE uint32_t near_avx2(const uint32_t *entry, uint32_t here, uint32_t most) {
    const __m256i h = _mm256_set1_epi32((int)here), m = _mm256_set1_epi32((int)most);
    uint32_t far = 0;
    for (int half = 0; half < 2; half++) {             /* distances are below 2^31 */
        __m256i distance = _mm256_sub_epi32(h, _mm256_load_si256((const __m256i *)(entry + 8 * half)));
        far |= (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32(distance, m))) << 8 * half;
    }
    return ~far;
}

__attribute__((target(AVX512))) INLINE alike words_avx512(const uint32_t *entry, uint32_t word, uint32_t among) {
    __m512i differ = _mm512_xor_si512(_mm512_load_si512(entry), _mm512_set1_epi32((int)word));
    __mmask16 m = (__mmask16)among;
    return (alike){ _mm512_mask_testn_epi32_mask(m, differ, _mm512_set1_epi32(0xFF)), _mm512_mask_testn_epi32_mask(m, differ, _mm512_set1_epi32(0xFFFF)),
                    _mm512_mask_testn_epi32_mask(m, differ, _mm512_set1_epi32(0xFFFFFF)), _mm512_mask_testn_epi32_mask(m, differ, differ) };
}

__attribute__((target(AVX512))) INLINE uint32_t near_avx512(const uint32_t *entry, uint32_t here, uint32_t most) {
    return _mm512_cmple_epu32_mask(_mm512_sub_epi32(_mm512_set1_epi32((int)here), _mm512_load_si512(entry)), _mm512_set1_epi32((int)most));
}
#endif
