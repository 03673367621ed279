/* datagen/shard_output.h - a folder that appears whole or not at all.
 *
 * Promise: work goes into a fresh folder beside the output, which is renamed when finished; the old one, if it may be replaced, stays until then. */
#ifndef DATAGEN_SHARD_OUTPUT_H
#define DATAGEN_SHARD_OUTPUT_H
#include <stdbool.h>
#include "base/fail.h"   /* error */

typedef struct shard_output { char *path, *work; } shard_output;   /* work: the folder to write into */

/* EXIT_USAGE: the output is finished and !force; something else stands there; the place is not writable. */
int shard_output_begin(shard_output *o, const char *path, bool force, error *e);
/* Makes everything durable and moves it into place; EXIT_MACHINE. */
int shard_output_finish(shard_output *o, error *e);
/* Removes the work folder unless it was finished; frees. May be called on a zeroed struct. */
void shard_output_end(shard_output *o);
#endif
