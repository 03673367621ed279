/* trainer/metrics.h - what rank 0 says about the run: metrics.jsonl, TensorBoard events, and the live line or plain lines on stderr. */
#ifndef TRAINER_METRICS_H
#define TRAINER_METRICS_H
#include <stdbool.h>
#include <stdint.h>
#include "base/fail.h"   /* error */

typedef struct step_metrics {
    int64_t step;
    double loss, mlm_loss, nsp_loss, mlm_accuracy, nsp_accuracy, learning_rate, grad_norm;
    int64_t tokens;                      /* real ones, all ranks, this step */
    double tokens_per_second, step_seconds, exchange_wait_seconds, data_wait_seconds;
    int64_t peak_memory_bytes;
    const double *rank_wait_seconds;     /* [ranks] mean seconds a step that each waited in the exchange since the last line; borrowed; logged steps */
    int ranks;
    bool has_nsp;
} step_metrics;

enum { PROGRESS_AUTO, PROGRESS_LINE, PROGRESS_PLAIN };

typedef struct metrics metrics;

/* Opens RUN/metrics.jsonl for appending (lines past `resumed_step` are cut) and a TensorBoard events file. A file that cannot be written
 * is a warning, training goes on. */
metrics *metrics_open(const char *run, int64_t resumed_step, int64_t steps, int progress, bool quiet);
/* Every step: progress; when `log` also the files. */
void metrics_step(metrics *m, const step_metrics *s, bool log);
void metrics_note(metrics *m, const char *format, ...) __attribute__((format(printf, 2, 3)));   /* one plain line, live line kept whole */
void metrics_close(metrics *m);
#endif
