/* datagen/workers.h - the same function on n threads, and the first error of them.
 *
 *     int code = workers_run(threads, tokenise, &job, &e);      int tokenise(void *job, int worker, error *e)
 *
 * Promise: returns when all have returned. Who finds no more work returns 0; who fails is expected to make the others stop through job. */
#ifndef DATAGEN_WORKERS_H
#define DATAGEN_WORKERS_H
#include "base/fail.h"   /* error */

typedef int worker_function(void *job, int worker, error *e);

/* worker: 0..threads-1; 0 is the caller's own thread. Returns the code of the lowest worker that failed, with its error. */
int workers_run(int threads, worker_function *f, void *job, error *e);
#endif
