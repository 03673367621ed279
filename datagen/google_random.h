/* datagen/google_random.h - Python 3's random.Random(seed), for --compat google only: every other draw of this project is Philox (base/rng.h).
 *
 * Promise: the same numbers as CPython 3.2 and later draw, call for call.
 *
 *     python_random r;
 *     python_random_seed(&r, 12345);
 *     double x = python_random_unit(&r);           random()
 *     uint32_t i = python_random_below(&r, 6);     randint(a, b) is a + below(b - a + 1); randrange(n) and choice() draw below(n)
 *
 * shuffle(x) is: for i = len(x)-1 down to 1: swap x[i] with x[below(i + 1)].
 * Source: Matsumoto and Nishimura 1998, "Mersenne Twister" (MT19937, init_by_array of 2002); CPython Modules/_randommodule.c, Lib/random.py. */
#ifndef DATAGEN_GOOGLE_RANDOM_H
#define DATAGEN_GOOGLE_RANDOM_H
#include <stdint.h>

enum { MT_WORDS = 624 };
typedef struct python_random { uint32_t word[MT_WORDS]; int next; } python_random;

void python_random_seed(python_random *r, uint64_t seed);
uint32_t python_random_word(python_random *r);                  /* getrandbits(32) */
double python_random_unit(python_random *r);                    /* [0, 1), 53 bits, two words */
uint32_t python_random_below(python_random *r, uint32_t n);     /* 0..n-1, n >= 1; draws at least one word, also for n = 1 */
#endif
