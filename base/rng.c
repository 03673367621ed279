/* base/rng.c - Philox4x32-10 and what is drawn from it. */
#include "base/rng.h"
#include <assert.h>
#include <math.h>

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

/* Lemire's multiplication without the rejection: the bias is below n / 2^64. */
uint64_t rng_below(rng_key key, uint64_t index, uint64_t n) {
    assert(n >= 1);
    return (uint64_t)(((unsigned __int128)rng_u64(key, index) * n) >> 64);
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
