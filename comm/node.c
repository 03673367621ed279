/* comm/node.c - see node.h. */
#define _GNU_SOURCE              /* statvfs's block counts on every libc */
#include "comm/node.h"
#include <assert.h>
#include <mpi.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include "comm/floats.h"

enum {
    PAGE = 4096,
    CHUNK = 1 << 19              /* elements read by one call, from all ranks together: about the time of a tile of a matrix product */
};

typedef struct window {          /* of one rank; all but what its owner writes is read only */
    _Atomic uint64_t *ready[2];  /* [buckets] how often published: gradients, weights */
    _Atomic uint64_t *read;      /* sums that this rank has read */
    uint64_t *touched;
    float *gradients, *weights;
} window;

struct node {
    node_setup setup;
    MPI_Comm comm;
    MPI_Win handle;
    int me, rounds, first_rank;  /* first_rank: of the node, among all */
    size_t chunk;                /* elements of a sum done by one call */
    window *window;              /* [ranks] */
    uint64_t *seen[2];           /* [buckets] how often I have worked on it */
    uint64_t sums;               /* that I have read */
    size_t at;                   /* elements of the bucket at hand that are done */
    int peer;                    /* whose part is being copied */
    const float **part;          /* [ranks] */
    bool *absent;                /* [ranks] that did not touch the row at hand */
    node_count counted;
};

static size_t page_up(size_t bytes) { return (bytes + PAGE - 1) / PAGE * PAGE; }

static size_t counters_bytes(const node_setup *s) { return page_up((2 * (size_t)s->plan->buckets + 1) * sizeof(uint64_t)); }

static size_t gradients_at(const node_setup *s) { return counters_bytes(s) + page_up(s->row_words * sizeof(uint64_t)); }

size_t node_bytes(const node_setup *s) {
    return gradients_at(s) + page_up(s->plan->elements * sizeof(float)) + page_up(s->weights * sizeof(float)) + PAGE;
}

static bool power_of_two(int64_t n) { return n > 0 && !(n & (n - 1)); }

/* Collective. Room for all ranks of the node: a too small /dev/shm shows only when its pages are first touched, as a signal. */
static bool shared_memory_fits(comm *c, size_t bytes, char *why, size_t size) {
    struct statvfs s;
    double needed = (double)bytes * c->node_size * 1.02 + (1 << 20), there = 0;
    if (statvfs("/dev/shm", &s) == 0) there = (double)s.f_bavail * (double)s.f_frsize;
    int64_t lacking = there < needed ? c->rank : c->size, lowest = lacking;
    comm_min_i64(c, &lowest, 1);
    if (lowest == c->rank)
        snprintf(why, size, "/dev/shm of %s has %.0f MiB free, %.0f MiB are needed", c->host, there / 1048576, needed / 1048576);
    return lowest == c->size;
}

int node_usable(comm *c, int node_ranks, size_t bytes, char *why, size_t size) {
    int64_t same[2] = {c->node_size, -c->node_size};
    *why = 0;
    comm_min_i64(c, same, 2);
    int64_t ranks = node_ranks ? node_ranks : c->node_size;
    bool fits = node_ranks ? same[0] % ranks == 0 && same[0] == -same[1] : same[0] == -same[1];
    if (!fits || !power_of_two(ranks) || ranks < 2) return 0;
    return shared_memory_fits(c, bytes, why, size) ? (int)ranks : 0;
}

static void window_map(node *n, int r) {
    const node_setup *s = &n->setup;
    MPI_Aint size;
    int unit;
    void *base;
    MPI_Win_shared_query(n->handle, r, &size, &unit, &base);
    char *at = (char *)(((uintptr_t)base + PAGE - 1) / PAGE * PAGE);
    window *w = &n->window[r];
    w->ready[0] = (void *)at;
    w->ready[1] = w->ready[0] + s->plan->buckets;
    w->read = w->ready[1] + s->plan->buckets;
    w->touched = (void *)(at + counters_bytes(s));
    w->gradients = (void *)(at + gradients_at(s));
    w->weights = w->gradients + page_up(s->plan->elements * sizeof(float)) / sizeof(float);
}

node *node_new(comm *c, const node_setup *s) {
    node *n = must_zalloc(1, sizeof *n);
    n->setup = *s;
    for (int r = s->ranks; r > 1; r /= 2) n->rounds++;
    assert(1 << n->rounds == s->ranks && n->rounds <= s->plan->k);
    n->chunk = (CHUNK / (size_t)s->ranks / PLAN_BLOCK + 1) * PLAN_BLOCK;
    n->first_rank = c->rank / s->ranks * s->ranks;
    n->me = c->rank - n->first_rank;
    MPI_Comm_split(MPI_COMM_WORLD, n->first_rank, c->rank, &n->comm);
    MPI_Info info;
    MPI_Info_create(&info);
    MPI_Info_set(info, "alloc_shared_noncontig", "true");        /* each rank's part on its own memory, touched by itself */
    void *mine;
    MPI_Win_allocate_shared((MPI_Aint)node_bytes(s), 1, info, n->comm, &mine, &n->handle);
    MPI_Info_free(&info);
    n->window = must_zalloc((size_t)s->ranks, sizeof *n->window);
    n->part = must_alloc((size_t)s->ranks, sizeof *n->part);
    n->absent = must_alloc((size_t)s->ranks, sizeof *n->absent);
    for (int r = 0; r < s->ranks; r++) window_map(n, r);
    for (int i = 0; i < 2; i++) n->seen[i] = must_zalloc((size_t)s->plan->buckets + 1, sizeof *n->seen[i]);
    window *own = &n->window[n->me];
    memset((void *)own->ready[0], 0, gradients_at(s));                   /* counters and touched rows */
    floats_clear(own->gradients, s->plan->elements);
    floats_clear(own->weights, s->weights);
    MPI_Win_lock_all(MPI_MODE_NOCHECK, n->handle);
    MPI_Barrier(n->comm);                                        /* nobody reads a counter before it is 0 */
    return n;
}

void node_free(node *n) {
    if (!n) return;
    MPI_Win_unlock_all(n->handle);
    MPI_Win_free(&n->handle);
    MPI_Comm_free(&n->comm);
    for (int i = 0; i < 2; i++) free(n->seen[i]);
    free(n->window);
    free(n->part);
    free(n->absent);
    free(n);
}

float *node_gradients(node *n) { return n->window[n->me].gradients; }
float *node_weights(node *n) { return n->window[n->me].weights; }
uint64_t *node_touched(node *n) { return n->window[n->me].touched; }

void node_publish(node *n, int bucket, bool gather) {
    atomic_fetch_add_explicit(&n->window[n->me].ready[gather][bucket], 1, memory_order_release);
}

static bool all_ready(const node *n, int bucket, bool gather) {
    for (int r = 0; r < n->setup.ranks; r++)
        if (atomic_load_explicit(&n->window[r].ready[gather][bucket], memory_order_acquire) <= n->seen[gather][bucket]) return false;
    return true;
}

bool node_released(node *n) {
    for (int r = 0; r < n->setup.ranks; r++)
        if (atomic_load_explicit(n->window[r].read, memory_order_acquire) < n->sums) return false;
    return true;
}

static range part_of(const node *n, int r, int bucket) { return plan_half_of(n->setup.plan, n->first_rank + r, bucket, n->rounds); }

/* T over all ranks of my elements [begin, end): a neighbour whose rows are untouched there is not read. */
static void sum_range(node *n, size_t begin, size_t end, const bool *absent, uint64_t *bytes) {
    bool any = false;
    for (int r = 0; r < n->setup.ranks; r++) {
        bool there = !absent || !absent[r];
        n->part[r] = there ? n->window[r].gradients + begin : NULL;
        if (!there || r == n->me) continue;
        any = true;
        *bytes += (end - begin) * sizeof(float);
    }
    if (any) floats_sum(node_gradients(n) + begin, n->part, n->setup.ranks, end - begin);
}

/* Row by row, only what somebody touched; in my own rows' bits everybody's are joined. */
static void sum_rows(node *n, range mine) {
    const wire *w = n->setup.rows;
    for (size_t i = 0; i < n->setup.row_words; i++)
        for (int r = 0; r < n->setup.ranks; r++) w->touched[i] |= n->window[r].touched[i];
    if (mine.begin == mine.end) return;
    for (size_t row = (mine.begin - w->first) / w->row_elements; w->first + row * w->row_elements < mine.end; row++) {
        if (!bit_of(w->touched, row)) continue;
        size_t begin = w->first + row * w->row_elements, end = begin + w->row_elements;
        for (int r = 0; r < n->setup.ranks; r++) n->absent[r] = !bit_of(n->window[r].touched, row);
        sum_range(n, begin > mine.begin ? begin : mine.begin, end < mine.end ? end : mine.end, n->absent, &n->counted.row_bytes);
    }
}

/* One chunk of my part. True: the part is done. */
static bool sum_chunk(node *n, int bucket) {
    range mine = part_of(n, n->me, bucket);
    if (bucket == n->setup.row_bucket) {
        sum_rows(n, mine);
        return true;
    }
    size_t begin = mine.begin + n->at, end = mine.end - begin < n->chunk ? mine.end : begin + n->chunk;
    if (begin < end) sum_range(n, begin, end, NULL, &n->counted.bytes);
    n->at += end - begin;
    return end == mine.end;
}

/* One chunk of the parts of others: first the rank after mine, so that not all read the same memory. */
static bool copy_chunk(node *n, int bucket) {
    int r = (n->me + 1 + n->peer) % n->setup.ranks;
    range part = part_of(n, r, bucket);
    size_t begin = part.begin + n->at, end = part.end - begin < CHUNK ? part.end : begin + CHUNK;
    if (begin < end) floats_copy(node_weights(n) + begin, n->window[r].weights + begin, end - begin);
    n->counted.bytes += (end - begin) * sizeof(float);
    n->at += end - begin;
    if (end < part.end) return false;
    n->at = 0;
    return ++n->peer == n->setup.ranks - 1;
}

bool node_work(node *n, int bucket, bool gather, bool *finished) {
    *finished = false;
    if (!n->at && !n->peer && !all_ready(n, bucket, gather)) return false;
    *finished = gather ? copy_chunk(n, bucket) : sum_chunk(n, bucket);
    if (!*finished) return true;
    n->at = 0;
    n->peer = 0;
    n->seen[gather][bucket]++;
    if (!gather) atomic_store_explicit(n->window[n->me].read, ++n->sums, memory_order_release);
    return true;
}

node_count node_counted(node *n) {
    node_count counted = n->counted;
    n->counted = (node_count){0};
    return counted;
}
