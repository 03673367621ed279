// np: 2 3
/* tests/mpi/test_weights_check.c - one bit of one weight on one rank is found, and that rank is named; equal weights pass. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "trainer/train.h"

enum { N = 70 * PLAN_BLOCK };

int main(int argc, char **argv) {
    fail_init("test_weights_check");
    comm *c = comm_start(&argc, &argv);
    float *w = must_alloc(N, sizeof *w);
    error e = {0};
    int64_t bad = 0;
    for (size_t i = 0; i < N; i++) w[i] = (float)i * 0.37f;
    weights_check(c, w, N, 5, &e);
    if (e.code) fprintf(stderr, "equal weights: %s\n", e.text), bad = 1;
    for (size_t at = 0; at < N; at += 6999) {                /* a last bit, in many places */
        uint32_t bits;
        memcpy(&bits, &w[at], sizeof bits);
        bits ^= 1;
        if (c->rank == c->size - 1) memcpy(&w[at], &bits, sizeof bits);
        e = (error){0};
        weights_check(c, w, N, 5, &e);
        int wanted = c->rank == c->size - 1 ? EXIT_MACHINE : 0;
        if (e.code != wanted) fprintf(stderr, "weight %zu, rank %d: code %d, wanted %d\n", at, c->rank, e.code, wanted), bad = 1;
        if (wanted && !strstr(e.text, "step 5")) fprintf(stderr, "text: %s\n", e.text), bad = 1;
        bits ^= 1;
        if (c->rank == c->size - 1) memcpy(&w[at], &bits, sizeof bits);
    }
    float kept = w[3];                                       /* swapped weights are other weights */
    uint64_t before = weights_hash(w, N);
    w[3] = w[3 + 2 * PLAN_BLOCK], w[3 + 2 * PLAN_BLOCK] = kept;
    if (weights_hash(w, N) == before) fprintf(stderr, "the hash does not see an exchange of two weights\n"), bad = 1;
    comm_max_i64(c, &bad, 1);
    free(w);
    return comm_finish(c, (int)bad);
}
