/* datagen/child.h - work on a file that nobody vouches for, in a child process with limits.
 *
 * Promise: whatever the work does (crash, endless loop, hunger for memory), the parent goes on with one error that names the file.
 *
 *     static int work(void *context, int out, error *e) { ... child_write(out, block, bytes) ...; return 0; }
 *     child_run(work, &job, &(child_limits){ .memory_bytes = 1 << 30, .quiet_s = 60 }, path, &result, &e);
 *
 *     parent ── fork ──► child: RLIMIT_AS, no core file, stderr shut
 *       ▲                  │ what it writes, then its error (code 0: done)
 *       └────── pipe ──────┘
 *     nothing for quiet_s seconds: killed; the pipe ends without the error: it crashed or ran out of memory
 *
 * This contains accidents. It is no sandbox against code that takes the process over. */
#ifndef DATAGEN_CHILD_H
#define DATAGEN_CHILD_H
#include <stdint.h>
#include "base/fail.h"   /* error */
#include "base/text.h"   /* text */

typedef struct child_limits {
    uint64_t memory_bytes;    /* of address space, beyond what the program has when the child starts; not kept under AddressSanitizer */
    double quiet_s;           /* longest time without a byte from the child */
} child_limits;

/* Runs in the child. Returns 0 or fills *e and returns its code. Writes its result to `out`, often enough to show that it lives. */
typedef int child_work(void *context, int out, error *e);
void child_write(int out, const void *data, size_t bytes);   /* ends the child when the parent is gone */

/* Not collective; call it while the process has one thread. *out (emptied first, the caller frees out->data) gets what the child wrote.
 * Returns the work's own error, or EXIT_USAGE naming `where` when the child crashed, hung or went beyond its memory; EXIT_MACHINE when
 * no child can be started. */
int child_run(child_work *work, void *context, const child_limits *limits, const char *where, text *out, error *e);
#endif
