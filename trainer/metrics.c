/* trainer/metrics.c - see metrics.h. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/files.h"         /* files_join */
#include "base/json.h"
#include "trainer/metrics.h"
#include "trainer/progress.h"
#include "trainer/tfevents.h"

struct metrics {
    FILE *file;                  /* NULL after a failure: said once, training goes on */
    char *path;
    tfevents *events;
    progress *progress;
};

/* Where the first line begins that is torn or of a step past `last`: -1 when it cannot be read. */
static off_t keep_until(FILE *in, int64_t last) {
    char *line = NULL;
    size_t room = 0;
    off_t keep = 0;
    for (ssize_t n; (n = getline(&line, &room, in)) > 0; keep += n) {
        json *j = NULL;
        error ignored = {0};
        if (line[n - 1] != '\n' || json_parse(&j, line, (size_t)n, "metrics", &ignored)) break;
        const json *step = json_get(j, "step");
        bool past = !step || json_kind_of(step) != JSON_KIND_INTEGER || json_int(step) > last;
        json_free(j);
        if (past) break;
    }
    bool failed = ferror(in);
    free(line);
    return failed ? -1 : keep;
}

/* Steps after the one that training resumes from will be trained, and written, again. */
static int cut_past(const char *path, int64_t resumed_step, error *e) {
    FILE *in = fopen(path, "r");
    if (!in) return errno == ENOENT ? 0 : error_set(e, EXIT_MACHINE, "%s: %s", path, strerror(errno));
    off_t keep = keep_until(in, resumed_step);
    fclose(in);
    if (keep < 0 || truncate(path, keep) != 0) return error_set(e, EXIT_MACHINE, "%s: %s", path, strerror(errno));
    return 0;
}

metrics *metrics_open(const char *run, int64_t resumed_step, int64_t steps, int kind, bool quiet) {
    metrics *m = must_zalloc(1, sizeof *m);
    error e = {0};
    m->path = files_join(run, "metrics.jsonl");
    m->progress = progress_new(steps, kind, quiet);
    if (!cut_past(m->path, resumed_step, &e)) {
        m->file = fopen(m->path, "a");
        if (!m->file) error_set(&e, EXIT_MACHINE, "%s: %s", m->path, strerror(errno));
    }
    if (!m->file) warn("%s; training goes on without it", e.text);
    m->events = tfevents_open(run, resumed_step, &e);
    if (!m->events) warn("%s; training goes on without it", e.text);
    return m;
}

/* To the millisecond: a line stays short when ranks are many. */
static json *waits_of(const step_metrics *s) {
    json *waits = json_new_array();
    for (int r = 0; r < s->ranks; r++) json_append(waits, json_new_real(round(s->rank_wait_seconds[r] * 1000) / 1000));
    return waits;
}

static void write_line(metrics *m, const step_metrics *s) {
    json *j = json_new_object();
    json_set_int(j, "step", s->step);
    json_set_real(j, "loss", s->loss);
    json_set_real(j, "mlm_loss", s->mlm_loss);
    if (s->has_nsp) json_set_real(j, "nsp_loss", s->nsp_loss);
    json_set_real(j, "mlm_accuracy", s->mlm_accuracy);
    if (s->has_nsp) json_set_real(j, "nsp_accuracy", s->nsp_accuracy);
    json_set_real(j, "learning_rate", s->learning_rate);
    json_set_real(j, "grad_norm", s->grad_norm);
    json_set_int(j, "tokens", s->tokens);
    json_set_real(j, "tokens_per_second", s->tokens_per_second);
    json_set_real(j, "step_seconds", s->step_seconds);
    json_set_real(j, "exchange_wait_seconds", s->exchange_wait_seconds);
    json_set(j, "rank_wait_seconds", waits_of(s));
    json_set_real(j, "data_wait_seconds", s->data_wait_seconds);
    json_set_int(j, "peak_memory_bytes", s->peak_memory_bytes);
    char *text = json_print(j, 0);
    bool written = fprintf(m->file, "%s\n", text) > 0 && fflush(m->file) == 0;
    free(text);
    json_free(j);
    if (written) return;
    warn("%s: %s; training goes on without it", m->path, strerror(errno));
    fclose(m->file);
    m->file = NULL;
}

static void write_events(metrics *m, const step_metrics *s) {
    error e = {0};
    tfevents_scalar scalar[9] = { { "loss", s->loss }, { "mlm_loss", s->mlm_loss }, { "mlm_accuracy", s->mlm_accuracy },
                                  { "learning_rate", s->learning_rate }, { "grad_norm", s->grad_norm },
                                  { "tokens_per_second", s->tokens_per_second }, { "exchange_wait_seconds", s->exchange_wait_seconds } };
    int count = 7;
    if (s->has_nsp) {
        scalar[count++] = (tfevents_scalar){ "nsp_loss", s->nsp_loss };
        scalar[count++] = (tfevents_scalar){ "nsp_accuracy", s->nsp_accuracy };
    }
    if (!tfevents_add(m->events, s->step, scalar, count, &e)) return;
    warn("%s; training goes on without it", e.text);
    tfevents_close(m->events);
    m->events = NULL;
}

void metrics_step(metrics *m, const step_metrics *s, bool log) {
    progress_step(m->progress, s);
    if (log && m->file) write_line(m, s);
    if (log && m->events) write_events(m, s);
}

void metrics_note(metrics *m, const char *format, ...) {
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    progress_note(m->progress, text);
}

void metrics_close(metrics *m) {
    if (!m) return;
    if (m->file) fclose(m->file);
    tfevents_close(m->events);
    progress_free(m->progress);
    free(m->path);
    free(m);
}
