/* datagen/text_paths.c - see text_paths.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/files.h"
#include "datagen/text_paths.h"

enum { DEEPEST = 64 };   /* folders within folders; a circle of symbolic links ends here */

static void add(text_paths *p, const char *name) {
    if (p->count == p->capacity) p->name = must_realloc(p->name, p->capacity = p->capacity ? 2 * p->capacity : 16, sizeof *p->name);
    p->name[p->count++] = must_strdup(name);
}

static int refuse(const char *path, error *e) {
    return error_set(e, EXIT_USAGE, "%s: cannot be read: %s; give a readable file, a folder or -", path, strerror(errno));
}

/* A regular file is opened once to be sure; a pipe is not, since that would take it from its writer. */
static int add_file(text_paths *p, const char *path, const struct stat *s, bool *sized, error *e) {
    if (S_ISREG(s->st_mode)) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0) return refuse(path, e);
        close(fd);
        p->bytes += (uint64_t)s->st_size;
    } else if (S_ISBLK(s->st_mode) || S_ISCHR(s->st_mode) || S_ISSOCK(s->st_mode)) {
        return error_set(e, EXIT_USAGE, "%s: is a device or a socket; give a file, a folder, a pipe or -", path);
    } else {
        if (access(path, R_OK)) return refuse(path, e);
        *sized = false;
    }
    add(p, path);
    return 0;
}

static int walk(text_paths *p, const char *folder, int depth, bool *sized, error *e) {
    char **names;
    size_t count;
    if (depth > DEEPEST) return error_set(e, EXIT_USAGE, "%s: more than %d folders deep; is there a circle of links?", folder, DEEPEST);
    if (access(folder, R_OK | X_OK)) return refuse(folder, e);
    if (files_list(folder, &names, &count, e)) return e->code;
    int code = 0;
    for (size_t i = 0; i < count && !code; i++) {
        if (names[i][0] == '.') continue;
        char *path = files_join(folder, names[i]);
        struct stat s;
        if (stat(path, &s)) code = refuse(path, e);
        else if (S_ISDIR(s.st_mode)) code = walk(p, path, depth + 1, sized, e);
        else if (S_ISREG(s.st_mode)) code = add_file(p, path, &s, sized, e);
        free(path);
    }
    files_free_list(names, count);
    return code;
}

int text_paths_find(text_paths *out, char *const *paths, size_t count, error *e) {
    *out = (text_paths){0};
    bool sized = true;
    if (!count) return error_set(e, EXIT_USAGE, "no text given; name files, folders or - for standard input");
    for (size_t i = 0; i < count; i++) {
        struct stat s;
        size_t before = out->count;
        int code = 0;
        if (!strcmp(paths[i], "-")) { add(out, "-"); sized = false; }
        else if (stat(paths[i], &s)) code = refuse(paths[i], e);
        else if (S_ISDIR(s.st_mode)) {
            code = walk(out, paths[i], 1, &sized, e);
            if (!code && out->count == before) code = error_set(e, EXIT_USAGE, "%s: holds no files; give a folder with text", paths[i]);
        } else code = add_file(out, paths[i], &s, &sized, e);
        if (code) { text_paths_free(out); return code; }
    }
    if (!sized) out->bytes = 0;
    return 0;
}

void text_paths_free(text_paths *p) {
    for (size_t i = 0; i < p->count; i++) free(p->name[i]);
    free(p->name);
    *p = (text_paths){0};
}
