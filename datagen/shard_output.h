/* datagen/shard_output.h - a folder that appears whole or not at all, and work on it that can be gone on with.
 *
 * Promise: work goes into a folder beside the output, held by one process at a time, which is renamed when finished; the old output, if it
 * may be replaced, stays until then. Finished shards in it survive a death, and a failure; all else is removed.
 *
 *     DIR                    the output
 *     .DIR.unfinished/       work: shards, their .done records (datagen/shard_journal.h), lock, temp/ or the path of temporary files in `temporary` */
#ifndef DATAGEN_SHARD_OUTPUT_H
#define DATAGEN_SHARD_OUTPUT_H
#include <stdbool.h>
#include "base/fail.h"          /* error */
#include "base/folder_lock.h"   /* heartbeat */

typedef struct shard_output {
    char *path, *work;          /* work: the folder to write into */
    char *temp;                 /* for temporary files */
    int lock;
    heartbeat *beat;            /* where the file system has no locks */
} shard_output;

/* EXIT_USAGE: the output is finished and !force; something else stands there; the place, or temp (NULL: inside the work folder), is not
 * writable; another process holds it. What an earlier run left is kept if it may be of use. */
int shard_output_begin(shard_output *o, const char *path, const char *temp, bool force, error *e);
/* The paths alone, for ranks that do not hold it. */
void shard_output_follow(shard_output *o, const char *path, const char *temp_folder);
/* Makes everything durable and moves it into place; EXIT_MACHINE. */
int shard_output_finish(shard_output *o, error *e);
/* Unless it was finished: removes temporary files, and the work folder if no shard in it is finished. Returns how many are. Frees. May be
 * called on a zeroed struct. */
int shard_output_end(shard_output *o);
#endif
