/* trainer/run_folder.h - the RUN folder: lock, status.json, latest, retention. One holder at a time.
 *
 * Rank 0 only; other ranks learn its verdict by comm_agree(). */
#ifndef TRAINER_RUN_FOLDER_H
#define TRAINER_RUN_FOLDER_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/fail.h"   /* error */

enum { UUID_TEXT = 37 };

typedef struct run_folder {
    char *path;
    int lock;                            /* descriptor of RUN/lock, -1 when not held */
    char uuid[UUID_TEXT];                /* of the run: made once, kept in RUN/run-id */
    struct heartbeat *heartbeat;         /* where the file system has no locks, else NULL */
} run_folder;

/* Makes RUN if needed and takes the fcntl lock: EXIT_USAGE naming host, pid and job id of the holder when another job has it, or
 * when it cannot be written. Where the file system has no locks: a heartbeat, taken over after 60 s. */
int run_folder_open(run_folder *r, const char *path, error *e);
void run_folder_close(run_folder *r);
/* What run_folder_open() does where there are no locks; renewed every takeover_seconds / 6 by a thread of its own. */
int run_folder_open_heartbeat(run_folder *r, const char *path, double takeover_seconds, error *e);
/* False after another job took a stalled heartbeat over: nothing may be written any more. */
bool run_folder_held(const run_folder *r);

/* status.json: state running|done|stopped|failed, code, step, checkpoint (bare name or null). Atomic; only by the lock's holder. */
int run_folder_status(const run_folder *r, const char *state, int code, int64_t step, const char *checkpoint, error *e);
/* True when an earlier job finished the run (state done); step and checkpoint ("" for null) are then its last. */
bool run_folder_finished(const run_folder *r, int64_t *step, char checkpoint[64]);

/* Checkpoints by number, oldest first (names exactly as checkpoint_name() makes them); caller frees. Empty when the folder cannot be read. */
typedef struct checkpoint_entry { int64_t step; char name[64]; } checkpoint_entry;
checkpoint_entry *run_folder_checkpoints(const char *path, size_t *count);
void checkpoint_name(char name[64], int64_t step);               /* checkpoint-0001000 */

/* Removes checkpoints of this run's uuid beyond the last `keep`, except every keep_every-th step; and stale temporaries of this run. */
int run_folder_prune(const run_folder *r, int64_t keep, int64_t keep_every, error *e);
/* uuid_generate(): the one door to libuuid. */
void run_folder_new_uuid(char out[UUID_TEXT]);
#endif
