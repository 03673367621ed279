/* comm/comm_bench_main.c - comm-bench: the gradient exchange on this machine or cluster, against what MPI itself offers.
 *
 * Four ways in turn, round after round, so that a drift of the machine meets all alike: the exchange of training, MPI_Allreduce,
 * MPI_Iallreduce in place bucket by bucket, and nothing. Each is timed alone, then under compute: arithmetic in a cache for --compute
 * seconds, cut into units; buckets become ready over its last two thirds, as backward finishes them, and messages are polled between
 * units. Exposed = that time - the time of the same compute alone. Arrays are filled anew before each timing: unchanged buffers lie. */
#include <math.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "base/options.h"
#include "base/timer.h"
#include "comm/exchange.h"

enum { WAY_EXCHANGE, WAY_ALLREDUCE, WAY_IALLREDUCE, WAY_NOTHING, WAYS };
static const char *const way_name[WAYS] = {"exchange", "MPI_Allreduce", "MPI_Iallreduce", "nothing"};

typedef struct settings {
    double megabytes, compute;
    int64_t buckets, repeat, message;
    int path;
    bool json;
} settings;

#define AT(field) offsetof(settings, field)
static const option_spec table[] = {
    {"megabytes", OPTION_REAL, AT(megabytes), 0.004, 1e6, "440", .unit = "MB", .help = "gradients of each rank, 1 MB = 10^6 bytes; 440: model base"},
    {"buckets", OPTION_INT, AT(buckets), 1, 10000, "14", .unit = "buckets", .help = "parts that become ready one after the other"},
    {"repeat", OPTION_INT, AT(repeat), 1, 1000, "7", .unit = "rounds", .help = "timed rounds of all ways; one more warms up"},
    {"compute", OPTION_REAL, AT(compute), 0, 3600, "1", .unit = "s", .help = "of arithmetic to hide messages under; 0: only each way alone"},
    {"path", OPTION_CHOICE, AT(path), .initial = "auto", .choices = "auto|messages|windows", .help = "between ranks of one node"},
    {"message", OPTION_INT, AT(message), 0, 1 << 28, "0", .unit = "elements", .help = "longest message; 0: as in training"},
    {"json", OPTION_SWITCH, AT(json), .help = "one object instead of the table"},
};

static const option_program program = {
    .name = "comm-bench",
    .summary = "times the gradient exchange against MPI_Allreduce and MPI_Iallreduce",
    .usage = "mpirun -np 4 comm-bench [--megabytes 440] [--compute 1] [--json]",
    .details = "Columns: median seconds of the slowest rank and quartiles; GB/s = least bytes that a sum needs to send, 2(n-1)/n of the\n"
               "array, / seconds; bytes sent and read from others' windows by all ranks / that least; seconds exposed under compute.\n"
               "Sums are checked. \"make bench-comm\" runs it on 2 and 4 ranks and draws a picture.",
    .table = table,
    .count = sizeof table / sizeof *table,
};

typedef struct bench {
    settings s;
    comm *c;
    plan *plan;
    exchange *x;
    float *gradients, *weights;
    MPI_Request *request;          /* [buckets] */
    int units;                     /* of a compute */
    double loops_per_unit;
    double *alone[WAYS], *under[WAYS], *exposed[WAYS];   /* [repeat] seconds of the slowest rank */
    uint64_t bytes;                /* of one exchange, this rank */
    int wrong;                     /* elements with a wrong sum */
} bench;

enum { UNITS_A_SECOND = 1000, CACHE = 1024 };

/* Rank r's element e: small integers, so that every order of additions gives the same, exactly. */
static float value(int rank, size_t e) { return (float)((int)(e % 61) + 3 * rank + 1); }
static float sum(int ranks, size_t e) { return (float)(ranks * ((int)(e % 61) + 1) + 3 * (ranks * (ranks - 1) / 2)); }

static void fill(bench *b) {
    for (size_t e = 0; e < b->plan->elements; e++) b->gradients[e] = value(b->c->rank, e);
}

static void check(bench *b, const float *a) {
    for (size_t e = 0; e < b->plan->elements; e++) b->wrong += a[e] != sum(b->c->size, e);
}

/* Multiplications and additions on 4 KiB: takes no memory bandwidth from anybody. */
static void compute_unit(double loops) {
    static float a[CACHE];
    for (double n = 0; n < loops; n++)
        for (int i = 0; i < CACHE; i++) a[i] = a[i] * 0.999f + 0.5f;
    volatile float kept = a[7];
    (void)kept;
}

/* All ranks at once, as they will be. The fastest of a few: what disturbs only slows. */
static void calibrate(bench *b) {
    double best = 0;
    MPI_Barrier(MPI_COMM_WORLD);
    for (int i = 0; i < 5; i++) {
        double began = timer_now();
        compute_unit(20000);
        double rate = 20000 / (timer_now() - began);
        if (rate > best) best = rate;
    }
    MPI_Allreduce(MPI_IN_PLACE, &best, 1, MPI_DOUBLE, MPI_MIN, MPI_COMM_WORLD);
    b->units = (int)ceil(b->s.compute * UNITS_A_SECOND);
    if (b->units < 1) b->units = 1;
    b->loops_per_unit = b->s.compute * best / b->units;
}

static void start_bucket(bench *b, int way, int bucket) {
    range r = b->plan->bucket[bucket];
    if (way == WAY_EXCHANGE) exchange_ready(b->x, bucket);
    if (way == WAY_IALLREDUCE)
        MPI_Iallreduce(MPI_IN_PLACE, b->gradients + r.begin, (int)(r.end - r.begin), MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD, &b->request[bucket]);
}

static void poll(bench *b, int way, int started) {
    int flag;
    if (way == WAY_EXCHANGE) exchange_poll(b->x);
    if (way == WAY_IALLREDUCE && started) MPI_Testall(started, b->request, &flag, MPI_STATUSES_IGNORE);
}

/* The rest after compute. The owner's values go where the weights are, as an update would put them there, and from there to all. */
static void complete(bench *b, int way) {
    int buckets = b->plan->buckets;
    if (way == WAY_EXCHANGE) {
        exchange_finish(b->x);
        for (int i = buckets - 1; i >= 0; i--) {
            range mine = plan_slice_of(b->plan, b->c->rank, i);
            memcpy(b->weights + mine.begin, b->gradients + mine.begin, (mine.end - mine.begin) * sizeof(float));
            exchange_gather_start(b->x, i, b->weights);
            exchange_poll(b->x);
        }
        exchange_finish(b->x);
    }
    if (way == WAY_ALLREDUCE) MPI_Allreduce(MPI_IN_PLACE, b->gradients, (int)b->plan->elements, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
    if (way == WAY_IALLREDUCE) MPI_Waitall(buckets, b->request, MPI_STATUSES_IGNORE);
}

static void run_alone(bench *b, int way) {
    for (int i = 0; i < b->plan->buckets; i++) start_bucket(b, way, i);
    complete(b, way);
}

static void run_under_compute(bench *b, int way) {
    int started = 0, buckets = b->plan->buckets;
    for (int u = 1; u <= b->units; u++) {
        compute_unit(b->loops_per_unit);
        double backward = (3.0 * u / b->units - 1) / 2;
        for (; started < buckets && backward >= (double)(started + 1) / buckets - 1e-9; started++) start_bucket(b, way, started);
        poll(b, way, started);
    }
    complete(b, way);
}

/* Seconds of the slowest rank. */
static double timed(bench *b, int way, void (*run)(bench *, int)) {
    if (way == WAY_EXCHANGE) exchange_begin(b->x);
    if (way != WAY_NOTHING) fill(b);
    MPI_Barrier(MPI_COMM_WORLD);
    double began = timer_now();
    run(b, way);
    double seconds = timer_now() - began;
    MPI_Allreduce(MPI_IN_PLACE, &seconds, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
    return seconds;
}

static void measure(bench *b) {
    for (int64_t i = -1; i < b->s.repeat; i++) {
        int64_t at = i < 0 ? 0 : i;
        for (int w = 0; w < WAY_NOTHING; w++) {
            b->alone[w][at] = timed(b, w, run_alone);
            if (w == WAY_EXCHANGE) b->bytes = exchange_counted(b->x).bytes;
            if (i < 0) check(b, w == WAY_EXCHANGE ? b->weights : b->gradients);
        }
        if (b->s.compute <= 0) continue;
        b->under[WAY_NOTHING][at] = timed(b, WAY_NOTHING, run_under_compute);
        for (int w = 0; w < WAY_NOTHING; w++) {
            b->under[w][at] = timed(b, w, run_under_compute);
            b->exposed[w][at] = b->under[w][at] - b->under[WAY_NOTHING][at];
            if (w == WAY_EXCHANGE) (void)exchange_counted(b->x);
            if (i < 0) check(b, w == WAY_EXCHANGE ? b->weights : b->gradients);
        }
    }
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* part 0.5: the median; between two values the line between them. Sorts. */
static double quantile(double *v, int64_t n, double part) {
    qsort(v, (size_t)n, sizeof *v, ascending);
    double at = part * (double)(n - 1);
    size_t i = (size_t)at;
    return i + 1 < (size_t)n ? v[i] + (at - (double)i) * (v[i + 1] - v[i]) : v[i];
}

static double least_bytes(const bench *b) {      /* of one rank: 2 (n - 1) / n of the array */
    return 2.0 * (b->c->size - 1) / b->c->size * (double)b->plan->elements * sizeof(float);
}

static void set_quantiles(json *o, const char *name, double *v, int64_t n) {
    static const struct { const char *ending; double part; } q[] = {{"", 0.5}, {"_quartile_1", 0.25}, {"_quartile_3", 0.75}};
    for (size_t i = 0; i < sizeof q / sizeof *q; i++) {
        char *key = must_format("%s%s", name, q[i].ending);
        json_set_real(o, key, quantile(v, n, q[i].part));
        free(key);
    }
}

static void print_json(bench *b, double bytes) {
    json *o = json_new_object(), *ways = json_new_object();
    json_set_int(o, "ranks", b->c->size);
    json_set_int(o, "nodes", b->c->nodes);
    json_set_int(o, "array_bytes", (int64_t)(b->plan->elements * sizeof(float)));
    json_set_int(o, "buckets", b->plan->buckets);
    json_set_string(o, "path", exchange_path(b->x));
    json_set_int(o, "rounds", b->s.repeat);
    json_set_real(o, "least_bytes_per_rank", least_bytes(b));
    json_set_real(o, "exchange_bytes_per_rank", bytes);
    for (int w = 0; w < WAY_NOTHING; w++) {
        json *way = json_new_object();
        set_quantiles(way, "seconds", b->alone[w], b->s.repeat);
        if (b->s.compute > 0) set_quantiles(way, "under_compute_seconds", b->under[w], b->s.repeat);
        if (b->s.compute > 0) set_quantiles(way, "exposed_seconds", b->exposed[w], b->s.repeat);
        json_set(ways, way_name[w], way);
    }
    if (b->s.compute > 0) set_quantiles(o, "compute_seconds", b->under[WAY_NOTHING], b->s.repeat);
    json_set(o, "ways", ways);
    char *text = json_print(o, 2);
    puts(text);
    free(text);
    json_free(o);
}

static void print_table(bench *b, double bytes) {
    int64_t n = b->s.repeat;
    printf("%d ranks on %d node%s, %.1f MB in %d buckets, by %s; medians of %lld rounds\n", b->c->size, b->c->nodes, b->c->nodes > 1 ? "s" : "",
           (double)b->plan->elements * sizeof(float) / 1e6, b->plan->buckets, exchange_path(b->x), (long long)n);
    printf("%-16s %9s %19s %7s %14s %9s\n", "way", "seconds", "quartiles", "GB/s", "bytes / least", "exposed");
    for (int w = 0; w < WAY_NOTHING; w++) {
        double median = quantile(b->alone[w], n, 0.5);
        printf("%-16s %9.4f %9.4f %9.4f %7.2f", way_name[w], median, quantile(b->alone[w], n, 0.25), quantile(b->alone[w], n, 0.75),
               least_bytes(b) / median / 1e9);
        if (w == WAY_EXCHANGE && b->c->size > 1) printf(" %14.4f", bytes / least_bytes(b));
        else printf(" %14s", "not counted");
        if (b->s.compute > 0) printf(" %9.4f\n", quantile(b->exposed[w], n, 0.5));
        else printf(" %9s\n", "-");
    }
    if (b->s.compute > 0) printf("exposed: seconds beyond the same compute alone, which takes %.4f\n", quantile(b->under[WAY_NOTHING], n, 0.5));
}

static void build(bench *b) {
    size_t blocks = (size_t)(b->s.megabytes * 1e6 / sizeof(float) / PLAN_BLOCK), buckets = (size_t)b->s.buckets;
    if (blocks < 1) blocks = 1;
    range *bucket = must_alloc(buckets, sizeof *bucket);
    for (size_t i = 0; i < buckets; i++)       /* bucket 0, the first one ready, stands at the end, as in training */
        bucket[i] = (range){blocks * (buckets - 1 - i) / buckets * PLAN_BLOCK, blocks * (buckets - i) / buckets * PLAN_BLOCK};
    b->plan = plan_new(b->c->size, blocks * PLAN_BLOCK, bucket, (int)buckets);
    free(bucket);
    static const int path[] = {EXCHANGE_AUTO, EXCHANGE_MESSAGES, EXCHANGE_WINDOWS};
    exchange_options o = {.message = (size_t)b->s.message, .weights = b->plan->elements, .path = path[b->s.path]};
    b->x = exchange_new(b->c, b->plan, &o);
    b->gradients = exchange_gradients(b->x);
    b->weights = exchange_weights(b->x);
    b->request = must_alloc(buckets, sizeof *b->request);
    for (size_t i = 0; i < buckets; i++) b->request[i] = MPI_REQUEST_NULL;
    for (int w = 0; w < WAYS; w++) {
        b->alone[w] = must_zalloc((size_t)b->s.repeat, sizeof(double));
        b->under[w] = must_zalloc((size_t)b->s.repeat, sizeof(double));
        b->exposed[w] = must_zalloc((size_t)b->s.repeat, sizeof(double));
    }
}

static void release(bench *b) {
    exchange_free(b->x);
    plan_free(b->plan);
    free(b->request);
    for (int w = 0; w < WAYS; w++) free(b->alone[w]), free(b->under[w]), free(b->exposed[w]);
}

static int run(bench *b) {
    build(b);
    if (b->s.compute > 0) calibrate(b);
    measure(b);
    int64_t total[2] = {(int64_t)b->bytes, b->wrong};
    comm_sum_i64(b->c, total, 2);
    error e = {0};
    if (total[1]) error_set(&e, EXIT_MACHINE, "%lld elements have a wrong sum; do not train with this MPI", (long long)total[1]);
    int code = comm_agree(b->c, &e);
    if (!code && b->c->rank == 0) (b->s.json ? print_json : print_table)(b, (double)total[0] / b->c->size);
    release(b);
    return code;
}

int main(int argc, char **argv) {
    bench b = {0};
    options o = {0};
    error e = {0};
    bool done = false;
    fail_init("comm-bench");
    b.c = comm_start(&argc, &argv);
    if (b.c->rank != 0 && !freopen("/dev/null", "w", stdout)) fail(EXIT_MACHINE, "/dev/null: cannot be opened");
    options_parse(&o, &program, &b.s, argc, argv, &done, &e);
    int code = comm_agree(b.c, &e);
    if (!code && !done) code = run(&b);
    options_free(&o);
    return comm_finish(b.c, code);
}
