/* base/folder_lock.c - the lock of a folder and its stand-in. */
#define _XOPEN_SOURCE 700
#include "base/folder_lock.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "base/files.h"

/* "process 4711 on node7, Slurm job 55": what a refused job is told. */
static char *who_am_i(void) {
    char host[256] = "unknown host";
    const char *job = getenv("SLURM_JOB_ID");
    (void)gethostname(host, sizeof host - 1);
    return job && *job ? must_format("process %ld on %s, Slurm job %.40s\n", (long)getpid(), host, job)
                       : must_format("process %ld on %s\n", (long)getpid(), host);
}

static int held_by(const char *path, const char *who, const char *more, error *e) {
    return error_set(e, EXIT_USAGE, "%s: in use by %.*s%s; wait for it, end it, or give another --output", path, (int)strcspn(who, "\n"),
                     *who && *who != '\n' ? who : "another job", more);
}

int folder_lock_take(const char *path, int *fd, error *e) {
    char *name = files_join(path, "lock"), *who = who_am_i(), holder[512] = "";
    int code = 0;
    *fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (*fd < 0) code = error_set(e, EXIT_USAGE, "%s: cannot be written: %s", name, strerror(errno));
    else if (!fcntl(*fd, F_SETLK, &whole)) {
        ssize_t bytes = (ssize_t)strlen(who);     /* for the message only: the lock holds without it */
        if (ftruncate(*fd, 0) || pwrite(*fd, who, (size_t)bytes, 0) != bytes)
            code = error_set(e, EXIT_USAGE, "%s: cannot be written: %s", name, strerror(errno));
    } else if (errno == EACCES || errno == EAGAIN) {
        (void)!pread(*fd, holder, sizeof holder - 1, 0);
        code = held_by(path, holder, "", e);
    } else if (errno == ENOLCK || errno == ENOSYS || errno == EOPNOTSUPP || errno == ENOTSUP || errno == EINVAL) {
        close(*fd);
        *fd = -1;
    } else code = error_set(e, EXIT_USAGE, "%s: cannot be locked: %s", name, strerror(errno));
    if (code && *fd >= 0) close(*fd), *fd = -1;
    free(name), free(who);
    return code;
}

struct heartbeat {
    char *path;                          /* RUN/heartbeat */
    char *who;
    int fd;
    double period_s;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    bool stop, lost, started;            /* under mutex */
};

static double seconds_of(const struct stat *st) { return (double)st->st_mtim.tv_sec + 1e-9 * (double)st->st_mtim.tv_nsec; }

static bool mine(const heartbeat *h) {
    struct stat own, there;
    return !fstat(h->fd, &own) && !stat(h->path, &there) && own.st_dev == there.st_dev && own.st_ino == there.st_ino;
}

static void sleep_s(double seconds) {
    struct timespec t = {.tv_sec = (time_t)seconds, .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9)};
    while (nanosleep(&t, &t) && errno == EINTR) {}
}

static void *beat(void *argument) {
    heartbeat *h = argument;
    pthread_mutex_lock(&h->mutex);
    while (!h->stop && !h->lost) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        double next = (double)until.tv_nsec * 1e-9 + h->period_s;
        until.tv_sec += (time_t)next;
        until.tv_nsec = (long)((next - (double)(time_t)next) * 1e9);
        pthread_cond_timedwait(&h->wake, &h->mutex, &until);
        if (h->stop) break;
        if (!mine(h)) h->lost = true;
        else if (pwrite(h->fd, h->who, strlen(h->who), 0) > 0) (void)fsync(h->fd);   /* a full disk does not lose the lock */
    }
    pthread_mutex_unlock(&h->mutex);
    return NULL;
}

static int take(heartbeat *h, const char *path, const char *probe, double takeover_seconds, error *e) {
    struct stat now, other;
    char more[80] = "", *holder = NULL;
    size_t bytes;
    if (files_write_synced(probe, h->who, strlen(h->who), e)) return e->code = EXIT_USAGE;
    h->fd = open(probe, O_RDWR | O_CLOEXEC);
    if (h->fd < 0 || fstat(h->fd, &now)) return error_set(e, EXIT_USAGE, "%s: cannot be opened: %s", probe, strerror(errno));
    double age = stat(h->path, &other) ? takeover_seconds : seconds_of(&now) - seconds_of(&other);
    bool refused = age < takeover_seconds;
    if (refused) (void)snprintf(more, sizeof more, " (sign of life %.0f s ago; taken over after %.0f s)", age < 0 ? 0 : age, takeover_seconds);
    if (!refused) {
        if (rename(probe, h->path)) return error_set(e, EXIT_USAGE, "%s: cannot be renamed: %s", probe, strerror(errno));
        sleep_s(takeover_seconds / 30);   /* two newcomers at once: the last rename wins, both see it */
        refused = !mine(h);
    }
    if (!refused) return 0;
    error ignored = {0};
    (void)files_read(h->path, 4096, &holder, &bytes, &ignored);
    int code = held_by(path, holder ? holder : "", more, e);
    free(holder);
    return code;
}

int heartbeat_take(heartbeat **out, const char *path, const char *unique, double takeover_seconds, error *e) {
    heartbeat *h = must_zalloc(1, sizeof *h);
    char *probe = must_format("%s/heartbeat.tmp-%s", path, unique);
    *h = (heartbeat){.path = files_join(path, "heartbeat"), .who = who_am_i(), .fd = -1, .period_s = takeover_seconds / 6};
    pthread_mutex_init(&h->mutex, NULL);
    pthread_cond_init(&h->wake, NULL);
    int code = take(h, path, probe, takeover_seconds, e);
    if (!code && pthread_create(&h->thread, NULL, beat, h)) code = error_set(e, EXIT_USAGE, "%s: no thread for the heartbeat", path);
    h->started = !code;
    if (code) {
        (void)unlink(probe);
        if (h->fd >= 0) close(h->fd);
        h->fd = -1;
        heartbeat_free(h);
        h = NULL;
    }
    free(probe);
    *out = h;
    return code;
}

bool heartbeat_held(heartbeat *h) {
    pthread_mutex_lock(&h->mutex);
    bool held = !h->lost;
    pthread_mutex_unlock(&h->mutex);
    return held;
}

void heartbeat_free(heartbeat *h) {
    if (!h) return;
    if (h->started) {
        pthread_mutex_lock(&h->mutex);
        h->stop = true;
        pthread_cond_signal(&h->wake);
        pthread_mutex_unlock(&h->mutex);
        pthread_join(h->thread, NULL);
    }
    if (h->fd >= 0) {
        if (mine(h)) (void)unlink(h->path);
        close(h->fd);
    }
    pthread_cond_destroy(&h->wake);
    pthread_mutex_destroy(&h->mutex);
    free(h->path), free(h->who), free(h);
}
