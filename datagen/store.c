/* datagen/store.c - see store.h. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "datagen/store.h"
#include "datagen/store_file.h"

void memory_budget_init(memory_budget *b, uint64_t bytes) { atomic_init(&b->left, (int64_t)(bytes < INT64_MAX ? bytes : INT64_MAX)); }

bool memory_budget_take(memory_budget *b, size_t bytes) {
    int64_t left = atomic_load(&b->left);
    while (left >= (int64_t)bytes) {
        if (atomic_compare_exchange_weak(&b->left, &left, left - (int64_t)bytes)) return true;
    }
    return false;
}

void memory_budget_give(memory_budget *b, size_t bytes) { atomic_fetch_add(&b->left, (int64_t)bytes); }

store *store_new(const char *folder, const char *name, int rank, memory_budget *budget) {
    store *s = must_zalloc(1, sizeof *s);
    s->folder = must_strdup(folder);
    s->name = must_strdup(name);
    s->rank = (uint32_t)rank;
    s->budget = budget;
    atomic_init(&s->end, 0);
    pthread_mutex_init(&s->mutex, NULL);
    return s;
}

char *store_path(const store *s, uint32_t rank, const char *ending) { return must_format("%s/%s-%u%s", s->folder, s->name, rank, ending); }

void store_free(store *s) {
    if (!s) return;
    for (uint32_t r = 0; r < s->files; r++) if (s->fd[r] >= 0) close(s->fd[r]);
    if (s->rank < s->files && s->fd[s->rank] >= 0) {
        char *path = store_path(s, s->rank, "");
        (void)unlink(path);
        free(path);
    }
    pthread_mutex_destroy(&s->mutex);
    free(s->fd);
    free(s->folder);
    free(s->name);
    free(s);
}

/* The open file of a rank; opened at first use. -1: *e is set. */
static int file_of(store *s, uint32_t rank, error *e) {
    pthread_mutex_lock(&s->mutex);
    if (rank >= s->files) {
        s->fd = must_realloc(s->fd, rank + 1, sizeof *s->fd);
        while (s->files <= rank) s->fd[s->files++] = -1;
    }
    if (s->fd[rank] < 0) {
        char *path = store_path(s, rank, "");
        s->fd[rank] = open(path, rank == s->rank ? O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC : O_RDONLY | O_CLOEXEC, 0600);
        if (s->fd[rank] < 0) error_set(e, EXIT_MACHINE, "%s: cannot be opened: %s; give another --temp", path, strerror(errno));
        free(path);
    }
    int fd = s->fd[rank];
    pthread_mutex_unlock(&s->mutex);
    return fd;
}

static int refuse(const store *s, uint32_t rank, const char *what, error *e) {
    int problem = errno;
    char *path = store_path(s, rank, "");
    error_set(e, EXIT_MACHINE, "%s: %s: %s; %s", path, what, strerror(problem),
              problem == ENOSPC || problem == EDQUOT || problem == EFBIG ? "give a --temp with more space, or more --memory" : "give another --temp");
    free(path);
    return e->code;
}

int store_write(store *s, const void *data, size_t bytes, store_place *place, error *e) {
    int fd = file_of(s, s->rank, e);
    if (fd < 0) return e->code;
    uint64_t offset = atomic_fetch_add(&s->end, bytes);
    *place = (store_place){ .offset = offset, .bytes = bytes, .rank = s->rank };
    for (const char *p = data; bytes; ) {
        ssize_t n = pwrite(fd, p, bytes, (off_t)offset);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return refuse(s, s->rank, "cannot be written", e);
        p += n, bytes -= (size_t)n, offset += (uint64_t)n;
    }
    return 0;
}

int store_put(store *s, void *data, size_t bytes, store_place *place, error *e) {
    if (memory_budget_take(s->budget, bytes)) {
        *place = (store_place){ .data = data, .bytes = bytes, .rank = s->rank };
        return 0;
    }
    int code = store_write(s, data, bytes, place, e);
    free(data);
    return code;
}

int store_flush(store *s, store_place *place, error *e) {
    if (!place->data) return 0;
    store_place old = *place;
    if (store_write(s, old.data, (size_t)old.bytes, place, e)) {
        *place = old;
        return e->code;
    }
    store_drop(s, &old);
    return 0;
}

int store_read(store *s, const store_place *place, void *out, error *e) {
    if (place->data) {
        memcpy(out, place->data, (size_t)place->bytes);
        return 0;
    }
    if (!place->bytes) return 0;
    int fd = file_of(s, place->rank, e);
    if (fd < 0) return e->code;
    char *p = out;
    for (uint64_t left = place->bytes, at = place->offset; left; ) {
        ssize_t n = pread(fd, p, (size_t)left, (off_t)at);
        if (n < 0 && errno == EINTR) continue;
        if (n == 0) errno = EIO;                               /* shorter than what was written */
        if (n <= 0) return refuse(s, place->rank, "cannot be read", e);
        p += n, at += (uint64_t)n, left -= (uint64_t)n;
    }
    return 0;
}

const void *store_get(store *s, const store_place *place, store_scratch *scratch, error *e) {
    if (place->data) return place->data;
    if (place->bytes > scratch->capacity) {
        free(scratch->data);
        scratch->data = must_alloc(scratch->capacity = (size_t)place->bytes + (size_t)place->bytes / 4, 1);
    } else if (!scratch->data) scratch->data = must_alloc(scratch->capacity = 1, 1);
    return store_read(s, place, scratch->data, e) ? NULL : scratch->data;
}

void store_drop(store *s, store_place *place) {
    if (!place->data) return;
    free(place->data);
    memory_budget_give(s->budget, (size_t)place->bytes);
    place->data = NULL;
    place->bytes = 0;
}

uint64_t store_file_bytes(const store *s) { return atomic_load(&s->end); }
