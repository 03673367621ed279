/* comm/simulate/main.c - training steps of many ranks under SimGrid: the exchange is comm/'s own code, unchanged; compute is measured time
 * that passes, arithmetic on arrays is bytes / bandwidth (floats.c), the network is a platform file.
 *
 * A step: counts are agreed; forward waits for the weights that it needs next, while those behind them still travel; backward finishes
 * bucket after bucket; norms are gathered, slices updated, their gathers started: they end under the next forward.
 * Rounds of messages begin only where the code is polled: at --polls points of a backward, evenly spaced, and while it waits.
 * Not simulated: data, checkpoints, noise of the machines, several threads of a rank (their time is in --compute).
 *
 * One line of JSON on stdout: seconds of a step and its parts, the slowest rank's, means over --steps after one. */
#include <math.h>
#include <mpi.h>
#include <smpi/smpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/options.h"
#include "base/rng.h"
#include "base/timer.h"
#include "comm/exchange.h"

typedef struct settings {
    double compute, update_bytes, memory;
    int64_t leaves, polls, steps, tokens, width;
    int path;
    char *buckets;
} settings;

#define AT(field) offsetof(settings, field)
static const option_spec table[] = {
    {"buckets", OPTION_TEXT, AT(buckets), .unit = "elements,...", .help = "of each bucket, the first one ready first; the first has no weights of its own",
     .flags = OPTION_REQUIRED},
    {"compute", OPTION_REAL, AT(compute), 0, 1e6, "1", .unit = "s", .help = "forward and backward of a rank's micro-batches; a third is forward"},
    {"leaves", OPTION_INT, AT(leaves), 1, 1 << 20, "1", .unit = "micro-batches", .help = "of a rank: only the last one's backward hides messages"},
    {"polls", OPTION_INT, AT(polls), 1, 1e6, "1000", .unit = "points", .help = "of a backward at which messages may begin"},
    {"update-bytes", OPTION_REAL, AT(update_bytes), 0, 1000, "32", .unit = "bytes", .help = "read and written by the norm and the update of an element"},
    {"memory", OPTION_REAL, AT(memory), 0, 1e5, "0", .unit = "GB/s", .help = "bandwidth of one rank while all of its node use it; 0: takes no time"},
    {"tokens", OPTION_INT, AT(tokens), 0, 1 << 24, "0", .unit = "tokens",
     .help = "of a rank and step: rows of the last bucket that they touch are sent; 0: all"},
    {"width", OPTION_INT, AT(width), 1, 1 << 20, "768", .unit = "elements", .help = "of a row of the last bucket"},
    {"steps", OPTION_INT, AT(steps), 1, 1000, "1", .unit = "steps", .help = "counted ones"},
    {"path", OPTION_CHOICE, AT(path), .initial = "auto", .choices = "auto|messages|windows", .help = "between ranks of one node"},
};
static const option_program program = {
    .name = "simulate", .summary = "steps of training under SimGrid", .usage = "smpirun -np N ... simulate --buckets N,N,...",
    .table = table, .count = sizeof table / sizeof *table,
};

typedef struct simulation {
    settings s;
    comm *c;
    plan *plan;
    exchange *x;
    float *weights;
    double *block;
} simulation;

typedef struct parts { double step, sum, norm, update, gather; } parts;     /* seconds; sum: after backward; gather: that a forward waited */

enum { MOST_BUCKETS = 256 };

/* "a,b,c" in elements; bucket 0 stands at the array's end, as in the tensor table. */
static int read_buckets(const char *text, range *bucket, size_t *elements, error *e) {
    size_t count[MOST_BUCKETS];
    int n = 0;
    *elements = 0;
    for (const char *at = text; n < MOST_BUCKETS; at++) {
        char *end;
        unsigned long long v = strtoull(at, &end, 10);
        if (end == at || (*end && *end != ',')) return error_set(e, EXIT_USAGE, "--buckets: \"%s\" is not a list of numbers", text);
        count[n] = (size_t)(v + PLAN_BLOCK - 1) / PLAN_BLOCK * PLAN_BLOCK;
        *elements += count[n++];
        if (!*end) break;
        at = end;
    }
    size_t end = *elements;
    for (int i = 0; i < n; i++) {
        bucket[i] = (range){end - count[i], end};
        end -= count[i];
    }
    return end ? error_set(e, EXIT_USAGE, "--buckets: at most %d", MOST_BUCKETS) : 0;
}

static int buckets_of(const char *text) {
    int n = 1;
    for (; *text; text++) n += *text == ',';
    return n;
}

/* Compute of so many seconds, polled `polls` times. */
static void compute(simulation *m, double seconds, int64_t polls) {
    for (int64_t p = 0; p < polls; p++) {
        simulate_pass(seconds / (double)polls);
        exchange_poll(m->x);
    }
}

/* The first forward of a step waits for the last update's weights bucket by bucket: embeddings at once, layers in turn, heads last. */
static double forward(simulation *m, double seconds) {
    int last = m->plan->buckets - 1, shares = last > 2 ? last - 2 : 1;
    double waited = 0;
    for (int b = last; b > 0; b--) {
        double began = timer_now();
        exchange_await(m->x, b);
        waited += timer_now() - began;
        if (b <= shares) compute(m, seconds / shares, m->s.polls / 2 / shares + 1);
    }
    return waited;
}

/* The last leaf's backward: bucket b is ready when its share of it is done. */
static void backward(simulation *m, double seconds) {
    int buckets = m->plan->buckets;
    int64_t done = 0;
    for (int b = 0; b < buckets; b++) {
        int64_t until = m->s.polls * (b + 1) / buckets;
        compute(m, seconds * (double)(until - done) / (double)m->s.polls, until - done);
        done = until;
        exchange_ready(m->x, b);
        exchange_poll(m->x);
    }
}

/* Words by Zipf's law, p ~ 1 / (rank + 2.7), each drawn by itself: more rows than real text of as many tokens has, which repeats its words.
 * Row 0 is the most frequent one, so low rows are crowded, as in a learned vocabulary. */
static void touch_rows(simulation *m) {
    if (!m->s.tokens) return;
    range all = m->plan->bucket[m->plan->buckets - 1];
    double rows = (double)((all.end - all.begin) / (size_t)m->s.width);
    rng_key key = rng_open(1, RNG_EXAMPLE, (uint64_t)m->c->rank, 0, 0);
    for (int64_t t = 0; t < m->s.tokens; t++) {
        double u = rng_unit(key, (uint64_t)t);
        size_t row = (size_t)(2.7 * pow((rows + 2.7) / 2.7, u) - 2.7);
        exchange_touched(m->x)[row / 64] |= 1ull << row % 64;
    }
}

static parts step(simulation *m) {
    double leaf = m->s.compute / (double)m->s.leaves, losses[2] = {0};
    int64_t counts[6] = {0};
    parts t = {0};
    double began = timer_now();
    comm_sum_i64(m->c, counts, 6);
    t.gather = forward(m, leaf / 3);
    compute(m, m->s.compute - leaf, m->s.polls);
    exchange_begin(m->x);
    touch_rows(m);
    backward(m, leaf * 2 / 3);
    comm_tree_sum_f64(m->c, losses, 2);
    comm_sum_i64(m->c, counts, 2);
    double done = timer_now();
    exchange_finish(m->x);
    t.sum = timer_now() - done;
    exchange_gather_blocks(m->x, m->block);
    t.norm = timer_now() - done - t.sum;
    for (int b = m->plan->buckets - 1; b > 0; b--) {
        range mine = plan_slice_of(m->plan, m->c->rank, b);
        if (m->s.memory > 0) simulate_pass((double)(mine.end - mine.begin) * m->s.update_bytes / (m->s.memory * 1e9));
        exchange_gather_start(m->x, b, m->weights);
        exchange_poll(m->x);
    }
    t.step = timer_now() - began;
    t.update = timer_now() - done - t.sum - t.norm;
    return t;
}

static int run(simulation *m, error *e) {
    range bucket[MOST_BUCKETS];
    size_t elements;
    if (read_buckets(m->s.buckets, bucket, &elements, e)) return e->code;
    m->plan = plan_new(m->c->size, elements, bucket, buckets_of(m->s.buckets));
    static const int path[] = {EXCHANGE_AUTO, EXCHANGE_MESSAGES, EXCHANGE_WINDOWS};
    exchange_options o = {.weights = bucket[0].begin, .path = path[m->s.path], .row_bucket = m->plan->buckets - 1,
                           .row_elements = m->s.tokens ? (size_t)m->s.width : 0};
    m->x = exchange_new(m->c, m->plan, &o);
    m->weights = exchange_weights(m->x);
    m->block = must_zalloc(elements / PLAN_BLOCK, sizeof *m->block);
    double sum[5] = {0};
    for (int64_t i = -1; i < m->s.steps; i++) {          /* the first one waits for no weights */
        parts t = step(m);
        double slowest[5] = {t.step, t.sum, t.norm, t.update, t.gather};
        MPI_Allreduce(MPI_IN_PLACE, slowest, 5, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
        for (int k = 0; k < 5 && i >= 0; k++) sum[k] += slowest[k] / (double)m->s.steps;
    }
    exchange_finish(m->x);
    exchange_count counted = exchange_counted(m->x);
    int64_t bytes[2] = {(int64_t)counted.bytes, (int64_t)counted.row_bytes};
    comm_sum_i64(m->c, bytes, 2);
    double shares = (double)(m->s.steps + 1) * m->c->size;
    if (m->c->rank == 0)
        printf("{\"ranks\": %d, \"nodes\": %d, \"path\": \"%s\", \"elements\": %zu, \"step\": %.9g, \"sum\": %.9g, \"norm\": %.9g, "
               "\"update\": %.9g, \"gather\": %.9g, \"bytes_per_rank\": %.9g, \"row_bytes_per_rank\": %.9g}\n",
               m->c->size, m->c->nodes, exchange_path(m->x), elements, sum[0], sum[1], sum[2], sum[3], sum[4], (double)bytes[0] / shares,
               (double)bytes[1] / shares);
    return 0;
}

int main(int argc, char **argv) {
    simulation m = {0};
    options o = {0};
    error e = {0};
    bool done = false;
    fail_init("simulate");
    simulate_leave_out_large_copies();
    m.c = comm_start(&argc, &argv);
    options_parse(&o, &program, &m.s, argc, argv, &done, &e);
    simulate_bytes_per_second = m.s.memory * 1e9;
    if (!e.code && !done) run(&m, &e);
    return comm_finish(m.c, comm_agree(m.c, &e));
}
