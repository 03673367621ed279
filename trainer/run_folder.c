/* trainer/run_folder.c - the RUN folder's small files and what may be removed from it. */
#include "trainer/run_folder.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uuid/uuid.h>
#include "base/files.h"
#include "base/folder_lock.h"
#include "base/json.h"
#include "trainer/checkpoint_manifest.h"

static const double takeover_s = 60;

void run_folder_new_uuid(char out[UUID_TEXT]) {
    uuid_t id;
    uuid_generate(id);
    uuid_unparse_lower(id, out);
}

/* The run's own uuid: read, or made on first use. */
static int read_identity(run_folder *r, error *e) {
    char *path = files_join(r->path, "run-id"), *data = NULL;
    size_t bytes = 0;
    int code = 0;
    if (files_exists(path)) {
        uuid_t id;
        code = files_read(path, 256, &data, &bytes, e);
        if (!code && (bytes < UUID_TEXT - 1 || (data[UUID_TEXT - 1] = 0, uuid_parse(data, id))))
            code = error_set(e, EXIT_USAGE, "%s: holds no UUID; restore it, or remove it and no older checkpoint is ever pruned", path);
        if (!code) memcpy(r->uuid, data, UUID_TEXT);
    } else {
        run_folder_new_uuid(r->uuid);
        char *line = must_format("%s\n", r->uuid);
        code = files_write_atomic(path, line, strlen(line), e);
        if (code) e->code = code = EXIT_USAGE;
        free(line);
    }
    free(data), free(path);
    return code;
}

static int prepare(run_folder *r, const char *path, error *e) {
    *r = (run_folder){.path = must_strdup(path), .lock = -1};
    int code = files_make_folders(path, e);
    if (!code && access(path, W_OK | X_OK)) code = error_set(e, EXIT_USAGE, "%s: cannot be written: %s", path, strerror(errno));
    if (code) e->code = code = EXIT_USAGE;
    return code;
}

static int take_heartbeat(run_folder *r, double takeover_seconds, error *e) {
    char unique[UUID_TEXT];
    run_folder_new_uuid(unique);
    return heartbeat_take(&r->heartbeat, r->path, unique, takeover_seconds, e);
}

static int finish_open(run_folder *r, int code, error *e) {
    if (!code) code = read_identity(r, e);
    if (code) run_folder_close(r);
    return code;
}

int run_folder_open(run_folder *r, const char *path, error *e) {
    int code = prepare(r, path, e);
    if (!code) code = folder_lock_take(path, &r->lock, e);
    if (!code && r->lock < 0) code = take_heartbeat(r, takeover_s, e);
    return finish_open(r, code, e);
}

int run_folder_open_heartbeat(run_folder *r, const char *path, double takeover_seconds, error *e) {
    int code = prepare(r, path, e);
    if (!code) code = take_heartbeat(r, takeover_seconds, e);
    return finish_open(r, code, e);
}

bool run_folder_held(const run_folder *r) { return r->lock >= 0 || (r->heartbeat && heartbeat_held(r->heartbeat)); }

void run_folder_close(run_folder *r) {
    if (r->lock >= 0) close(r->lock);   /* RUN/lock stays: removing it would let two jobs lock two files */
    heartbeat_free(r->heartbeat);
    free(r->path);
    *r = (run_folder){.lock = -1};
}

int run_folder_status(const run_folder *r, const char *state, int code, int64_t step, const char *checkpoint, error *e) {
    if (!run_folder_held(r)) return error_set(e, EXIT_MACHINE, "%s: another job took this run over; nothing more is written", r->path);
    json *j = json_new_object();
    json_set_string(j, "state", state);
    json_set_int(j, "code", code);
    json_set_int(j, "step", step);
    json_set_string(j, "checkpoint", checkpoint && *checkpoint ? checkpoint : NULL);
    char *printed = json_print(j, 0), *line = must_format("%s\n", printed), *path = files_join(r->path, "status.json");
    int result = files_write_atomic(path, line, strlen(line), e);
    free(printed), free(line), free(path);
    json_free(j);
    return result;
}

bool run_folder_finished(const run_folder *r, int64_t *step, char checkpoint[64]) {
    char *path = files_join(r->path, "status.json");
    json *j = NULL;
    error ignored = {0};
    bool done = files_exists(path) && !json_read(&j, path, 65536, &ignored) && !strcmp(manifest_text(j, "state"), "done") &&
                !json_need_int(j, "step", 0, INT64_MAX, path, step, &ignored);
    if (done) (void)snprintf(checkpoint, 64, "%s", manifest_text(j, "checkpoint"));
    if (j) json_free(j);
    free(path);
    return done;
}

void checkpoint_name(char name[64], int64_t step) { (void)snprintf(name, 64, "checkpoint-%07lld", (long long)step); }

static int by_step(const void *a, const void *b) {
    const checkpoint_entry *x = a, *y = b;
    return (x->step > y->step) - (x->step < y->step);
}

checkpoint_entry *run_folder_checkpoints(const char *path, size_t *count) {
    char **names = NULL;
    size_t n = 0;
    error ignored = {0};
    *count = 0;
    if (files_list(path, &names, &n, &ignored)) return NULL;
    checkpoint_entry *list = must_zalloc(n + 1, sizeof *list);
    for (size_t i = 0; i < n; i++) {
        checkpoint_entry c = {0};
        if (strncmp(names[i], "checkpoint-", 11)) continue;
        c.step = strtoll(names[i] + 11, NULL, 10);
        checkpoint_name(c.name, c.step);
        if (c.step >= 0 && !strcmp(c.name, names[i])) list[(*count)++] = c;
    }
    qsort(list, *count, sizeof *list, by_step);
    files_free_list(names, n);
    return list;
}

static bool of_this_run(const run_folder *r, const char *name) {
    char *folder = files_join(r->path, name);
    json *manifest = NULL;
    error ignored = {0};
    bool same = !manifest_read(&manifest, folder, &ignored) && !strcmp(manifest_text(manifest, "run"), r->uuid);
    if (manifest) json_free(manifest);
    free(folder);
    return same;
}

/* Renamed first, so that a half-removed folder never stands under a checkpoint's name. */
static int remove_checkpoint(const run_folder *r, const char *name, error *e) {
    char *from = files_join(r->path, name), *to = must_format("%s.tmp-%s", from, r->uuid);
    int code = files_remove_tree(to, e);
    if (!code && rename(from, to)) code = error_set(e, EXIT_MACHINE, "%s: cannot be renamed: %s", from, strerror(errno));
    if (!code) code = files_remove_tree(to, e);
    free(from), free(to);
    return code;
}

/* What a killed job of this run left behind. Only the holder of the lock comes here, so nobody is writing them. */
static int remove_stale(const run_folder *r, error *e) {
    static const char *const atomic[] = {"status.json.tmp-", "latest.tmp-", "run-id.tmp-", "heartbeat.tmp-"};
    char **names = NULL, *mark = must_format(".tmp-%s", r->uuid);
    size_t n = 0;
    int code = files_list(r->path, &names, &n, e);
    for (size_t i = 0; i < n && !code; i++) {
        const char *at = strstr(names[i], mark);
        bool stale = !strncmp(names[i], "checkpoint-", 11) && at && at[strlen(mark)] == 0;
        for (size_t k = 0; k < sizeof atomic / sizeof *atomic; k++) stale = stale || !strncmp(names[i], atomic[k], strlen(atomic[k]));
        char *path = files_join(r->path, names[i]);
        if (stale) code = files_remove_tree(path, e);
        free(path);
    }
    files_free_list(names, n);
    free(mark);
    return code;
}

int run_folder_prune(const run_folder *r, int64_t keep, int64_t keep_every, error *e) {
    size_t count;
    checkpoint_entry *list = run_folder_checkpoints(r->path, &count);
    int64_t newer = 0;
    int code = run_folder_held(r) ? 0 : error_set(e, EXIT_MACHINE, "%s: another job took this run over; nothing is removed", r->path);
    if (!code) code = remove_stale(r, e);
    if (keep < 1) keep = 1;
    for (size_t i = count; i-- > 0 && !code;) {
        if (!of_this_run(r, list[i].name)) continue;
        if (newer++ < keep || (keep_every > 0 && list[i].step % keep_every == 0)) continue;
        code = remove_checkpoint(r, list[i].name, e);
    }
    free(list);
    return code;
}
