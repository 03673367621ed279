/* datagen/shard_output.c - see shard_output.h. */
#define _DEFAULT_SOURCE   /* mkdtemp with -std=c11 on every libc */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/files.h"
#include "datagen/shard_manifest.h"
#include "datagen/shard_output.h"

static char *without_slashes(const char *path) {
    char *copy = must_strdup(path);
    for (size_t n = strlen(copy); n > 1 && copy[n - 1] == '/'; ) copy[--n] = '\0';
    return copy;
}

static char *folder_of(const char *path) {
    const char *slash = strrchr(path, '/');
    return !slash ? must_strdup(".") : slash == path ? must_strdup("/") : must_format("%.*s", (int)(slash - path), path);
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

int shard_output_begin(shard_output *o, const char *path, bool force, error *e) {
    *o = (shard_output){ .path = without_slashes(path) };
    if (check_place(o->path, force, e)) return e->code;
    char *folder = folder_of(o->path), *name = o->path + (strrchr(o->path, '/') ? strrchr(o->path, '/') - o->path + 1 : 0);
    int code = files_make_folders(folder, e);
    if (code) error_set(e, code = EXIT_USAGE, "%s: cannot be written: %s is no writable folder", o->path, folder);
    if (!code) {
        o->work = must_format("%s/.%s.tmp-XXXXXX", folder, name);
        if (!mkdtemp(o->work)) {
            code = error_set(e, EXIT_USAGE, "%s: cannot be written: %s", o->path, strerror(errno));
            free(o->work);
            o->work = NULL;
        }
    }
    free(folder);
    return code;
}

int shard_output_finish(shard_output *o, error *e) {
    mode_t mask = umask(0);
    umask(mask);
    char *folder = folder_of(o->path), *old = NULL;
    int code = 0;
    if (chmod(o->work, 0777 & ~mask)) code = error_set(e, EXIT_MACHINE, "%s: %s", o->work, strerror(errno));   /* mkdtemp made it for us alone */
    if (!code) code = files_sync(o->work, e);
    if (!code && rename(o->work, o->path)) {                        /* an empty folder is replaced by this */
        old = must_format("%s.old", o->work);
        if ((errno != ENOTEMPTY && errno != EEXIST) || rename(o->path, old) || rename(o->work, o->path)) {
            code = error_set(e, EXIT_MACHINE, "%s: the finished shards cannot be moved there: %s", o->path, strerror(errno));
            (void)rename(old, o->path);
        }
    }
    if (!code) {
        free(o->work);
        o->work = NULL;
        code = files_sync(folder, e);
        if (old && !code) code = files_remove_tree(old, e);
    }
    free(old);
    free(folder);
    return code;
}

void shard_output_end(shard_output *o) {
    error ignored = {0};
    if (o->work) files_remove_tree(o->work, &ignored);
    free(o->work);
    free(o->path);
    *o = (shard_output){0};
}
