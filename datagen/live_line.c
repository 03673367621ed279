/* datagen/live_line.c - see live_line.h. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/fail.h"
#include "base/timer.h"
#include "datagen/live_line.h"

struct live_line {
    pthread_mutex_t mutex;
    bool quiet, terminal;
    const char *what, *unit;
    double scale, began, shown, every;
    uint64_t total;
    int drawn;                   /* characters on the terminal's line */
};

live_line *live_line_new(bool quiet) {
    live_line *l = must_zalloc(1, sizeof *l);
    pthread_mutex_init(&l->mutex, NULL);
    l->quiet = quiet;
    l->terminal = isatty(STDERR_FILENO);
    l->every = l->terminal ? 0.1 : 10;
    l->shown = timer_now();
    return l;
}

void live_line_free(live_line *l) {
    if (!l) return;
    if (l->drawn) fprintf(stderr, "\r%*s\r", l->drawn, "");
    pthread_mutex_destroy(&l->mutex);
    free(l);
}

void live_line_stage(live_line *l, const char *what, const char *unit, double scale, uint64_t total) {
    pthread_mutex_lock(&l->mutex);
    l->what = what;
    l->unit = unit;
    l->scale = scale;
    l->total = total;
    l->began = timer_now();
    pthread_mutex_unlock(&l->mutex);
}

static void draw(live_line *l, uint64_t done, double now) {
    char text[200], left[32], total[32] = "";
    double spent = now - l->began, rate = spent > 0 ? (double)done / l->scale / spent : 0;
    int digits = l->scale > 1 ? 1 : 0;
    timer_format(left, sizeof left, done ? spent * (double)(l->total - (done < l->total ? done : l->total)) / (double)done : 0);
    if (l->total) snprintf(total, sizeof total, " of %.*f", digits, (double)l->total / l->scale);
    int n = snprintf(text, sizeof text, "%s %.*f%s %s, %.*f %s/s", l->what, digits, (double)done / l->scale, total, l->unit, digits, rate, l->unit);
    if (l->total && done && n < (int)sizeof text) n += snprintf(text + n, sizeof text - (size_t)n, ", %s left", left);
    if (l->terminal) fprintf(stderr, "\r%s%*s", text, l->drawn > n ? l->drawn - n : 0, "");
    else fprintf(stderr, "%s\n", text);
    fflush(stderr);
    l->drawn = l->terminal ? n : 0;
    l->shown = now;
}

void live_line_show(live_line *l, uint64_t done) {
    if (l->quiet || pthread_mutex_trylock(&l->mutex)) return;
    double now = timer_now();
    if (now - l->shown >= l->every) draw(l, done, now);
    pthread_mutex_unlock(&l->mutex);
}
