/* exposed STEPS [options of bert-pretrain]: how much of a training step the gradient exchange costs.
 *
 * Steps of real training in pairs, one as it is and one with the exchange muted (no message, no read of another rank's memory, no addition over
 * ranks), on the same batch; which comes first alternates. After a muted step the ranks' weights are no longer shared: fit for timing only, so
 * nothing is saved. Prints, for the slowest rank of each step: median seconds of both kinds, the median and quartiles of
 * (step - muted) / step over pairs, bytes moved by a rank, and what the bound is. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/timer.h"
#include "trainer/start.h"

enum { WARM = 1 };

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(double *v, int n, double q) {
    qsort(v, (size_t)n, sizeof *v, by_size);
    double at = q * (n - 1);
    int low = (int)at;
    return low + 1 < n ? v[low] + (at - low) * (v[low + 1] - v[low]) : v[low];
}

/* Seconds of the slowest rank, the whole gather included: in training it goes on under the next forward pass. */
static double timed_step(trainer *t, int64_t step, bool mute, step_result *r) {
    *r = (step_result){0};
    exchange_mute(t->exchange, mute);
    comm_barrier(t->comm);
    double began = timer_now();
    train_step(t, step, r);
    exchange_finish(t->exchange);
    int64_t microseconds = (int64_t)((timer_now() - began) * 1e6);
    exchange_count rest = exchange_counted(t->exchange);
    r->moved.bytes += rest.bytes;
    r->moved.wait_seconds += rest.wait_seconds;
    comm_max_i64(t->comm, &microseconds, 1);
    return (double)microseconds / 1e6;
}

static void measure(trainer *t, int pairs) {
    double *full = must_zalloc((size_t)pairs, sizeof *full), *muted = must_zalloc((size_t)pairs, sizeof *muted),
           *share = must_zalloc((size_t)pairs, sizeof *share), *wait = must_zalloc((size_t)pairs, sizeof *wait);
    step_result r;
    exchange_count moved = {0};
    int64_t step = 0;
    for (int i = -WARM; i < pairs; i++, step++) {
        double seconds[2];
        for (int k = 0; k < 2; k++) {
            bool mute = (k + i) & 1;
            seconds[mute] = timed_step(t, step, mute, &r);
            if (!mute) moved = r.moved;
            if (!mute && i >= 0) wait[i] = moved.wait_seconds;
        }
        if (t->comm->rank == 0) fprintf(stderr, "%.4f s, muted %.4f s%s\n", seconds[0], seconds[1], i < 0 ? " (warm-up)" : "");
        if (i < 0) continue;
        full[i] = seconds[0];
        muted[i] = seconds[1];
        share[i] = (seconds[0] - seconds[1]) / seconds[0];
    }
    if (t->comm->rank == 0) {
        double bound = 2.0 * (t->comm->size - 1) / t->comm->size * 4.0 * (double)t->model->parameters;
        printf("exposed: %d ranks of %d threads, %s, step %.4f s, muted %.4f s, exposed %.2f %% (quartiles %.2f to %.2f, %d pairs), waited %.4f s; "
               "rank 0 moved %.1f MB and %.1f MB of rows, bound %.1f MB\n", t->comm->size, t->threads, exchange_path(t->exchange),
               quantile(full, pairs, 0.5), quantile(muted, pairs, 0.5), 100 * quantile(share, pairs, 0.5), 100 * quantile(share, pairs, 0.25),
               100 * quantile(share, pairs, 0.75), pairs, quantile(wait, pairs, 0.5), (double)moved.bytes / 1e6, (double)moved.row_bytes / 1e6,
               bound / 1e6);
    }
    free(full), free(muted), free(share), free(wait);
}

int main(int argc, char **argv) {
    fail_init("exposed");
    comm *c = comm_start(&argc, &argv);
    trainer t;
    bool done = false;
    int pairs = argc > 1 ? atoi(argv[1]) : 0;
    if (pairs < 1) fail(EXIT_USAGE, "usage: exposed PAIRS [options of bert-pretrain]");
    argv[1] = argv[0];
    int code = start(&t, c, argc - 1, argv + 1, &done);
    if (!code && !done) measure(&t, pairs);
    trainer_free(&t);
    return comm_finish(c, code);
}
