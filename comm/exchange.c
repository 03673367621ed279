/* comm/exchange.c - the gradient sum over ranks, and its way back. See exchange.h; docs/gradient-sum.md draws the whole tree.
 *
 * np = q * 2^k ranks, q odd. k rounds of halving: in round s rank r and rank r ^ 2^s hold sums over 2^s ranks of the same range; each
 * keeps the half that its bit s names, sends the other, adds. Then the q ranks with equal low k bits hold sums over 2^k neighbours
 * each; part j of the range goes to the j-th of them, which adds the q sums in T(q) order.
 *
 * Four ranks (q = 1, k = 2), a bucket of blocks 0..7, "01" = the sum over ranks 0 and 1:
 *
 *     rank            0              1              2              3
 *     holds        0 of 0-7       1 of 0-7       2 of 0-7       3 of 0-7
 *     round 0         <--- halves --->              <--- halves --->               0 sends 4-7 to 1, 1 sends 0-3 to 0; 2 and 3 alike
 *     holds       01 of 0-3      01 of 4-7      23 of 0-3      23 of 4-7
 *     round 1         <----------- halves ---------->                              0 sends 2-3 to 2, 2 sends 0-1 to 0; 1 and 3 alike
 *     owns       all of 0,1     all of 4,5     all of 2,3     all of 6,7           all = 01 + 23 = T(4)
 *
 * Six ranks (q = 3, k = 1), a bucket of blocks 0..11:
 *
 *     rank            0            1            2            3            4            5
 *     holds        0 of 0-11    1 of 0-11    2 of 0-11    3 of 0-11    4 of 0-11    5 of 0-11
 *     round 0         <- halves ->              <- halves ->              <- halves ->             neighbours: the large messages
 *     holds       01 of 0-5    01 of 6-11   23 of 0-5    23 of 6-11   45 of 0-5    45 of 6-11
 *     direct          \____________\____________/____________\____________/____________/           0,2,4 and 1,3,5: the small ones
 *     owns         all of 0,1   all of 6,7   all of 2,3   all of 8,9   all of 4,5   all of 10,11   all = (01 + 23) + 45 = T(6)
 *
 * The way back sends finished values through the same groups in reverse: a rank's slice to the q, then halves to the neighbours.
 *
 * Where every node has 2^j ranks, the first j rounds (and the last j of the way back) are no messages: each rank reads its part from all
 * ranks of its node and adds it in the same tree (node.h). Four ranks, two a node:
 *
 *     rank            0              1         |    2              3
 *     reads       0-3 of 1       4-7 of 0      |  0-3 of 3       4-7 of 2                          then round 1 as above
 *
 * A bucket passes two stations, each in the sequence in which buckets became ready:
 *
 *     sum      exchange_ready() -> node -> lanes -> owned            lanes.h: messages, a few buckets at one time
 *     gather   exchange_gather_start() -> lanes -> published; node: copied from the others as they publish */
#include "comm/exchange.h"
#include <assert.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "base/timer.h"
#include "comm/floats.h"
#include "comm/lanes.h"
#include "comm/node.h"

typedef struct phase {               /* buckets under way, all of sums or all of one gather */
    bool gather, by_node;
    float *array;
    int *bucket;                     /* [buckets] in sequence */
    bool *at_end;                    /* [buckets], by bucket: the lanes are done with it */
    int count, node_done, lanes_started, lanes_done;
} phase;

struct exchange {
    const plan *plan;
    exchange_options options;
    int rank, rounds;                /* halvings that the node path takes over */
    lanes *lanes;
    node *node;                      /* NULL: messages only */
    float *gradients, *weights;
    uint64_t *touched;               /* of my leaves; read by the node */
    wire rows;                       /* rows.touched: of my sum so far */
    size_t row_words;
    phase now;
    double *packed;                  /* [blocks] norm blocks, rank after rank */
    int *block_count, *block_start;  /* [ranks] */
    bool mute, crowded;              /* crowded: more ranks than processors, so a waiting one sleeps */
    double wait_seconds;
};

static void blocks_init(exchange *x) {
    size_t ranks = (size_t)x->plan->ranks;
    assert(x->plan->elements / PLAN_BLOCK <= INT_MAX);
    x->packed = must_alloc(x->plan->elements / PLAN_BLOCK + 1, sizeof *x->packed);
    x->block_count = must_alloc(ranks, sizeof *x->block_count);
    x->block_start = must_alloc(ranks, sizeof *x->block_start);
    int at = 0;
    for (int r = 0; r < x->plan->ranks; r++) {
        x->block_start[r] = at;
        at += x->block_count[r] = (int)(plan_owned(x->plan, r) / PLAN_BLOCK);
    }
}

static void rows_init(exchange *x) {
    if (!x->options.row_elements) x->options.row_bucket = -1;
    if (x->options.row_bucket < 0) return;
    range r = x->plan->bucket[x->options.row_bucket];
    x->row_words = ((r.end - r.begin) / x->options.row_elements + 1) / 64 + 1;
    x->rows = (wire){ .bf16 = x->options.wire == EXCHANGE_BF16, .row_elements = x->options.row_elements, .first = r.begin,
                      .touched = must_zalloc(x->row_words, sizeof *x->rows.touched) };
}

/* Collective. */
static void node_init(exchange *x, comm *c) {
    node_setup s = { .plan = x->plan, .weights = x->options.weights, .row_bucket = x->options.row_bucket, .rows = &x->rows, .row_words = x->row_words };
    char why[300] = "";
    if (x->options.path != EXCHANGE_MESSAGES) s.ranks = node_usable(c, x->options.node_ranks, node_bytes(&s), why, sizeof why);
    if (s.ranks) {
        x->node = node_new(c, &s);
        x->gradients = node_gradients(x->node);
        x->weights = node_weights(x->node);
        x->touched = node_touched(x->node);
        for (int r = s.ranks; r > 1; r /= 2) x->rounds++;
        return;
    }
    if (x->options.path == EXCHANGE_WINDOWS) fail(EXIT_MACHINE, "shared windows cannot be used%s%s", *why ? ": " : " with these ranks on these nodes", why);
    if (*why) warn("%s: ranks of a node exchange by messages, which is slower", why);
    x->gradients = floats_new(x->plan->elements);
    x->weights = floats_new(x->options.weights);
    x->touched = must_zalloc(x->row_words + 1, sizeof *x->touched);
    floats_clear(x->gradients, x->plan->elements);
    floats_clear(x->weights, x->options.weights);
}

static lanes_setup setup_of_lanes(const plan *p, const exchange_options *o, const wire *rows) {
    return (lanes_setup){ .plan = p, .message = o->message ? o->message : EXCHANGE_MESSAGE, .bf16 = o->wire == EXCHANGE_BF16,
                          .row_bucket = o->row_elements ? o->row_bucket : -1, .rows = rows };
}

size_t exchange_bytes(const plan *p, const exchange_options *o, int rank) {
    lanes_setup s = setup_of_lanes(p, o, NULL);
    return o->weights * sizeof(float) + lanes_bytes(&s, rank) + p->elements / PLAN_BLOCK * sizeof(double);
}

exchange *exchange_new(comm *c, const plan *p, const exchange_options *o) {
    assert(c->size == p->ranks);
    exchange *x = must_zalloc(1, sizeof *x);
    x->plan = p;
    if (o) x->options = *o;
    x->rank = c->rank;
    x->crowded = c->node_size > sysconf(_SC_NPROCESSORS_ONLN);
    x->now.bucket = must_alloc((size_t)p->buckets + 1, sizeof *x->now.bucket);
    x->now.at_end = must_alloc((size_t)p->buckets + 1, sizeof *x->now.at_end);
    rows_init(x);
    lanes_setup s = setup_of_lanes(p, &x->options, &x->rows);
    x->lanes = lanes_new(c, &s);
    node_init(x, c);
    blocks_init(x);
    return x;
}

void exchange_free(exchange *x) {
    if (!x) return;
    lanes_free(x->lanes);
    if (x->node) node_free(x->node);
    else {
        free(x->gradients);
        free(x->weights);
        free(x->touched);
    }
    free(x->rows.touched);
    free(x->now.bucket);
    free(x->now.at_end);
    free(x->packed);
    free(x->block_count);
    free(x->block_start);
    free(x);
}

const char *exchange_path(const exchange *x) { return x->node ? "shared windows" : "messages"; }
float *exchange_gradients(exchange *x) { return x->gradients; }
float *exchange_weights(exchange *x) { return x->weights; }
uint64_t *exchange_touched(exchange *x) { return x->touched; }
void exchange_mute(exchange *x, bool mute) { x->mute = mute; }

/* Nothing moved: others may have the processor. Sleeping is for crowds: a yield alone does not free a processor reliably. */
static void give_way(const exchange *x, int fruitless) {
    if (fruitless % 16 == 0) lanes_nudge(x->lanes);
    if (fruitless < 64) return;
    if (x->crowded && fruitless > 128) nanosleep(&(struct timespec){ .tv_nsec = 100000 }, NULL);
    else sched_yield();
}

static void wait_released(exchange *x) {
    if (!x->node || x->mute) return;
    double began = timer_now();
    for (int i = 0; !node_released(x->node); i++) give_way(x, i);
    x->wait_seconds += timer_now() - began;
}

void exchange_begin(exchange *x) {
    exchange_finish(x);
    wait_released(x);
    memset(x->touched, 0, x->row_words * sizeof *x->touched);
}

static bool lanes_needed(const exchange *x) { return !x->now.by_node || x->plan->k + (x->plan->q > 1) > x->rounds; }

/* A new phase when the last one is done. */
static void enqueue(exchange *x, int bucket, bool gather, float *array) {
    phase *n = &x->now;
    assert(bucket >= 0 && bucket < x->plan->buckets);
    if (exchange_idle(x) && (n->count == x->plan->buckets || n->gather != gather || n->array != array)) n->count = 0;
    if (n->count == 0) {
        bool by_node = x->node && array == (gather ? x->weights : x->gradients);
        *n = (phase){ .gather = gather, .by_node = by_node, .array = array, .bucket = n->bucket, .at_end = n->at_end };
    }
    assert(n->gather == gather && n->array == array && n->count < x->plan->buckets);
    n->bucket[n->count++] = bucket;
    n->at_end[bucket] = false;
    if (gather && n->by_node && !lanes_needed(x)) node_publish(x->node, bucket, true);
}

void exchange_ready(exchange *x, int bucket) {
    if (x->mute) return;
    if (bucket == x->options.row_bucket) memcpy(x->rows.touched, x->touched, x->row_words * sizeof *x->touched);
    enqueue(x, bucket, false, x->gradients);
    if (x->node) node_publish(x->node, bucket, false);
}

void exchange_gather_start(exchange *x, int bucket, float *array) {
    if (!x->mute) enqueue(x, bucket, true, array);
}

bool exchange_idle(const exchange *x) {
    const phase *n = &x->now;
    return (!n->by_node || n->node_done == n->count) && (!lanes_needed(x) || n->lanes_done == n->count);
}

static bool poll_node(exchange *x) {
    phase *n = &x->now;
    bool finished;
    if (!n->by_node || n->node_done == n->count || !node_work(x->node, n->bucket[n->node_done], n->gather, &finished)) return false;
    n->node_done += finished;
    return true;
}

static bool poll_lanes(exchange *x) {
    phase *n = &x->now;
    if (!lanes_needed(x) || n->lanes_done == n->count) return false;
    int limit = n->by_node && !n->gather ? n->node_done : n->count, skip = n->by_node ? x->rounds : 0, finished;
    if (n->gather && limit > n->lanes_done + 1) limit = n->lanes_done + 1;      /* what the next forward reads first has the link to itself */
    while (n->lanes_started < limit && lanes_start(x->lanes, n->bucket[n->lanes_started], n->gather, n->array, skip)) n->lanes_started++;
    bool moved = lanes_poll(x->lanes, &finished);
    if (finished < 0) return moved;
    n->lanes_done++;
    n->at_end[finished] = true;
    if (n->gather && n->by_node) node_publish(x->node, finished, true);
    return true;
}

/* Whatever comes next comes as a message. */
static bool only_messages(const exchange *x) { return lanes_needed(x) && (!x->now.by_node || x->now.node_done == x->now.count); }

bool exchange_poll(exchange *x) {
    bool by_lanes = poll_lanes(x), by_node = poll_node(x);
    return by_lanes || by_node;
}

/* One step of waiting. */
static void poll_or_wait(exchange *x, int *fruitless) {
    double began = timer_now();
    if (exchange_poll(x)) {
        *fruitless = 0;
        return;
    }
    if (only_messages(x) && !x->crowded) lanes_wait(x->lanes);
    else give_way(x, (*fruitless)++);
    x->wait_seconds += timer_now() - began;
}

void exchange_finish(exchange *x) {
    for (int fruitless = 0; !exchange_idle(x);) poll_or_wait(x, &fruitless);
}

static bool is_gathered(const exchange *x, int bucket) {
    const phase *n = &x->now;
    int i = 0;
    while (i < n->count && n->bucket[i] != bucket) i++;
    if (!n->gather || i == n->count) return true;
    return (!n->by_node || i < n->node_done) && (!lanes_needed(x) || n->at_end[bucket]);
}

void exchange_await(exchange *x, int bucket) {
    for (int fruitless = 0; !is_gathered(x, bucket);) poll_or_wait(x, &fruitless);
}

void exchange_gather(exchange *x, int bucket, float *array) {
    exchange_gather_start(x, bucket, array);
    exchange_finish(x);
}

/* Copies a rank's blocks between their places and the packed form. */
static void pack_blocks(exchange *x, int rank, double *block, bool unpack) {
    double *packed = x->packed + x->block_start[rank];
    for (int b = 0; b < x->plan->buckets; b++) {
        range r = plan_slice_of(x->plan, rank, b);
        for (size_t i = r.begin / PLAN_BLOCK; i < r.end / PLAN_BLOCK; i++) {
            if (unpack) block[i] = *packed++;
            else *packed++ = block[i];
        }
    }
}

void exchange_gather_blocks(exchange *x, double *block) {
    if (x->mute) return;
    pack_blocks(x, x->rank, block, false);
    double began = timer_now();
    lanes_gather_doubles(x->lanes, x->packed, x->block_count, x->block_start);
    x->wait_seconds += timer_now() - began;
    for (int r = 0; r < x->plan->ranks; r++) pack_blocks(x, r, block, true);
}

exchange_count exchange_counted(exchange *x) {
    lanes_count sent = lanes_counted(x->lanes);
    node_count read = x->node ? node_counted(x->node) : (node_count){0};
    exchange_count all = { .bytes = sent.bytes + read.bytes, .row_bytes = sent.row_bytes + read.row_bytes, .wait_seconds = x->wait_seconds };
    x->wait_seconds = 0;
    return all;
}
