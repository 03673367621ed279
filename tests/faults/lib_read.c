/* tests/faults/lib_read.c - to be preloaded: read() as a bad day has it, for files whose name begins with READ_FAULT_PATH.
 *
 * Every read gives at most READ_FAULT_BYTES, every third fails with EINTR first; the READ_FAULT_EIO-th fails with EIO. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

ssize_t read(int fd, void *data, size_t bytes) {
    static ssize_t (*real)(int, void *, size_t);
    static long calls;
    char link[64], path[4096] = "";
    const char *wanted = getenv("READ_FAULT_PATH"), *most = getenv("READ_FAULT_BYTES"), *broken = getenv("READ_FAULT_EIO");
    if (!real) real = (ssize_t (*)(int, void *, size_t))dlsym(RTLD_NEXT, "read");
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    if (!wanted || readlink(link, path, sizeof path - 1) < 0 || strncmp(path, wanted, strlen(wanted))) return real(fd, data, bytes);
    calls++;
    if (broken && calls == atol(broken)) return errno = EIO, -1;
    if (calls % 3 == 0) return errno = EINTR, -1;
    return real(fd, data, most && (size_t)atol(most) < bytes ? (size_t)atol(most) : bytes);
}
