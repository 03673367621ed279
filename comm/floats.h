/* comm/floats.h - arrays of floats: made, and added in fixed blocks.
 *
 * Promise: every element is added by itself, in the order of the pairs, so the bits never depend on threads. Inner to comm/. */
#ifndef COMM_FLOATS_H
#define COMM_FLOATS_H
#include <stddef.h>

typedef struct add_pair { int into, from; } add_pair;    /* part[into] += part[from] */

/* 64-byte aligned, not cleared; free() releases. fail()s naming the bytes when memory is short; count 0 is allowed. */
float *floats_new(size_t count);

/* Fills the n - 1 additions of T(n) over parts 0..n-1, in order. The sum ends in part `home` (a + b = b + a bit for bit, so which
 * operand is overwritten is free). */
void floats_tree_pairs(add_pair *pairs, int n, int home);

/* Runs all pairs block by block (a block stays in cache through the chain), blocks in parallel. part[i]: `count` floats each. */
void floats_add_pairs(float *const *part, const add_pair *pairs, int pair_count, size_t count);
#endif
