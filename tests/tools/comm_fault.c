/* comm_fault RANK CODE WHAT: sums gradients without end; at the third round RANK does WHAT (fail, die), or all agree (refuse).
 * WHAT = alone: no round; says whether a launcher was seen, and fails when CODE is not 0.
 * WHAT = odd: no round; one bit of one weight differs on RANK, and the check of training finds it. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "trainer/train.h"   /* weights_check; exchange */

int main(int argc, char **argv) {
    fail_init("comm_fault");
    if (argc != 4) fail(EXIT_USAGE, "usage: comm_fault RANK CODE fail|die|refuse|alone|odd");
    int rank = atoi(argv[1]), code = atoi(argv[2]);
    const char *what = argv[3];
    bool launched = comm_launched();
    comm *c = comm_start(&argc, &argv);
    if (!strcmp(what, "alone")) {
        printf("launched %d rank %d of %d nodes %d\n", launched, c->rank, c->size, c->nodes);
        if (code) fail(code, "shard.h5: short read");
        return comm_finish(c, 0);
    }
    error e = {0};
    if (!strcmp(what, "odd")) {
        float weights[2 * PLAN_BLOCK] = {1};
        if (c->rank == rank) weights[PLAN_BLOCK + 7] = 0x1p-149f;
        weights_check(c, weights, 2 * PLAN_BLOCK, 300, &e);
        return comm_finish(c, comm_agree(c, &e));
    }
    if (!strcmp(what, "refuse") && c->rank >= rank) error_set(&e, code, "vocab.txt: no such file; give --vocab");
    int agreed = comm_agree(c, &e);
    if (agreed) return comm_finish(c, agreed);
    range bucket = {0, 4096 * PLAN_BLOCK};
    plan *p = plan_new(c->size, bucket.end, &bucket, 1);
    exchange *x = exchange_new(c, p, NULL);
    for (int round = 0;; round++) {
        if (round == 3 && c->rank == rank && !strcmp(what, "fail")) fail(code, "shard.h5: short read; check the disk");
        if (round == 3 && c->rank == rank && !strcmp(what, "die")) raise(SIGKILL);
        exchange_begin(x);
        exchange_ready(x, 0);
        exchange_finish(x);
    }
}
