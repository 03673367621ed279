/* datagen/progress.h - one line on stderr: what is being done, how far, how fast, how long still.
 *
 *     progress_start(quiet);
 *     while (...) progress_show("reading", bytes, total, bytes / 1e6);
 *     progress_end();
 *
 * On a terminal the line is rewritten five times a second; elsewhere a line comes every ten seconds. One at a time in a process. */
#ifndef DATAGEN_PROGRESS_H
#define DATAGEN_PROGRESS_H
#include <stdbool.h>

void progress_start(bool quiet);
/* total 0: not known; megabytes 0: no rate is shown. */
void progress_show(const char *what, double done, double total, double megabytes);
void progress_end(void);
#endif
