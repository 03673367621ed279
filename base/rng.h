/* base/rng.h - counter-based random numbers: a pure function of a key and an index.
 *
 * Promise: the same (seed, purpose, a, b, c, index) gives the same bits on every machine, rank, thread and call order.
 *
 *     rng_key k = rng_open(seed, RNG_DROPOUT, epoch, row, layer);
 *     uint64_t r = rng_u64(k, draw);
 *
 * Source: Salmon et al. 2011, "Parallel Random Numbers: As Easy as 1, 2, 3", Philox4x32-10.
 * The tuple is folded into a 64-bit key by two Philox calls: k1 = philox(seed; purpose, 0, a), key = philox(k1; b, c),
 * philox(64-bit key; 128-bit counter), low word first; of each result words 0 and 1 are kept. */
#ifndef BASE_RNG_H
#define BASE_RNG_H
#include <stddef.h>
#include <stdint.h>

/* Part of the file formats and of resume: never renumber. */
enum rng_purpose {
    RNG_SHUFFLE = 1,    /* row order of shards: (duplicate, document, chunk) */
    RNG_EXAMPLE = 2,    /* segment pairs: (duplicate, document, chunk), draw */
    RNG_MASK = 3,       /* static masking: (duplicate, document, chunk), draw */
    RNG_ORDER = 4,      /* permutation of blocks: (epoch, i) */
    RNG_TIE = 5,        /* ties of length in a block: (epoch, row) */
    RNG_INIT = 6,       /* initial weights: (tensor), element */
    RNG_DROPOUT = 7,    /* (epoch, row, layer * 8 + site), element */
    RNG_HELD_OUT = 8    /* documents held out of training: (document) */
};

typedef struct rng_key { uint32_t word[2]; } rng_key;

rng_key rng_open(uint64_t seed, enum rng_purpose purpose, uint64_t a, uint64_t b, uint64_t c);

/* The bare generator: ten rounds. Here so that kernels (dropout) inline and vectorise it. */
static inline void rng_philox_rounds(const uint32_t key[2], const uint32_t counter[4], uint32_t out[4]) {
    uint32_t k0 = key[0], k1 = key[1], c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        k0 += 0x9E3779B9u;   /* golden ratio */
        k1 += 0xBB67AE85u;   /* sqrt(3) - 1 */
    }
    out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

/* The 128 bits at index: ten rounds of Philox4x32 on counter (index low, index high, 0, 0). */
static inline void rng_block(rng_key key, uint64_t index, uint32_t out[4]) {
    const uint32_t counter[4] = {(uint32_t)index, (uint32_t)(index >> 32), 0, 0};
    rng_philox_rounds(key.word, counter, out);
}

uint64_t rng_u64(rng_key key, uint64_t index);                      /* words 0 (low) and 1 (high) of the block */
void rng_u64s(rng_key key, const uint64_t *index, size_t count, uint64_t *out);     /* rng_u64() of each, some at once */
uint64_t rng_below(rng_key key, uint64_t index, uint64_t n);        /* 0..n-1: high 64 bits of u64 * n; n >= 1 */
static inline uint64_t rng_scale(uint64_t u64, uint64_t n) { return (uint64_t)(((unsigned __int128)u64 * n) >> 64); }    /* of rng_below() */
double rng_unit(rng_key key, uint64_t index);                       /* [0, 1): top 53 bits of u64 / 2^53 */

/* N(0, 1): Box-Muller, the cosine branch only, so that index i is one block. Radius from words 0 (low) and 1 (high): u = (top 53 bits
 * + 1) / 2^53 in (0, 1]; angle from words 2 and 3: v = top 53 bits / 2^53; sqrt(-2 ln u) cos(2 pi v). Uses libm: equal bits need one libm. */
double rng_normal(rng_key key, uint64_t index);

void rng_philox(const uint32_t key[2], const uint32_t counter[4], uint32_t out[4]);   /* rng_philox_rounds() as a function, for tests */
#endif
