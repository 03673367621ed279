/* datagen/google_random.c - see google_random.h. */
#include "datagen/google_random.h"
#include <assert.h>

enum { MT_MIDDLE = 397 };

static void init(python_random *r, uint32_t seed) {
    r->word[0] = seed;
    for (uint32_t i = 1; i < MT_WORDS; i++) r->word[i] = 1812433253u * (r->word[i - 1] ^ r->word[i - 1] >> 30) + i;
    r->next = MT_WORDS;
}

/* init_by_array with the seed's 32-bit words, low first; a seed below 2^32 is one word. */
void python_random_seed(python_random *r, uint64_t seed) {
    const uint32_t key[2] = { (uint32_t)seed, (uint32_t)(seed >> 32) };
    uint32_t keys = key[1] ? 2 : 1, i = 1, j = 0, *w = r->word;
    init(r, 19650218);
    for (uint32_t k = MT_WORDS; k; k--) {
        w[i] = (w[i] ^ (w[i - 1] ^ w[i - 1] >> 30) * 1664525u) + key[j] + j;
        if (++i == MT_WORDS) { w[0] = w[MT_WORDS - 1]; i = 1; }
        if (++j == keys) j = 0;
    }
    for (uint32_t k = MT_WORDS - 1; k; k--) {
        w[i] = (w[i] ^ (w[i - 1] ^ w[i - 1] >> 30) * 1566083941u) - i;
        if (++i == MT_WORDS) { w[0] = w[MT_WORDS - 1]; i = 1; }
    }
    w[0] = 0x80000000u;
}

static void refill(python_random *r) {
    uint32_t *w = r->word;
    for (int i = 0; i < MT_WORDS; i++) {
        uint32_t y = (w[i] & 0x80000000u) | (w[(i + 1) % MT_WORDS] & 0x7fffffffu);
        w[i] = w[(i + MT_MIDDLE) % MT_WORDS] ^ y >> 1 ^ (y & 1 ? 0x9908b0dfu : 0);
    }
    r->next = 0;
}

uint32_t python_random_word(python_random *r) {
    if (r->next == MT_WORDS) refill(r);
    uint32_t y = r->word[r->next++];
    y ^= y >> 11;
    y ^= y << 7 & 0x9d2c5680u;
    y ^= y << 15 & 0xefc60000u;
    return y ^ y >> 18;
}

double python_random_unit(python_random *r) {
    uint32_t high = python_random_word(r) >> 5, low = python_random_word(r) >> 6;
    return (high * 67108864.0 + low) * (1.0 / 9007199254740992.0);
}

uint32_t python_random_below(python_random *r, uint32_t n) {
    assert(n);
    int unused = __builtin_clz(n);                       /* 32 - n.bit_length() */
    uint32_t x;
    do x = python_random_word(r) >> unused; while (x >= n);
    return x;
}
