/* datagen/live_line.h - what a long run is doing: one line, rewritten on a terminal, or a line every ten seconds.
 *
 *     live_line *l = live_line_new(quiet);
 *     live_line_stage(l, "reading", "MB", 1e6, bytes);          total 0: not known
 *     live_line_show(l, done, examples);                         from any thread, as often as wanted
 *     live_line_free(l);
 *
 * "reading 34.1 of 54.8 MB, 98.2 MB/s, 0.2s left" on stderr. */
#ifndef DATAGEN_LIVE_LINE_H
#define DATAGEN_LIVE_LINE_H
#include <stdbool.h>
#include <stdint.h>

typedef struct live_line live_line;
live_line *live_line_new(bool quiet);
/* what and unit are borrowed; a count is shown divided by scale. */
void live_line_stage(live_line *l, const char *what, const char *unit, double scale, uint64_t total);
void live_line_show(live_line *l, uint64_t done);
void live_line_free(live_line *l);   /* ends the line; NULL is allowed */
#endif
