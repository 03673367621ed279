/* datagen/shard_spool.c - see shard_spool.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "datagen/shard_spool.h"

enum { COPY_BYTES = 1 << 20 };

static bool once_only(const char *path) {
    struct stat s;
    return !strcmp(path, "-") || (!stat(path, &s) && !S_ISREG(s.st_mode) && !S_ISDIR(s.st_mode));
}

static int copy(const stage *g, const char *from, const char *to, error *e) {
    int in = strcmp(from, "-") ? open(from, O_RDONLY | O_CLOEXEC) : 0, out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), code = 0;
    char *part = must_alloc(COPY_BYTES, 1);
    if (in < 0) code = error_set(e, EXIT_USAGE, "%s: cannot be read: %s", from, strerror(errno));
    else if (out < 0) code = error_set(e, EXIT_MACHINE, "%s: cannot be made: %s", to, strerror(errno));
    for (ssize_t n; !code && (n = read(in, part, COPY_BYTES)) != 0; ) {
        if (*g->stop) code = error_set(e, EXIT_MACHINE, "interrupted");
        else if (n < 0 && errno != EINTR) code = error_set(e, EXIT_MACHINE, "%s: reading failed: %s", from, strerror(errno));
        for (ssize_t done = 0, w; !code && done < n; done += w > 0 ? w : 0) {
            w = write(out, part + done, (size_t)(n - done));
            if (w < 0 && errno != EINTR) code = error_set(e, EXIT_MACHINE, "%s: cannot be written: %s; give another --temp", to, strerror(errno));
        }
    }
    if (in > 0) close(in);
    if (out >= 0) close(out);
    free(part);
    return code;
}

char **shard_spool(stage *g, char *const *paths, size_t count, error *e) {
    char **all = must_zalloc(count + 1, sizeof *all);
    unsigned char *spooled = must_zalloc(count + 1, 1);
    for (size_t i = 0; i < count; i++) all[i] = must_strdup(paths[i]);
    for (size_t i = 0; g->size > 1 && g->rank == 0 && i < count; i++) spooled[i] = once_only(paths[i]);
    if (g->size > 1) comm_broadcast(g->ranks, spooled, count, 0);
    for (size_t i = 0; i < count; i++) {
        if (!spooled[i]) continue;
        free(all[i]);
        size_t n = strlen(paths[i]);
        bool lines = !strcmp(paths[i], "-") ? g->s.text.json_key != NULL : n > 6 && !strcmp(paths[i] + n - 6, ".jsonl");
        all[i] = must_format("%s/input-%zu%s", g->temp, i, lines ? ".jsonl" : "");
        if (g->rank == 0 && !e->code) copy(g, paths[i], all[i], e);
    }
    free(spooled);
    (void)stage_agree(g, e);
    return all;
}

void shard_spool_free(char **paths, size_t count) {
    for (size_t i = 0; i < count; i++) free(paths[i]);
    free(paths);
}
