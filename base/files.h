/* base/files.h - careful reading and writing of whole files and folders.
 *
 * Promise: a file that is written here is whole under its name or not there at all. */
#ifndef BASE_FILES_H
#define BASE_FILES_H
#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>
#include "base/fail.h"   /* error */

/* Reads a regular file of at most `limit` bytes; *data is NUL-terminated beyond *bytes and owned by the caller.
 * EXIT_USAGE with the path when it cannot be read or is larger. */
int files_read(const char *path, size_t limit, char **data, size_t *bytes, error *e);

/* Writes temp name, fsync, close, rename, fsync of the folder. EXIT_MACHINE on failure; the old file is then untouched.
 * A symbolic link stays and what it names is replaced; a device or pipe (/dev/stdout) is written straight. */
int files_write_atomic(const char *path, const void *data, size_t bytes, error *e);

/* Writes and fsyncs a new file inside a folder that is itself renamed later. */
int files_write_synced(const char *path, const void *data, size_t bytes, error *e);

int files_sync(const char *path, error *e);                        /* fsync of a file or a folder; EXIT_MACHINE */
int files_make_folders(const char *path, error *e);                /* mkdir -p; EXIT_USAGE */
int files_remove_tree(const char *path, error *e);                 /* rm -r, never follows a symlink; absent is success; EXIT_MACHINE */
bool files_exists(const char *path);
bool files_is_folder(const char *path);
char *files_join(const char *folder, const char *name);            /* caller frees */
int files_list(const char *folder, char ***names, size_t *count, error *e);   /* sorted bytewise, hidden ones too; EXIT_USAGE */
void files_free_list(char **names, size_t count);
#endif
