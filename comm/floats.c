/* comm/floats.c - see floats.h. */
#include "comm/floats.h"
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include "base/fail.h"
#include "base/memory.h"

enum { BLOCK = 4096 };        /* elements of 16 KiB: three of them fit a first-level cache; no effect on the bits */

float *floats_new(size_t count) {
    if (count > (SIZE_MAX - 64) / sizeof(float)) fail(EXIT_MACHINE, "memory: an array of %zu floats is too large", count);
    size_t bytes = count * sizeof(float);
    float *a = memory_new(bytes);
    if (!a) fail(EXIT_MACHINE, "memory: %zu bytes for gradients are not there; use more nodes or fewer ranks a node", bytes);
    return a;
}

/* T over [lo, lo + n): returns the part that holds it. */
static int tree_pairs(add_pair **next, int lo, int n, int home) {
    if (n == 1) return lo;
    int p = 1;
    while (2 * p < n) p *= 2;
    int left = tree_pairs(next, lo, p, home), right = tree_pairs(next, lo + p, n - p, home);
    *(*next)++ = right == home ? (add_pair){right, left} : (add_pair){left, right};
    return right == home ? right : left;
}

void floats_tree_pairs(add_pair *pairs, int n, int home) {
    assert(n >= 1 && home >= 0 && home < n);
    int sum = tree_pairs(&pairs, 0, n, home);
    assert(sum == home);
    (void)sum;
}

static inline void add(float *restrict a, const float *restrict b, size_t n) {
    for (size_t i = 0; i < n; i++) a[i] += b[i];
}

void floats_add_pairs(float *const *part, const add_pair *pairs, int pair_count, size_t count) {
    size_t blocks = (count + BLOCK - 1) / BLOCK;
    #pragma omp parallel for schedule(static) if (blocks > 16)
    for (size_t k = 0; k < blocks; k++) {
        size_t at = k * BLOCK, n = count - at < BLOCK ? count - at : BLOCK;
        for (int i = 0; i < pair_count; i++) add(part[pairs[i].into] + at, part[pairs[i].from] + at, n);
    }
}
