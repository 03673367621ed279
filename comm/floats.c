/* comm/floats.c - see floats.h. */
#include "comm/floats.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "base/fail.h"
#include "base/memory.h"

enum {
    BLOCK = 4096,             /* elements of 16 KiB: three of them fit a first-level cache; no effect on the bits */
    SMALL_BLOCK = 1024,       /* where a stack of partial sums must fit */
    DEEPEST = 16              /* of that stack: 2^15 parts */
};

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

/* T over part[lo .. lo + n) of one block: where it is, in a part or at the foot of temp, a stack of blocks; NULL when all are absent. */
static const float *sum_block(const float *const *part, int lo, int n, size_t at, size_t count, float *temp) {
    if (n == 1) return part[lo] ? part[lo] + at : NULL;
    int p = 1;
    while (2 * p < n) p *= 2;
    const float *a = sum_block(part, lo, p, at, count, temp);
    const float *b = sum_block(part, lo + p, n - p, at, count, a == temp ? temp + SMALL_BLOCK : temp);
    if (!a || !b) return a ? a : b;
    #pragma omp simd
    for (size_t i = 0; i < count; i++) temp[i] = a[i] + b[i];
    return temp;
}

void floats_sum(float *out, const float *const *part, int n, size_t count) {
    assert(n >= 1 && n <= 1 << (DEEPEST - 1));
    size_t blocks = (count + SMALL_BLOCK - 1) / SMALL_BLOCK;
    #pragma omp parallel for schedule(static) if (blocks > 64)
    for (size_t k = 0; k < blocks; k++) {
        float temp[DEEPEST * SMALL_BLOCK];
        size_t at = k * SMALL_BLOCK, length = count - at < SMALL_BLOCK ? count - at : SMALL_BLOCK;
        const float *sum = sum_block(part, 0, n, at, length, temp);
        if (sum && sum != out + at) memcpy(out + at, sum, length * sizeof *out);
    }
}

void floats_copy(float *out, const float *in, size_t count) {
    size_t blocks = (count + BLOCK - 1) / BLOCK;
    #pragma omp parallel for schedule(static) if (blocks > 16)
    for (size_t k = 0; k < blocks; k++) memcpy(out + k * BLOCK, in + k * BLOCK, (count - k * BLOCK < BLOCK ? count - k * BLOCK : BLOCK) * sizeof *out);
}

void floats_clear(float *out, size_t count) {
    size_t blocks = (count + BLOCK - 1) / BLOCK;
    #pragma omp parallel for schedule(static) if (blocks > 16)
    for (size_t k = 0; k < blocks; k++) memset(out + k * BLOCK, 0, (count - k * BLOCK < BLOCK ? count - k * BLOCK : BLOCK) * sizeof *out);
}

void floats_to_bf16(uint16_t *out, const float *in, size_t count) {
    #pragma omp parallel for simd schedule(static) if (count > 65536)
    for (size_t i = 0; i < count; i++) {
        union { float f; uint32_t u; } v = { .f = in[i] };
        uint32_t rounded = (v.u + 0x7fff + (v.u >> 16 & 1)) >> 16;
        out[i] = (uint16_t)((v.u & 0x7fffffff) > 0x7f800000 ? v.u >> 16 | 0x40 : rounded);
    }
}

void floats_from_bf16(float *out, const uint16_t *in, size_t count) {
    #pragma omp parallel for simd schedule(static) if (count > 65536)
    for (size_t i = 0; i < count; i++) {
        union { uint32_t u; float f; } v = { .u = (uint32_t)in[i] << 16 };
        out[i] = v.f;
    }
}
