/* datagen/deflate_places_x86.h - places looked at by vector instructions; see deflate_places.h. Inside of deflate.c. */
#ifndef DATAGEN_DEFLATE_PLACES_X86_H
#define DATAGEN_DEFLATE_PLACES_X86_H
#include <immintrin.h>
#include "datagen/deflate_places.h"

#define AVX2 "avx2,bmi,bmi2"
#define AVX512 "avx512f,avx2,bmi,bmi2"

__attribute__((target(AVX2))) INLINE sight look_avx2(const uint32_t *recent, uint32_t here, uint32_t mark, uint32_t most_distance) {
    sight t = {0};
    const __m256i zero = _mm256_setzero_si256();
    for (int half = 0; half < 2; half++) {
        __m256i q = _mm256_load_si256((const __m256i *)(recent + 8 * half)), differ = _mm256_xor_si256(q, _mm256_set1_epi32((int)mark));
        __m256i distance = _mm256_and_si256(_mm256_sub_epi32(_mm256_set1_epi32((int)here), q), _mm256_set1_epi32(0xFFFF));
        __m256i far = _mm256_cmpgt_epi32(distance, _mm256_set1_epi32((int)most_distance));
        __m256i three = _mm256_cmpeq_epi32(_mm256_and_si256(differ, _mm256_set1_epi32(MARK_THREE)), zero);
        __m256i four = _mm256_cmpeq_epi32(_mm256_and_si256(differ, _mm256_set1_epi32((int)MARK_FOUR)), zero);
        t.far |= (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(far)) << 8 * half;
        t.three |= (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(three)) << 8 * half;
        t.four |= (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(four)) << 8 * half;
    }
    return t;
}

__attribute__((target(AVX2))) INLINE void put_avx2(uint32_t *recent, uint32_t entry) {
    const __m256i up = _mm256_setr_epi32(7, 0, 1, 2, 3, 4, 5, 6);
    __m256i low = _mm256_permutevar8x32_epi32(_mm256_load_si256((const __m256i *)recent), up);
    __m256i high = _mm256_permutevar8x32_epi32(_mm256_load_si256((const __m256i *)(recent + 8)), up);
    _mm256_store_si256((__m256i *)recent, _mm256_blend_epi32(low, _mm256_set1_epi32((int)entry), 1));
    _mm256_store_si256((__m256i *)(recent + 8), _mm256_blend_epi32(high, low, 1));
}

__attribute__((target(AVX512))) INLINE sight look_avx512(const uint32_t *recent, uint32_t here, uint32_t mark, uint32_t most_distance) {
    __m512i q = _mm512_load_si512(recent), differ = _mm512_xor_si512(q, _mm512_set1_epi32((int)mark));
    __m512i distance = _mm512_and_si512(_mm512_sub_epi32(_mm512_set1_epi32((int)here), q), _mm512_set1_epi32(0xFFFF));
    return (sight){ _mm512_cmpgt_epi32_mask(distance, _mm512_set1_epi32((int)most_distance)),
                    _mm512_testn_epi32_mask(differ, _mm512_set1_epi32(MARK_THREE)), _mm512_testn_epi32_mask(differ, _mm512_set1_epi32((int)MARK_FOUR)) };
}

__attribute__((target(AVX512))) INLINE void put_avx512(uint32_t *recent, uint32_t entry) {
    _mm512_store_si512(recent, _mm512_alignr_epi32(_mm512_load_si512(recent), _mm512_set1_epi32((int)entry), RECENT - 1));
}

/* A length that is known by the branch that was taken, not computed: then the CPU goes on to the next position before the loads have come. */
INLINE uint32_t by_branch(uint32_t n) { __asm__("" : "+r"(n)); return n; }

/* Bytes 5 to 8 of all in `four` at once. That they are in it by the mark alone shows at the end, if it matters. */
__attribute__((target(AVX512))) INLINE uint32_t choose_avx512(const uint32_t *recent, uint32_t here, sight t, const unsigned char *text, uint32_t p,
                                                             size_t left, uint32_t longer, uint32_t *start) {
    if (left < NICE) return choose_each(recent, here, t, text, p, left, longer, start);
    __m512i back = _mm512_srai_epi32(_mm512_slli_epi32(_mm512_sub_epi32(_mm512_load_si512(recent), _mm512_set1_epi32((int)here)), 16), 16);
    __m512i next = _mm512_mask_i32gather_epi32(_mm512_setzero_si512(), (__mmask16)t.four, back, text + p + 4, 1);
    __m512i differ = _mm512_xor_si512(next, _mm512_set1_epi32((int)load32(text + p + 4)));
    uint32_t five = _mm512_mask_testn_epi32_mask((__mmask16)t.four, differ, _mm512_set1_epi32(0xFF));
    uint32_t six = _mm512_mask_testn_epi32_mask((__mmask16)t.four, differ, _mm512_set1_epi32(0xFFFF));
    uint32_t seven = _mm512_mask_testn_epi32_mask((__mmask16)t.four, differ, _mm512_set1_epi32(0xFFFFFF));
    uint32_t eight = _mm512_mask_testn_epi32_mask((__mmask16)t.four, differ, differ), best, found;
    if (!five) best = by_branch(4), found = t.four;
    else if (!six) best = by_branch(5), found = five;
    else if (!seven) best = by_branch(6), found = six;
    else if (!eight) best = by_branch(7), found = seven;
    else {
        best = choose_each(recent, here, (sight){ 0, t.three, eight }, text, p, left, longer, start);
        return best >= 8 ? best : choose_each(recent, here, t, text, p, left, longer, start);
    }
    *start = position_of(recent, first_of(found), here, p);
    return text[*start + 3] == text[p + 3] ? best : choose_each(recent, here, t, text, p, left, longer, start);
}
#endif
