/* trainer/mover.c - see mover.h.
 *
 * The computing thread only counts buckets up; whoever moves the exchange hands it those that are new. So the exchange belongs to one thread
 * at a time: to the mover's between mover_begin() and mover_finish(), else to the caller's. */
#include <omp.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include "base/ledger.h"
#include "trainer/kernels/gemm.h"   /* gemm_set_poll */
#include "trainer/mover.h"

struct mover {
    exchange *exchange;
    tree *tree;
    const plan *plan;
    network_progress progress;
    _Atomic int ready;           /* buckets of the last leaf that are sums over this rank's leaves */
    int given;                   /* of them, those that the exchange knows */
    bool threaded;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    _Atomic bool running;        /* the thread owns the exchange, or is to give it back */
    bool owned, ending;          /* by the thread; under lock */
};

static bool move(mover *m) {
    int ready = atomic_load_explicit(&m->ready, memory_order_acquire);
    while (m->given < ready) exchange_ready(m->exchange, m->given++);
    return exchange_poll(m->exchange);
}

static void *run(void *context) {
    mover *m = context;
    omp_set_num_threads(1);                      /* additions of this thread are its own work */
    pthread_mutex_lock(&m->lock);
    for (;;) {
        while (!m->owned && !m->ending) pthread_cond_wait(&m->changed, &m->lock);
        if (m->ending) break;
        pthread_mutex_unlock(&m->lock);
        while (atomic_load(&m->running))
            if (!move(m)) sched_yield();
        pthread_mutex_lock(&m->lock);
        m->owned = false;
        pthread_cond_broadcast(&m->changed);
    }
    pthread_mutex_unlock(&m->lock);
    return NULL;
}

static void bucket_ready(void *context, int bucket) {
    mover *m = context;
    int before = ledger_enter(LEDGER_EXCHANGE);
    tree_finish(m->tree, m->plan->bucket[bucket]);
    atomic_store_explicit(&m->ready, bucket + 1, memory_order_release);
    ledger_leave(before);
}

/* Between tiles of every product, whatever is under way. */
static void poll(void *context) {
    mover *m = context;
    if (atomic_load_explicit(&m->running, memory_order_relaxed)) return;
    int before = ledger_enter(LEDGER_EXCHANGE);
    (void)move(m);
    ledger_leave(before);
}

mover *mover_new(exchange *x, tree *t, const plan *p, bool threaded) {
    mover *m = must_zalloc(1, sizeof *m);
    m->exchange = x;
    m->tree = t;
    m->plan = p;
    m->threaded = threaded;
    m->progress = (network_progress){bucket_ready, poll, m};
    gemm_set_poll(poll, m);
    if (!threaded) return m;
    pthread_mutex_init(&m->lock, NULL);
    pthread_cond_init(&m->changed, NULL);
    int code = pthread_create(&m->thread, NULL, run, m);
    if (code) fail(EXIT_MACHINE, "comm-progress: no thread can be made: %s; give --comm-progress poll", strerror(code));
    return m;
}

/* The thread runs, or gives the exchange back and waits. */
static void hand_over(mover *m, bool to_thread) {
    atomic_store(&m->running, to_thread);
    pthread_mutex_lock(&m->lock);
    if (to_thread) m->owned = true;
    pthread_cond_broadcast(&m->changed);
    while (!to_thread && m->owned) pthread_cond_wait(&m->changed, &m->lock);
    pthread_mutex_unlock(&m->lock);
}

void mover_free(mover *m) {
    if (!m) return;
    gemm_set_poll(NULL, NULL);
    if (m->threaded) {
        pthread_mutex_lock(&m->lock);
        m->ending = true;
        pthread_cond_broadcast(&m->changed);
        pthread_mutex_unlock(&m->lock);
        pthread_join(m->thread, NULL);
        pthread_cond_destroy(&m->changed);
        pthread_mutex_destroy(&m->lock);
    }
    free(m);
}

void mover_await(void *context, int bucket) {
    mover *m = context;
    int before = ledger_enter(LEDGER_EXCHANGE);
    exchange_await(m->exchange, bucket);
    ledger_leave(before);
}

void mover_begin(mover *m) {
    int before = ledger_enter(LEDGER_EXCHANGE);
    exchange_begin(m->exchange);
    tree_reset(m->tree);
    atomic_store(&m->ready, 0);
    m->given = 0;
    ledger_leave(before);
}

const network_progress *mover_progress(mover *m) {
    if (m->threaded) hand_over(m, true);
    return &m->progress;
}

void mover_finish(mover *m) {
    int before = ledger_enter(LEDGER_EXCHANGE);
    if (m->threaded) hand_over(m, false);
    (void)move(m);
    tree_reset(m->tree);
    exchange_finish(m->exchange);
    ledger_leave(before);
}
