/* trainer/progress.c - see progress.h. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "base/timer.h"         /* timer_now, timer_format */
#include "trainer/progress.h"

enum { LINE_BYTES = 256, PLAIN_WIDTH = LINE_BYTES - 1 };
static const double live_gap = 0.1, plain_gap = 10, smoothing = 0.05;    /* seconds between redraws; weight of a new step in the averages */

struct progress {
    int64_t steps, seen;
    bool live, quiet;
    double shown;                /* when the last line was written */
    double step_seconds, tokens; /* running averages per step */
    size_t drawn;                /* characters of the live line on screen */
};

progress *progress_new(int64_t steps, int kind, bool quiet) {
    progress *p = must_zalloc(1, sizeof *p);
    p->steps = steps;
    p->quiet = quiet;
    p->live = kind == PROGRESS_LINE || (kind == PROGRESS_AUTO && isatty(STDERR_FILENO));
    p->shown = -INFINITY;
    return p;
}

void progress_free(progress *p) {
    if (!p) return;
    if (p->live && p->drawn > 0) fputc('\n', stderr);
    free(p);
}

static int terminal_width(void) {
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
    return size.ws_col - 1;      /* a line as wide as the terminal wraps on some */
}

void progress_line(char *out, size_t size, const step_metrics *s, int64_t steps, double tokens_per_second, double seconds_left, int width) {
    char field[7][64], left[32];
    int fields = 0;
    int64_t percent = steps > 0 ? s->step * 100 / steps : 100;
    snprintf(field[fields++], sizeof field[0], "step %" PRId64 "/%" PRId64 " (%" PRId64 "%%)", s->step, steps, percent);
    snprintf(field[fields++], sizeof field[0], "loss %.4f", s->loss);
    timer_format(left, sizeof left, seconds_left < 0 ? 0 : seconds_left);
    if (seconds_left >= 0) snprintf(field[fields++], sizeof field[0], "%s left", left);
    snprintf(field[fields++], sizeof field[0], "%.0f tokens/s", tokens_per_second);
    snprintf(field[fields++], sizeof field[0], "MLM %.1f%%", 100 * s->mlm_accuracy);
    if (s->has_nsp) snprintf(field[fields++], sizeof field[0], "NSP %.1f%%", 100 * s->nsp_accuracy);
    snprintf(field[fields++], sizeof field[0], "rate %.3g", s->learning_rate);
    size_t room = width < 0 ? 0 : (size_t)width, used = 0;
    if (room > size - 1) room = size - 1;
    out[0] = '\0';
    for (int i = 0; i < fields; i++) {
        const char *gap = i ? "  " : "";
        if (used + strlen(gap) + strlen(field[i]) > room) break;
        used += (size_t)snprintf(out + used, size - used, "%s%s", gap, field[i]);
    }
    if (used == 0) snprintf(out, room + 1, "%" PRId64, s->step);
}

static void erase_live(progress *p) {
    if (p->drawn == 0) return;
    fprintf(stderr, "\r%*s\r", (int)p->drawn, "");
    p->drawn = 0;
}

void progress_step(progress *p, const step_metrics *s) {
    if (p->quiet) return;
    p->seen++;
    double weight = p->seen == 1 ? 1 : fmax(smoothing, 1.0 / (double)p->seen);
    p->step_seconds += weight * (s->step_seconds - p->step_seconds);
    p->tokens += weight * ((double)s->tokens - p->tokens);
    double now = timer_now();
    bool last = s->step == p->steps;
    if (!last && now - p->shown < (p->live ? live_gap : plain_gap)) return;
    double left = p->step_seconds * (double)(p->steps - s->step);
    char line[LINE_BYTES];
    double rate = p->step_seconds > 0 ? p->tokens / p->step_seconds : 0;
    progress_line(line, sizeof line, s, p->steps, rate, left, p->live ? terminal_width() : PLAIN_WIDTH);
    if (p->live) {
        size_t length = strlen(line);
        fprintf(stderr, "\r%s%*s", line, p->drawn > length ? (int)(p->drawn - length) : 0, "");
        p->drawn = length;
    } else {
        fprintf(stderr, "%s\n", line);
    }
    fflush(stderr);
    p->shown = now;
}

void progress_note(progress *p, const char *text) {
    if (p->quiet) return;
    erase_live(p);
    fprintf(stderr, "%s\n", text);
    if (p->live) p->shown = -INFINITY;      /* redrawn by the next step */
}
