/* datagen/child.c - see child.h. */
#define _GNU_SOURCE              /* prctl, strsignal */
#include "datagen/child.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/timer.h"

enum { PIECE_BYTES = 1 << 16 };

void child_write(int out, const void *data, size_t bytes) {
    for (const char *p = data; bytes > 0;) {
        ssize_t n = write(out, p, bytes);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) _exit(EXIT_MACHINE);
        p += n;
        bytes -= (size_t)n;
    }
}

/* Address space in use now: the libraries of this program reserve some that they never touch. */
static uint64_t address_space(void) {
    unsigned long long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f && fscanf(f, "%llu", &pages) != 1) pages = 0;
    if (f) fclose(f);
    return pages ? pages * (uint64_t)sysconf(_SC_PAGESIZE) : (uint64_t)1 << 30;
}

static void set_limits(const child_limits *limits) {
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
#ifndef __SANITIZE_ADDRESS__     /* its shadow memory is terabytes of address space */
    rlim_t most = (rlim_t)(address_space() + limits->memory_bytes);
    struct rlimit memory = {most, most};
    setrlimit(RLIMIT_AS, &memory);
#else
    (void)limits, (void)address_space;
#endif
}

static void leave(int code) { _exit(code); }

static _Noreturn void be_child(child_work *work, void *context, const child_limits *limits, int out) {
    error e = {0};
    int shut = open("/dev/null", O_WRONLY);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (shut >= 0) dup2(shut, STDERR_FILENO);       /* the parent says the one line */
    fail_set_hook(leave);
    set_limits(limits);
    int code = work(context, out, &e);
    if (code && !e.code) error_set(&e, code, "failed without a reason");
    child_write(out, &e, sizeof e);
    _exit(0);
}

/* Reads until the child closes its end. False: nothing came for too long. */
static bool listen_to(int in, double quiet_s, text *out) {
    char piece[PIECE_BYTES];
    for (double heard = timer_now();;) {
        struct pollfd p = {in, POLLIN, 0};
        double left = heard + quiet_s - timer_now();
        int ready = left <= 0 ? 0 : poll(&p, 1, left > 1e6 ? -1 : (int)(left * 1000) + 1);
        if (ready < 0 && errno == EINTR) continue;
        if (ready <= 0) return false;
        ssize_t n = read(in, piece, sizeof piece);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return true;
        text_add(out, piece, (size_t)n);
        heard = timer_now();
    }
}

static int verdict(int status, bool late, const child_limits *limits, const char *where, error *e) {
    double mib = (double)limits->memory_bytes / (1 << 20);
    if (late) return error_set(e, EXIT_USAGE, "%s: reading it made no progress for %g s and was ended: the file is damaged, or made to do harm",
                               where, limits->quiet_s);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        return error_set(e, EXIT_MACHINE, "%s: the process that read it was killed; is the machine short of memory?", where);
    if (WIFSIGNALED(status))
        return error_set(e, EXIT_USAGE, "%s: reading it crashed (%s): the file is damaged, or made to do harm", where, strsignal(WTERMSIG(status)));
    return error_set(e, EXIT_USAGE, "%s: reading it needs more than %g MiB of memory; the file is damaged, or the limit too low", where, mib);
}

int child_run(child_work *work, void *context, const child_limits *limits, const char *where, text *out, error *e) {
    int ends[2], status = 0;
    out->bytes = 0;
    if (pipe(ends)) return error_set(e, EXIT_MACHINE, "%s: no pipe: %s", where, strerror(errno));
    fflush(NULL);                                   /* else the child would print it again */
    pid_t child = fork();
    if (child < 0) {
        close(ends[0]), close(ends[1]);
        return error_set(e, EXIT_MACHINE, "%s: no process can be started to read it: %s", where, strerror(errno));
    }
    if (child == 0) {
        close(ends[0]);
        be_child(work, context, limits, ends[1]);
    }
    close(ends[1]);
    bool late = !listen_to(ends[0], limits->quiet_s, out);
    if (late) kill(child, SIGKILL);
    close(ends[0]);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {}
    bool whole = !late && WIFEXITED(status) && WEXITSTATUS(status) == 0 && out->bytes >= sizeof *e;
    if (!whole) return verdict(status, late, limits, where, e);
    out->bytes -= sizeof *e;
    error told;
    memcpy(&told, out->data + out->bytes, sizeof told);
    if (told.code) *e = told;
    return told.code;
}
