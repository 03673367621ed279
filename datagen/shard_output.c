/* datagen/shard_output.c - see shard_output.h. */
#define _DEFAULT_SOURCE   /* mkdtemp with -std=c11 on every libc */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/files.h"
#include "datagen/shard_journal.h"
#include "datagen/shard_manifest.h"
#include "datagen/shard_output.h"

#define TEMPORARY "temporary"   /* holds the path of temporary files elsewhere, so that who comes after a death can remove them */
enum { LONGEST_PATH = 4096, TRIES = 10 };

static char *without_slashes(const char *path) {
    char *copy = must_strdup(path);
    for (size_t n = strlen(copy); n > 1 && copy[n - 1] == '/'; ) copy[--n] = '\0';
    return copy;
}

static char *folder_of(const char *path) {
    const char *slash = strrchr(path, '/');
    return !slash ? must_strdup(".") : slash == path ? must_strdup("/") : must_format("%.*s", (int)(slash - path), path);
}

static char *work_path(const char *path) {
    char *folder = folder_of(path), *work = must_format("%s/.%s.unfinished", folder, strrchr(path, '/') ? strrchr(path, '/') + 1 : path);
    free(folder);
    return work;
}

/* What stands at the output now: nothing, an empty folder, or a finished one that may be replaced. */
static int check_place(const char *path, bool force, error *e) {
    struct stat s;
    if (lstat(path, &s)) return errno == ENOENT ? 0 : error_set(e, EXIT_USAGE, "%s: cannot be written: %s", path, strerror(errno));
    if (!S_ISDIR(s.st_mode)) return error_set(e, EXIT_USAGE, "%s: is not a folder; give another --output", path);
    char **names, *manifest_path = files_join(path, MANIFEST_NAME);
    size_t count;
    bool finished = files_exists(manifest_path);
    free(manifest_path);
    if (files_list(path, &names, &count, e)) return e->code;
    files_free_list(names, count);
    if (finished && !force) return error_set(e, EXIT_USAGE, "%s: holds finished shards; give another --output, or --force to replace them", path);
    if (!finished && count) return error_set(e, EXIT_USAGE, "%s: is not empty and holds no finished shards; give another --output", path);
    return 0;
}

static bool ends_with(const char *name, const char *end) {
    size_t a = strlen(name), b = strlen(end);
    return a > b && !strcmp(name + a - b, end);
}

/* Removes temporary files of a run that died, then all of the work folder but shards, their records and the lock. */
static int tidy(shard_output *o, error *e) {
    char *note = files_join(o->work, TEMPORARY), *elsewhere = NULL, **names;
    size_t bytes, count;
    error ignored = {0};
    int code = 0;
    if (files_exists(note) && !files_read(note, LONGEST_PATH, &elsewhere, &bytes, &ignored)) {
        if (strstr(elsewhere, "/bert-shard-")) (void)files_remove_tree(elsewhere, &ignored);   /* a name that only mkdtemp() below gives */
        free(elsewhere);
    }
    free(note);
    if (files_list(o->work, &names, &count, e)) return e->code;
    for (size_t i = 0; i < count && !code; i++) {
        bool ours = !strcmp(names[i], "lock") || !strncmp(names[i], "heartbeat", 9);
        if (ours || ends_with(names[i], ".hdf5") || ends_with(names[i], SHARD_JOURNAL_ENDING)) continue;
        char *path = files_join(o->work, names[i]);
        code = files_remove_tree(path, e);
        free(path);
    }
    files_free_list(names, count);
    return code;
}

static int make_temp(shard_output *o, const char *temp, error *e) {
    o->temp = temp ? must_format("%s/bert-shard-XXXXXX", temp) : files_join(o->work, "temp");
    if (temp ? !mkdtemp(o->temp) : mkdir(o->temp, 0700) != 0) {
        error_set(e, EXIT_USAGE, "%s: cannot be written: %s; give another --temp", temp ? temp : o->temp, strerror(errno));
        free(o->temp);
        o->temp = NULL;
        return e->code;
    }
    char *note = files_join(o->work, TEMPORARY);
    int code = temp ? files_write_synced(note, o->temp, strlen(o->temp), e) : 0;
    free(note);
    return code;
}

static void give_free(shard_output *o) {
    heartbeat_free(o->beat);
    o->beat = NULL;
    if (o->lock >= 0) close(o->lock);
    o->lock = -1;
}

/* Whether the lock that we hold is that of the folder under this name: its last holder may have moved it away, finished, while we opened it. */
static bool still_there(const shard_output *o) {
    struct stat ours, there;
    char *path = files_join(o->work, "lock");
    bool same = o->lock < 0 || (!fstat(o->lock, &ours) && !stat(path, &there) && ours.st_ino == there.st_ino && ours.st_dev == there.st_dev);
    free(path);
    return same;
}

static int take(shard_output *o, error *e) {
    for (int i = 0; i < TRIES; i++) {
        if (mkdir(o->work, 0777) && errno != EEXIST) return error_set(e, EXIT_USAGE, "%s: cannot be written: %s", o->path, strerror(errno));
        if (folder_lock_take(o->work, &o->lock, e)) {
            if (files_exists(o->work)) return e->code;
            e->code = 0;
            continue;
        }
        if (o->lock < 0) {
            char *unique = must_format("%ld", (long)getpid());
            int code = heartbeat_take(&o->beat, o->work, unique, 60, e);
            free(unique);
            return code;
        }
        if (still_there(o)) return 0;
        give_free(o);
    }
    return error_set(e, EXIT_USAGE, "%s: other processes work on it too; give another --output", o->path);
}

int shard_output_begin(shard_output *o, const char *path, const char *temp, bool force, error *e) {
    *o = (shard_output){ .path = without_slashes(path), .lock = -1 };
    if (check_place(o->path, force, e)) return e->code;
    char *folder = folder_of(o->path);
    int code = files_make_folders(folder, e);
    if (code) error_set(e, code = EXIT_USAGE, "%s: cannot be written: %s is no writable folder", o->path, folder);
    free(folder);
    if (code) return code;
    o->work = work_path(o->path);
    code = take(o, e);
    if (code) {                                                     /* another's: it is not ours to remove */
        free(o->work);
        o->work = NULL;
        return code;
    }
    code = check_place(o->path, force, e);                          /* it may have been finished just now */
    if (!code) code = tidy(o, e);
    return code ? code : make_temp(o, temp, e);
}

void shard_output_follow(shard_output *o, const char *path, const char *temp_folder) {
    *o = (shard_output){ .path = without_slashes(path), .temp = must_strdup(temp_folder), .lock = -1 };
    o->work = work_path(o->path);
}

static int remove_from(const char *folder, const char *name, error *e) {
    char *path = files_join(folder, name);
    int code = files_remove_tree(path, e);
    free(path);
    return code;
}

/* The folder as its user gets it: no records, no temporary files. The lock stays until the folder is in its place. */
static int strip(shard_output *o, error *e) {
    char **names;
    size_t count;
    if (files_remove_tree(o->temp, e) || files_list(o->work, &names, &count, e)) return e->code;
    int code = 0;
    for (size_t i = 0; i < count && !code; i++)
        if (ends_with(names[i], SHARD_JOURNAL_ENDING) || !strcmp(names[i], TEMPORARY)) code = remove_from(o->work, names[i], e);
    files_free_list(names, count);
    return code;
}

int shard_output_finish(shard_output *o, error *e) {
    char *folder = folder_of(o->path), *old = NULL;
    int code = strip(o, e);
    if (!code) code = files_sync(o->work, e);
    if (!code && rename(o->work, o->path)) {                        /* an empty folder is replaced by this */
        old = must_format("%s.old", o->work);
        if ((errno != ENOTEMPTY && errno != EEXIST) || files_remove_tree(old, e) || rename(o->path, old) || rename(o->work, o->path)) {
            code = error_set(e, EXIT_MACHINE, "%s: the finished shards cannot be moved there: %s", o->path, strerror(errno));
            (void)rename(old, o->path);
        }
    }
    if (!code) {
        free(o->work);
        o->work = NULL;
        code = remove_from(o->path, "lock", e);
        give_free(o);
        if (!code) code = remove_from(o->path, "heartbeat", e);
        if (!code) code = files_sync(folder, e);
        if (old && !code) code = files_remove_tree(old, e);
    }
    free(old);
    free(folder);
    return code;
}

static int count_finished(const char *work) {
    char **names;
    size_t count;
    error ignored = {0};
    int finished = 0;
    if (files_list(work, &names, &count, &ignored)) return 0;
    for (size_t i = 0; i < count; i++) finished += ends_with(names[i], SHARD_JOURNAL_ENDING);
    files_free_list(names, count);
    return finished;
}

int shard_output_end(shard_output *o) {
    error ignored = {0};
    int finished = 0;
    if (o->work && (o->lock >= 0 || o->beat)) {
        if (o->temp) (void)files_remove_tree(o->temp, &ignored);
        finished = count_finished(o->work);
        if (!finished) (void)files_remove_tree(o->work, &ignored);
    }
    if (o->path) give_free(o);
    free(o->work);
    free(o->temp);
    free(o->path);
    *o = (shard_output){ .lock = -1 };
    return finished;
}
