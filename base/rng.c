/* base/rng.c - Philox4x32-10 and what is drawn from it. */
#include "base/rng.h"
#include <assert.h>
#include <math.h>
#ifdef __x86_64__
#include <immintrin.h>
#endif

void rng_philox(const uint32_t key[2], const uint32_t counter[4], uint32_t out[4]) { rng_philox_rounds(key, counter, out); }

rng_key rng_open(uint64_t seed, enum rng_purpose purpose, uint64_t a, uint64_t b, uint64_t c) {
    uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)}, out[4];
    uint32_t first[4] = {(uint32_t)purpose, 0, (uint32_t)a, (uint32_t)(a >> 32)};
    rng_philox_rounds(key, first, out);
    uint32_t second[4] = {(uint32_t)b, (uint32_t)(b >> 32), (uint32_t)c, (uint32_t)(c >> 32)};
    key[0] = out[0], key[1] = out[1];
    rng_philox_rounds(key, second, out);
    return (rng_key){{out[0], out[1]}};
}

uint64_t rng_u64(rng_key key, uint64_t index) {
    uint32_t w[4];
    rng_block(key, index, w);
    return (uint64_t)w[1] << 32 | w[0];
}

#ifdef __x86_64__
/* rng_philox_rounds() of four counters: each word in 64 bits, of which only the lower half counts. */
__attribute__((target("avx2"))) static void four_u64s(rng_key key, const uint64_t *index, uint64_t *out) {
    const __m256i m0 = _mm256_set1_epi64x(0xD2511F53), m1 = _mm256_set1_epi64x(0xCD9E8D57);
    __m256i c0 = _mm256_loadu_si256((const __m256i *)(const void *)index), c1 = _mm256_srli_epi64(c0, 32), c2 = _mm256_setzero_si256(), c3 = c2;
    uint32_t k0 = key.word[0], k1 = key.word[1];
    for (int round = 0; round < 10; round++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
        __m256i p0 = _mm256_mul_epu32(m0, c0), p1 = _mm256_mul_epu32(m1, c2);
        c0 = _mm256_xor_si256(_mm256_xor_si256(_mm256_srli_epi64(p1, 32), c1), _mm256_set1_epi64x(k0));
        c2 = _mm256_xor_si256(_mm256_xor_si256(_mm256_srli_epi64(p0, 32), c3), _mm256_set1_epi64x(k1));
        c1 = p1;
        c3 = p0;
    }
    _mm256_storeu_si256((__m256i *)(void *)out, _mm256_blend_epi32(c0, _mm256_slli_epi64(c1, 32), 0xAA));
}
#endif

void rng_u64s(rng_key key, const uint64_t *index, size_t count, uint64_t *out) {
    size_t i = 0;
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx2")) for (; i + 4 <= count; i += 4) four_u64s(key, index + i, out + i);
#endif
    for (; i < count; i++) out[i] = rng_u64(key, index[i]);
}

/* Lemire's multiplication without the rejection: the bias is below n / 2^64. */
uint64_t rng_below(rng_key key, uint64_t index, uint64_t n) {
    assert(n >= 1);
    return rng_scale(rng_u64(key, index), n);
}

double rng_unit(rng_key key, uint64_t index) { return (double)(rng_u64(key, index) >> 11) * 0x1p-53; }

double rng_normal(rng_key key, uint64_t index) {
    uint32_t w[4];
    rng_block(key, index, w);
    uint64_t low = (uint64_t)w[1] << 32 | w[0], high = (uint64_t)w[3] << 32 | w[2];
    double radius = (double)((low >> 11) + 1) * 0x1p-53;      /* (0, 1]: the logarithm is finite */
    double angle = (double)(high >> 11) * 0x1p-53;            /* [0, 1) of a turn */
    return sqrt(-2 * log(radius)) * cos(6.283185307179586476925 * angle);
}
