/* datagen/progress.c - see progress.h. */
#include "datagen/progress.h"
#include <stdio.h>
#include <unistd.h>
#include "base/timer.h"

static struct { double began, shown, every; bool quiet, terminal, any; } show;

void progress_start(bool quiet) {
    show.quiet = quiet;
    show.terminal = isatty(2);
    show.began = show.shown = timer_now();
    show.every = show.terminal ? 0.2 : 10;
    show.any = false;
}

void progress_show(const char *what, double done, double total, double megabytes) {
    double now = timer_now(), spent = now - show.began;
    if (show.quiet || now - show.shown < show.every) return;
    char left[32] = "?";
    if (done > 0 && total > 0) timer_format(left, sizeof left, spent * (total - done) / done);
    fprintf(stderr, "%s%s: ", show.terminal ? "\r" : "", what);
    if (total > 0) fprintf(stderr, "%.0f %% ", 100 * done / total);
    if (megabytes > 0) fprintf(stderr, "%.1f MB, %.1f MB/s ", megabytes, megabytes / spent);
    fprintf(stderr, "left %s%s", left, show.terminal ? "    " : "\n");
    fflush(stderr);
    show.shown = now;
    show.any = true;
}

void progress_end(void) {
    if (show.any && show.terminal) fputc('\n', stderr);
    show.any = false;
}
