/* trainer/progress.h - what a person sees while training runs, on stderr: one live line on a terminal, else plain lines at least 10 s apart.
 *
 * No colour, no cursor movement but carriage return; a narrow terminal gets fewer fields, never a wrapped line. */
#ifndef TRAINER_PROGRESS_H
#define TRAINER_PROGRESS_H
#include <stdbool.h>
#include <stdint.h>
#include "trainer/metrics.h"   /* step_metrics, PROGRESS_* */

typedef struct progress progress;

progress *progress_new(int64_t steps, int kind, bool quiet);
void progress_free(progress *p);                              /* ends a live line */
void progress_step(progress *p, const step_metrics *s);
void progress_note(progress *p, const char *text);            /* a plain line of its own; nothing when quiet */

/* The line itself, at most `width` characters: fields are dropped from the right until it fits. seconds_left < 0: not known yet. */
void progress_line(char *out, size_t size, const step_metrics *s, int64_t steps, double tokens_per_second, double seconds_left, int width);
#endif
