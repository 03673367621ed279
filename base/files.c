/* base/files.c - whole files and folders. */
#define _XOPEN_SOURCE 700   /* realpath */
#include "base/files.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEEPEST = 64 };   /* folders inside folders that files_remove_tree() follows */

static int refuse(error *e, int code, const char *path, const char *what) {
    return error_set(e, code, "%s: %s: %s", path, what, strerror(errno));
}

int files_read(const char *path, size_t limit, char **data, size_t *bytes, error *e) {
    *data = NULL, *bytes = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);   /* a FIFO must not hold us */
    if (fd < 0) return refuse(e, EXIT_USAGE, path, "cannot be opened");
    struct stat st;
    int code = 0;
    if (fstat(fd, &st)) code = refuse(e, EXIT_USAGE, path, "cannot be examined");
    else if (!S_ISREG(st.st_mode)) code = error_set(e, EXIT_USAGE, "%s: not a regular file", path);
    else if ((uint64_t)st.st_size > limit) code = error_set(e, EXIT_USAGE, "%s: %lld bytes; at most %zu are read", path, (long long)st.st_size, limit);
    if (code) return close(fd), code;
    size_t room = (size_t)st.st_size + 1, used = 0;           /* one byte more shows that the file grew, and holds the NUL */
    char *text = must_alloc(room, 1);
    for (;;) {
        ssize_t n = read(fd, text + used, room - used);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) code = refuse(e, EXIT_USAGE, path, "cannot be read");
        if (n <= 0) break;
        used += (size_t)n;
        if (used > limit) { code = error_set(e, EXIT_USAGE, "%s: more than %zu bytes", path, limit); break; }
        if (used == room) text = must_realloc(text, room = room < limit / 2 ? 2 * room : limit + 1, 1);
    }
    close(fd);
    if (code) return free(text), code;
    text[used] = 0;
    *data = text, *bytes = used;
    return 0;
}

/* Writes all, makes it durable, closes fd in any case. Devices and pipes know no fsync. */
static int finish_file(int fd, const char *path, const void *data, size_t bytes, error *e) {
    const char *p = data;
    for (size_t done = 0; done < bytes;) {
        ssize_t n = write(fd, p + done, bytes - done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            int code = refuse(e, EXIT_MACHINE, path, "cannot be written");
            return close(fd), code;
        }
        done += (size_t)n;
    }
    if (fsync(fd) && errno != EINVAL && errno != EROFS) {
        int code = refuse(e, EXIT_MACHINE, path, "cannot be made durable");
        return close(fd), code;
    }
    return close(fd) ? refuse(e, EXIT_MACHINE, path, "cannot be closed") : 0;
}

int files_write_synced(const char *path, const void *data, size_t bytes, error *e) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    return fd < 0 ? refuse(e, EXIT_MACHINE, path, "cannot be made") : finish_file(fd, path, data, bytes, e);
}

static char *parent_of(const char *path) {
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') n--;
    while (n && path[n - 1] != '/') n--;
    while (n > 1 && path[n - 1] == '/') n--;
    return n ? must_format("%.*s", (int)n, path) : must_strdup(".");
}

/* The new file beside the old one; no two writers share a name (O_EXCL), a left-over of a dead writer is not reused. */
static int write_and_rename(const char *path, const void *data, size_t bytes, error *e) {
    char *temp = NULL;
    int fd = -1;
    for (int i = 0; i < 100 && fd < 0; i++) {
        free(temp);
        temp = must_format("%s.tmp-%ld-%d", path, (long)getpid(), i);
        fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd < 0 && errno != EEXIST) break;
    }
    int code = fd < 0 ? refuse(e, EXIT_MACHINE, path, "cannot be made") : finish_file(fd, path, data, bytes, e);
    if (!code && rename(temp, path)) code = refuse(e, EXIT_MACHINE, path, "cannot be renamed into place");
    if (code && fd >= 0) unlink(temp);
    free(temp);
    if (code) return code;
    char *folder = parent_of(path);
    code = files_sync(folder, e);
    free(folder);
    return code;
}

int files_write_atomic(const char *path, const void *data, size_t bytes, error *e) {
    struct stat st;
    if (!stat(path, &st) && !S_ISREG(st.st_mode)) {           /* /dev/stdout, a pipe: must not be renamed over */
        if (S_ISDIR(st.st_mode)) return error_set(e, EXIT_MACHINE, "%s: is a folder; give a file's name", path);
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        return fd < 0 ? refuse(e, EXIT_MACHINE, path, "cannot be opened") : finish_file(fd, path, data, bytes, e);
    }
    if (lstat(path, &st) || !S_ISLNK(st.st_mode)) return write_and_rename(path, data, bytes, e);
    char *target = realpath(path, NULL);                      /* a link stays, what it names is replaced */
    if (!target) return refuse(e, EXIT_MACHINE, path, "cannot be followed");
    int code = write_and_rename(target, data, bytes, e);
    free(target);
    return code;
}

int files_sync(const char *path, error *e) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return refuse(e, EXIT_MACHINE, path, "cannot be opened");
    int code = fsync(fd) && errno != EINVAL ? refuse(e, EXIT_MACHINE, path, "cannot be made durable") : 0;   /* EINVAL: a file system without it */
    close(fd);
    return code;
}

int files_make_folders(const char *path, error *e) {
    char *part = must_strdup(path);
    int code = 0;
    for (char *p = part + 1; !code && *part; p++) {
        if (*p && *p != '/') continue;
        char kept = *p;
        *p = 0;
        if (!mkdir(part, 0777)) {                             /* the new name is in its parent: that is made durable, as far as it can be */
            error ignored = {0};
            char *folder = parent_of(part);
            (void)files_sync(folder, &ignored);
            free(folder);
        } else if (!files_is_folder(part)) code = refuse(e, EXIT_USAGE, part, "cannot be made as a folder");
        *p = kept;
        if (!kept) break;
    }
    free(part);
    if (!code && !files_is_folder(path)) code = error_set(e, EXIT_USAGE, "%s: is not a folder", path);
    return code;
}

static int remove_in(int parent, const char *name, int depth) {
    if (!unlinkat(parent, name, 0) || errno == ENOENT) return 0;
    if (errno != EISDIR && errno != EPERM) return -1;         /* EPERM: POSIX's word for "a folder" */
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return -1;
    if (depth >= DEEPEST) { close(fd), errno = ELOOP; return -1; }
    DIR *d = fdopendir(fd);
    if (!d) { close(fd); return -1; }
    int bad = 0;
    for (struct dirent *entry; !bad && (errno = 0, entry = readdir(d));)
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..")) bad = remove_in(dirfd(d), entry->d_name, depth + 1);
    if (!bad && errno) bad = -1;
    int problem = errno;
    closedir(d);
    errno = problem;
    return bad ? bad : unlinkat(parent, name, AT_REMOVEDIR);
}

int files_remove_tree(const char *path, error *e) {
    return remove_in(AT_FDCWD, path, 0) ? refuse(e, EXIT_MACHINE, path, "cannot be removed") : 0;
}

bool files_exists(const char *path) {
    struct stat st;
    return !stat(path, &st);
}

bool files_is_folder(const char *path) {
    struct stat st;
    return !stat(path, &st) && S_ISDIR(st.st_mode);
}

char *files_join(const char *folder, const char *name) {
    size_t n = strlen(folder);
    return must_format(n && folder[n - 1] != '/' ? "%s/%s" : "%s%s", folder, name);
}

static int by_bytes(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

int files_list(const char *folder, char ***names, size_t *count, error *e) {
    *names = NULL, *count = 0;
    DIR *d = opendir(folder);
    if (!d) return refuse(e, EXIT_USAGE, folder, "cannot be listed");
    size_t room = 16, n = 0;
    char **list = must_alloc(room, sizeof *list);
    for (struct dirent *entry; (errno = 0, entry = readdir(d));) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        if (n == room) list = must_realloc(list, room *= 2, sizeof *list);
        list[n++] = must_strdup(entry->d_name);
    }
    int code = errno ? refuse(e, EXIT_USAGE, folder, "cannot be listed") : 0;
    closedir(d);
    if (code) return files_free_list(list, n), code;
    qsort(list, n, sizeof *list, by_bytes);
    *names = list, *count = n;
    return 0;
}

void files_free_list(char **names, size_t count) {
    for (size_t i = 0; i < count; i++) free(names[i]);
    free(names);
}
