/* trainer/weights_check.c - replicas must hold the same bits: a hash of the weights, compared over ranks. See train.h. */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "trainer/train.h"

/* The finalizer of SplitMix64 (Steele et al. 2014): every input bit reaches every output bit. */
static uint64_t mix(uint64_t h) {
    h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9ull;
    h = (h ^ (h >> 27)) * 0x94d049bb133111ebull;
    return h ^ (h >> 31);
}

static uint64_t hash_block(const float *weights, uint64_t h) {
    for (size_t i = 0; i < PLAN_BLOCK; i += 2) {
        uint64_t word;
        memcpy(&word, weights + i, sizeof word);
        h = (h ^ word) * 0x9e3779b97f4a7c15ull;
        h ^= h >> 29;
    }
    return mix(h);
}

/* Blocks are hashed apart, keyed by their index, so that threads may take any of them; integer addition has no order. */
uint64_t weights_hash(const float *weights, size_t elements) {
    assert(elements % PLAN_BLOCK == 0);
    enum { SHARES = 64 };
    uint64_t share[SHARES] = {0}, sum = 0;
    size_t blocks = elements / PLAN_BLOCK;
    #pragma omp parallel for schedule(static)
    for (size_t s = 0; s < SHARES; s++)
        for (size_t b = blocks * s / SHARES; b < blocks * (s + 1) / SHARES; b++) share[s] += hash_block(weights + b * PLAN_BLOCK, mix(b + 1));
    for (size_t s = 0; s < SHARES; s++) sum += share[s];
    return mix(sum);
}

/* The value that most ranks hold; the lowest rank's of those equally frequent. */
static uint64_t most_frequent(const uint64_t *all, int ranks) {
    int best = 0;
    uint64_t value = all[0];
    for (int r = 0; r < ranks; r++) {
        int count = 0;
        for (int i = 0; i < ranks; i++) count += all[i] == all[r];
        if (count > best) best = count, value = all[r];
    }
    return value;
}

void weights_check(comm *c, const float *weights, size_t elements, int64_t step, error *e) {
    uint64_t mine = weights_hash(weights, elements), *all = must_alloc((size_t)c->size, sizeof *all);
    comm_gather_u64(c, &mine, 1, all);
    bool equal = true;
    for (int r = 1; r < c->size; r++) equal &= all[r] == all[0];
    if (!equal) {
        uint64_t most = most_frequent(all, c->size);
        if (mine != most)
            error_set(e, EXIT_MACHINE, "weights after step %" PRId64 ": hash %016" PRIx64 " differs from the other ranks' %016" PRIx64
                      "; suspect this host's memory or processor, and run again without it: training resumes from the last checkpoint",
                      step, mine, most);
    }
    free(all);
}
