/* comm/floats.h - arrays of floats: made, added, copied, rounded, in fixed blocks.
 *
 * Promise: every element is added by itself, in the order asked for, so the bits never depend on threads. Called inside a parallel region,
 * the calling thread does it alone. All bulk work on floats of comm/ goes through here, so that a simulation can let time pass instead. Inner
 * to comm/. */
#ifndef COMM_FLOATS_H
#define COMM_FLOATS_H
#include <stddef.h>
#include <stdint.h>

typedef struct add_pair { int into, from; } add_pair;    /* part[into] += part[from] */

/* 64-byte aligned, not cleared; free() releases. fail()s naming the bytes when memory is short; count 0 is allowed. */
float *floats_new(size_t count);

/* Fills the n - 1 additions of T(n) over parts 0..n-1, in order. The sum ends in part `home` (a + b = b + a bit for bit, so which
 * operand is overwritten is free). */
void floats_tree_pairs(add_pair *pairs, int n, int home);

/* Runs all pairs block by block (a block stays in cache through the chain), blocks in parallel. part[i]: `count` floats each. */
void floats_add_pairs(float *const *part, const add_pair *pairs, int pair_count, size_t count);

/* out = T(n) over part[0..n), of `count` floats each; a part that is NULL counts as +0.0 everywhere and is not read. out may be one of the
 * parts. All absent: out is left as it is. */
void floats_sum(float *out, const float *const *part, int n, size_t count);

void floats_copy(float *out, const float *in, size_t count);
void floats_clear(float *out, size_t count);                     /* to +0.0 */

/* bfloat16, rounded to nearest even; infinities stay, NaN stays NaN. */
void floats_to_bf16(uint16_t *out, const float *in, size_t count);
void floats_from_bf16(float *out, const uint16_t *in, size_t count);
#endif
