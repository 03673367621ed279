/* tests/faults/count_calls.c - preloaded: counts the calls that change files, from the making of the work folder to its renaming, and kills the
 * process before the KILL_AT-th of them (only in rank KILL_RANK, if given). COUNT_FILE gets the number of calls up to the renaming.
 * FREE_BYTES: what every file system says it has left.
 *
 *     cc -shared -fPIC -o count_calls.so tests/faults/count_calls.c -ldl;  KILL_AT=17 LD_PRELOAD=./count_calls.so bert-shard ... */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static _Atomic long calls;
static _Atomic int armed;

static void tick(void) {
    if (!atomic_load(&armed)) return;
    const char *at = getenv("KILL_AT"), *wanted = getenv("KILL_RANK"), *rank = getenv("OMPI_COMM_WORLD_RANK");
    long n = atomic_fetch_add(&calls, 1) + 1;
    if (at && n == atol(at) && (!wanted || (rank && !strcmp(rank, wanted)))) kill(getpid(), SIGKILL);
}

static void finish(void) {
    const char *path = getenv("COUNT_FILE");
    FILE *f = path ? fopen(path, "w") : NULL;
    if (f) fprintf(f, "%ld\n", atomic_load(&calls)), fclose(f);
    atomic_store(&armed, 0);
}

static int is_work(const char *path) { return strstr(path, ".unfinished") != NULL; }

#define REAL(name) static __typeof__(name) *real; if (!real) *(void **)&real = dlsym(RTLD_NEXT, #name)
#define FLAGS_AND_MODE va_list list; va_start(list, flags); mode_t mode = flags & O_CREAT ? va_arg(list, mode_t) : 0; va_end(list)

int mkdir(const char *path, mode_t mode) {
    REAL(mkdir);
    if (is_work(path)) atomic_store(&armed, 1);
    tick();
    return real(path, mode);
}
int rename(const char *from, const char *to) {
    REAL(rename);
    tick();
    if (is_work(from) && !is_work(to)) finish();
    return real(from, to);
}
int open(const char *path, int flags, ...) { REAL(open); FLAGS_AND_MODE; if (is_work(path)) atomic_store(&armed, 1); tick(); return real(path, flags, mode); }
int open64(const char *path, int flags, ...) { REAL(open64); FLAGS_AND_MODE; tick(); return real(path, flags, mode); }
ssize_t write(int fd, const void *data, size_t n) { REAL(write); tick(); return real(fd, data, n); }
ssize_t pwrite(int fd, const void *data, size_t n, off_t at) { REAL(pwrite); tick(); return real(fd, data, n, at); }
ssize_t pwrite64(int fd, const void *data, size_t n, off64_t at) { REAL(pwrite64); tick(); return real(fd, data, n, at); }
int fsync(int fd) { REAL(fsync); tick(); return real(fd); }
int ftruncate(int fd, off_t n) { REAL(ftruncate); tick(); return real(fd, n); }
int ftruncate64(int fd, off64_t n) { REAL(ftruncate64); tick(); return real(fd, n); }
int unlink(const char *path) { REAL(unlink); tick(); return real(path); }
int unlinkat(int folder, const char *path, int flags) { REAL(unlinkat); tick(); return real(folder, path, flags); }

int statvfs(const char *path, struct statvfs *out) {
    REAL(statvfs);
    const char *left = getenv("FREE_BYTES");
    int code = real(path, out);
    if (!code && left) out->f_bavail = (fsblkcnt_t)(atoll(left) / (long long)out->f_frsize);
    return code;
}
