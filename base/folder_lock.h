/* base/folder_lock.h - who holds a folder: an fcntl lock, freed by the kernel when its holder dies, or a heartbeat.
 *
 * Heartbeat, where fcntl() knows no locks: RUN/heartbeat is rewritten every sixth of the takeover time. A newcomer writes a file of its own
 * and compares both times of modification, so only the file server's clock counts:
 *
 *     newcomer:  write probe -> heartbeat younger than 60 s? refuse : rename probe over it -> wait 2 s -> still mine? hold : refuse
 *     holder:    every 10 s: is RUN/heartbeat still my inode? rewrite it : lost, write nothing any more */
#ifndef BASE_FOLDER_LOCK_H
#define BASE_FOLDER_LOCK_H
#include <stdbool.h>
#include "base/fail.h"   /* error */

typedef struct heartbeat heartbeat;

/* 0 with *fd held; EXIT_USAGE naming the holder or what is not writable; *fd = -1 and 0 when the file system has no locks. */
int folder_lock_take(const char *path, int *fd, error *e);

int heartbeat_take(heartbeat **out, const char *path, const char *unique, double takeover_seconds, error *e);
bool heartbeat_held(heartbeat *h);
void heartbeat_free(heartbeat *h);   /* gives the folder free; NULL is allowed */
#endif
