/* datagen/workers.c - see workers.h. */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include "datagen/workers.h"

typedef struct worker {
    worker_function *function;
    void *job;
    int number, code;
    error e;
    pthread_t thread;
} worker;

static void *work(void *argument) {
    worker *w = argument;
    w->code = w->function(w->job, w->number, &w->e);
    return NULL;
}

int workers_run(int threads, worker_function *f, void *job, error *e) {
    worker *w = must_zalloc((size_t)threads, sizeof *w);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);                 /* signals are for the first thread: it is the one that may wait in read() */
    for (int i = 0; i < threads; i++) {
        w[i] = (worker){ .function = f, .job = job, .number = i };
        if (i && pthread_create(&w[i].thread, NULL, work, &w[i])) fail(EXIT_MACHINE, "thread %d of %d cannot be started; give fewer --threads", i, threads);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    work(&w[0]);
    int code = 0;
    for (int i = 0; i < threads; i++) {
        if (i) pthread_join(w[i].thread, NULL);
        if (code || !w[i].code) continue;
        code = w[i].code;
        *e = w[i].e;
    }
    free(w);
    return code;
}
