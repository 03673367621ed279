/* comm/exchange.c - the gradient sum over ranks, and its way back. See exchange.h; docs/gradient-sum.md draws the whole tree.
 *
 * np = q * 2^k ranks, q odd. k rounds of halving: in round s rank r and rank r ^ 2^s hold sums over 2^s ranks of the same range; each
 * keeps the half that its bit s names, sends the other, adds. Then the q ranks with equal low k bits hold sums over 2^k neighbours
 * each; part j of the range goes to the j-th of them, which adds the q sums in T(q) order. Six ranks (q = 3, k = 1), a bucket of blocks
 * 0..11, "45" = the sum over ranks 4 and 5:
 *
 *     rank            0            1            2            3            4            5
 *     holds        0 of 0-11    1 of 0-11    2 of 0-11    3 of 0-11    4 of 0-11    5 of 0-11
 *     round 0         <- halves ->              <- halves ->              <- halves ->             neighbours: the large messages
 *     holds       01 of 0-5    01 of 6-11   23 of 0-5    23 of 6-11   45 of 0-5    45 of 6-11
 *     direct          \____________\____________/____________\____________/____________/           0,2,4 and 1,3,5: the small ones
 *     owns         all of 0,1   all of 6,7   all of 2,3   all of 8,9   all of 4,5   all of 10,11   all = (01 + 23) + 45 = T(6)
 *
 * The way back sends finished values through the same groups in reverse: a rank's slice to the q, then halves to the neighbours.
 * A round of halving is a direct exchange among two, so there is one routine for both. Parts travel in messages of at most
 * `message` elements through two sets of slots: while one is being added the next is under way. */
#include <assert.h>
#include <limits.h>
#include <mpi.h>
#include <stdbool.h>
#include <stdlib.h>
#include "base/timer.h"
#include "comm/exchange.h"
#include "comm/floats.h"

enum { SETS = 2 };

typedef struct group {            /* ranks that hold sums over different ranks of one range; member j gets part j of it */
    int n, me;                    /* members, my index */
    int *rank;                    /* [n] */
    int round;                    /* part j = plan_half_of(rank[j], bucket, round), or slice_of when round > k */
    add_pair *pairs;              /* [n - 1] T(n), ending in mine */
} group;

struct exchange {
    const plan *plan;
    MPI_Comm world;               /* of its own: no message of another part can slip in */
    int rank, groups;
    group *group;                 /* k halvings, then the direct exchange when q > 1 */
    size_t message;               /* elements */
    float *slots;                 /* [SETS][members - 1][longest message of my part] */
    range *part;                  /* [widest group] of the bucket at hand */
    float **source;               /* [widest group] operands of an addition */
    MPI_Request *request[SETS];   /* [2 * (widest group - 1)] */
    int requests[SETS];
    double *packed;               /* [blocks] norm blocks, rank after rank */
    int *block_count, *block_start;   /* [ranks] */
    uint64_t bytes;
    double wait_seconds;
};

static range part_of_member(const exchange *x, const group *g, int member, int bucket) {
    int r = g->rank[member];
    return g->round <= x->plan->k ? plan_half_of(x->plan, r, bucket, g->round) : plan_slice_of(x->plan, r, bucket);
}

static void group_init(group *g, int n, int me, int first_rank, int stride, int round) {
    *g = (group){.n = n, .me = me, .round = round};
    g->rank = must_alloc((size_t)n, sizeof *g->rank);
    for (int j = 0; j < n; j++) g->rank[j] = first_rank + j * stride;
    g->pairs = must_alloc((size_t)n, sizeof *g->pairs);
    floats_tree_pairs(g->pairs, n, me);
}

static void groups_init(exchange *x) {
    int k = x->plan->k, q = x->plan->q, r = x->rank;
    x->groups = k + (q > 1);
    x->group = must_zalloc((size_t)x->groups + 1, sizeof *x->group);
    for (int s = 0; s < k; s++) group_init(&x->group[s], 2, r >> s & 1, r & ~(1 << s), 1 << s, s + 1);
    if (q > 1) group_init(&x->group[k], q, r >> k, r & ((1 << k) - 1), 1 << k, k + 1);
}

static void slots_init(exchange *x) {
    size_t widest = 1, floats = 0;
    for (int i = 0; i < x->groups; i++) {
        const group *g = &x->group[i];
        size_t longest = 0;
        for (int b = 0; b < x->plan->buckets; b++) {
            range mine = part_of_member(x, g, g->me, b);
            if (mine.end - mine.begin > longest) longest = mine.end - mine.begin;
        }
        if (longest > x->message) longest = x->message;
        longest = (longest + 15) / 16 * 16;
        if ((size_t)g->n > widest) widest = (size_t)g->n;
        if (SETS * ((size_t)g->n - 1) * longest > floats) floats = SETS * ((size_t)g->n - 1) * longest;
    }
    x->slots = floats_new(floats);
    x->part = must_alloc(widest, sizeof *x->part);
    x->source = must_alloc(widest, sizeof *x->source);
    for (int s = 0; s < SETS; s++) x->request[s] = must_alloc(2 * widest, sizeof *x->request[s]);
}

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

exchange *exchange_new_cut(comm *c, const plan *p, size_t message_elements) {
    assert(c->size == p->ranks && message_elements >= 1 && message_elements <= INT_MAX);
    exchange *x = must_zalloc(1, sizeof *x);
    x->plan = p;
    x->rank = c->rank;
    x->message = message_elements;
    MPI_Comm_dup(MPI_COMM_WORLD, &x->world);
    groups_init(x);
    slots_init(x);
    blocks_init(x);
    return x;
}

exchange *exchange_new(comm *c, const plan *p) { return exchange_new_cut(c, p, EXCHANGE_MESSAGE); }

void exchange_free(exchange *x) {
    if (!x) return;
    for (int i = 0; i < x->groups; i++) {
        free(x->group[i].rank);
        free(x->group[i].pairs);
    }
    for (int s = 0; s < SETS; s++) free(x->request[s]);
    free(x->group);
    free(x->slots);
    free(x->part);
    free(x->source);
    free(x->packed);
    free(x->block_count);
    free(x->block_start);
    MPI_Comm_free(&x->world);
    free(x);
}

/* Message i of a range: empty beyond its end. */
static range message_of(const exchange *x, range r, size_t i) {
    size_t length = r.end - r.begin, begin = i * x->message;
    if (begin >= length) return (range){r.end, r.end};
    size_t end = length - begin < x->message ? length : begin + x->message;
    return (range){r.begin + begin, r.begin + end};
}

/* Slots are spaced by the longest message that this group receives, so that what was counted in slots_init() holds every group. */
static float *slot_of(const exchange *x, const group *g, int set, int member) {
    range mine = x->part[g->me];
    size_t length = mine.end - mine.begin < x->message ? mine.end - mine.begin : x->message;
    size_t index = (size_t)(set * (g->n - 1) + (member < g->me ? member : member - 1));
    return x->slots + index * ((length + 15) / 16 * 16);
}

/* Starts message i of everybody in this group. gather: finished values of my part go to all, those of others come to their place.
 * Else: the others' parts go to their owners, and what they have of mine comes into slots. Member m sends to m + 1 first, m + 2 next. */
static void post(exchange *x, const group *g, size_t i, int set, float *a, bool gather) {
    int n = g->n, count = 0;
    MPI_Request *request = x->request[set];
    for (int d = 1; d < n; d++) {
        int from = (g->me - d + n) % n;
        range in = message_of(x, x->part[gather ? from : g->me], i);
        if (in.begin == in.end) continue;
        float *at = gather ? a + in.begin : slot_of(x, g, set, from);
        MPI_Irecv(at, (int)(in.end - in.begin), MPI_FLOAT, g->rank[from], 0, x->world, &request[count++]);
    }
    for (int d = 1; d < n; d++) {
        int to = (g->me + d) % n;
        range out = message_of(x, x->part[gather ? g->me : to], i);
        if (out.begin == out.end) continue;
        MPI_Isend(a + out.begin, (int)(out.end - out.begin), MPI_FLOAT, g->rank[to], 0, x->world, &request[count++]);
        x->bytes += (out.end - out.begin) * sizeof(float);
    }
    x->requests[set] = count;
}

static void wait_for(exchange *x, int set) {
    double began = timer_now();
    MPI_Waitall(x->requests[set], x->request[set], MPI_STATUSES_IGNORE);
    x->wait_seconds += timer_now() - began;
}

/* Message i of my part is here from all members: T(n), into a. */
static void add_message(exchange *x, const group *g, size_t i, int set, float *a) {
    range mine = message_of(x, x->part[g->me], i);
    if (mine.begin == mine.end) return;
    for (int j = 0; j < g->n; j++) x->source[j] = j == g->me ? a + mine.begin : slot_of(x, g, set, j);
    floats_add_pairs(x->source, g->pairs, g->n - 1, mine.end - mine.begin);
}

static void run_group(exchange *x, const group *g, int bucket, float *a, bool gather) {
    size_t longest = 0;
    for (int j = 0; j < g->n; j++) {
        x->part[j] = part_of_member(x, g, j, bucket);
        if (x->part[j].end - x->part[j].begin > longest) longest = x->part[j].end - x->part[j].begin;
    }
    size_t messages = (longest + x->message - 1) / x->message;
    if (messages) post(x, g, 0, 0, a, gather);
    for (size_t i = 0; i < messages; i++) {
        int set = (int)(i % SETS);
        if (i + 1 < messages) post(x, g, i + 1, (int)((i + 1) % SETS), a, gather);
        wait_for(x, set);
        if (!gather) add_message(x, g, i, set, a);
    }
}

void exchange_sum(exchange *x, int bucket, float *g) {
    for (int i = 0; i < x->groups; i++) run_group(x, &x->group[i], bucket, g, false);
}

void exchange_gather(exchange *x, int bucket, float *weights) {
    for (int i = x->groups - 1; i >= 0; i--) run_group(x, &x->group[i], bucket, weights, true);
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
    pack_blocks(x, x->rank, block, false);
    double began = timer_now();
    MPI_Allgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, x->packed, x->block_count, x->block_start, MPI_DOUBLE, x->world);
    x->wait_seconds += timer_now() - began;
    for (int r = 0; r < x->plan->ranks; r++) pack_blocks(x, r, block, true);
}

uint64_t exchange_bytes(exchange *x) {
    uint64_t bytes = x->bytes;
    x->bytes = 0;
    return bytes;
}

double exchange_wait_seconds(exchange *x) {
    double seconds = x->wait_seconds;
    x->wait_seconds = 0;
    return seconds;
}
