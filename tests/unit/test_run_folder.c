/* RUN: one holder at a time, freed by death; status, identity, what is pruned and what never is. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "base/files.h"
#include "base/json.h"
#include "trainer/checkpoint_manifest.h"
#include "trainer/run_folder.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>   /* last: it has a macro named fail */

static char *fresh(const char *name) {
    const char *folder = getenv("TMPDIR");
    char *path = files_join(folder ? folder : "/tmp", name);
    error e = {0};
    assert_int_equal(files_remove_tree(path, &e), 0);
    return path;
}

typedef int opener(run_folder *, const char *, error *);
static int with_lock(run_folder *r, const char *path, error *e) { return run_folder_open(r, path, e); }
static int with_heartbeat(run_folder *r, const char *path, error *e) { return run_folder_open_heartbeat(r, path, 1.0, e); }

static void wait_ms(long ms) {
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&t, &t)) {}
}

/* A child that holds the folder until it is killed. */
static pid_t holder(const char *path, opener *open) {
    int ready[2];
    char byte = 0;
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (!child) {
        run_folder r;
        error e = {0};
        if (open(&r, path, &e)) _exit(1);
        if (write(ready[1], "r", 1) != 1) _exit(1);
        for (;;) pause();
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return child;
}

static void second_is_refused(const char *path, opener *open, long freed_after_ms) {
    run_folder r;
    error e = {0};
    char pid[40];
    setenv("SLURM_JOB_ID", "4711", 1);
    pid_t child = holder(path, open);
    unsetenv("SLURM_JOB_ID");
    assert_int_equal(open(&r, path, &e), EXIT_USAGE);
    (void)snprintf(pid, sizeof pid, "process %ld on ", (long)child);
    if (!strstr(e.text, pid) || !strstr(e.text, "Slurm job 4711")) fail_msg("\"%s\" does not name \"%s\" and job 4711", e.text, pid);
    assert_null(strchr(e.text, '\n'));
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    wait_ms(freed_after_ms);
    if (open(&r, path, &e)) fail_msg("not free after the holder died: %s", e.text);
    assert_true(run_folder_held(&r));
    run_folder_close(&r);
    assert_int_equal(open(&r, path, &e), 0);
    run_folder_close(&r);
}

static void lock(void **state) {
    (void)state;
    char *path = fresh("run-lock");
    second_is_refused(path, with_lock, 0);
    free(path);
}

static void heartbeat(void **state) {
    (void)state;
    char *path = fresh("run-heartbeat");
    second_is_refused(path, with_heartbeat, 1100);
    pid_t child = holder(path, with_heartbeat);
    wait_ms(1500);                                     /* it beats on: longer than the takeover time changes nothing */
    run_folder r;
    error e = {0};
    assert_int_equal(with_heartbeat(&r, path, &e), EXIT_USAGE);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    free(path);
}

static void a_stalled_holder_learns_that_it_lost(void **state) {
    (void)state;
    char *path = fresh("run-stalled"), *theirs = files_join(path, "theirs"), *beat = files_join(path, "heartbeat");
    run_folder r;
    error e = {0};
    assert_int_equal(with_heartbeat(&r, path, &e), 0);
    assert_int_equal(files_write_synced(theirs, "process 1 on elsewhere\n", 23, &e), 0);
    assert_int_equal(rename(theirs, beat), 0);
    wait_ms(500);
    assert_false(run_folder_held(&r));
    assert_int_equal(run_folder_status(&r, "running", 0, 1, NULL, &e), EXIT_MACHINE);
    assert_int_equal(run_folder_prune(&r, 1, 0, &e), EXIT_MACHINE);
    run_folder_close(&r);
    assert_true(files_exists(beat));                     /* not ours to remove */
    free(path), free(theirs), free(beat);
}

static void identity_and_status(void **state) {
    (void)state;
    char *path = fresh("run-status"), uuid[UUID_TEXT], name[64] = "", *id = files_join(path, "run-id");
    run_folder r;
    error e = {0};
    int64_t step = 0;
    assert_int_equal(run_folder_open(&r, path, &e), 0);
    memcpy(uuid, r.uuid, sizeof uuid);
    assert_int_equal(strlen(uuid), 36);
    assert_false(run_folder_finished(&r, &step, name));
    assert_int_equal(run_folder_status(&r, "stopped", 75, 7, "checkpoint-0000007", &e), 0);
    assert_false(run_folder_finished(&r, &step, name));
    assert_int_equal(run_folder_status(&r, "done", 0, 9, "checkpoint-0000009", &e), 0);
    assert_true(run_folder_finished(&r, &step, name));
    assert_int_equal(step, 9);
    assert_string_equal(name, "checkpoint-0000009");
    run_folder_close(&r);
    assert_int_equal(run_folder_open(&r, path, &e), 0);
    assert_string_equal(r.uuid, uuid);
    run_folder_close(&r);
    assert_int_equal(files_write_synced(id, "nonsense\n", 9, &e), 0);
    assert_int_equal(run_folder_open(&r, path, &e), EXIT_USAGE);
    assert_int_equal(run_folder_open(&r, "/proc/no-such", &e), EXIT_USAGE);
    free(path), free(id);
}

static void make(const run_folder *r, const char *name, int64_t step, const char *uuid) {
    char *folder = files_join(r->path, name), *path = files_join(folder, "manifest.json");
    json *m = json_new_object();
    error e = {0};
    assert_int_equal(mkdir(folder, 0777), 0);
    json_set_string(m, "format", "bert-checkpoint");
    json_set_int(m, "format_version", 1);
    json_set_int(m, "step", step);
    json_set_string(m, "run", uuid);
    json_set_string(m, "dtype", "float32");
    json_set_string(m, "endianness", "little");
    manifest_add_file(m, "config.json", 0, "");
    char *printed = manifest_print(m);
    assert_int_equal(files_write_synced(path, printed, strlen(printed), &e), 0);
    free(printed), free(path), free(folder);
    json_free(m);
}

static void expect(const run_folder *r, const char *name, bool there) {
    char *path = files_join(r->path, name);
    if (files_exists(path) != there) fail_msg("%s is %s", name, there ? "gone" : "still there");
    free(path);
}

static void prune(void **state) {
    (void)state;
    char *path = fresh("run-prune"), other[UUID_TEXT], temp[128], foreign[128];
    run_folder r;
    error e = {0};
    assert_int_equal(run_folder_open(&r, path, &e), 0);
    run_folder_new_uuid(other);
    for (int64_t step = 10; step <= 60; step += 10) {
        char name[64];
        checkpoint_name(name, step);
        make(&r, name, step, step == 30 ? other : r.uuid);
    }
    make(&r, "checkpoint-10000000", 10000000, r.uuid);            /* eight digits sort by number */
    make(&r, "checkpoint-0000070.keep", 70, r.uuid);              /* not a checkpoint's name */
    make(&r, "checkpoint-5", 5, r.uuid);
    (void)snprintf(temp, sizeof temp, "checkpoint-0000080.tmp-%s", r.uuid);
    (void)snprintf(foreign, sizeof foreign, "checkpoint-0000080.tmp-%s", other);
    make(&r, temp, 80, r.uuid);
    make(&r, foreign, 80, other);
    char *half = files_join(path, "checkpoint-0000015");          /* no manifest: nobody knows whose it is */
    assert_int_equal(mkdir(half, 0777), 0);
    if (run_folder_prune(&r, 2, 20, &e)) fail_msg("%s", e.text);
    static const struct { const char *name; bool there; } cases[] = {
        {"checkpoint-0000010", false}, {"checkpoint-0000015", true}, {"checkpoint-0000020", true}, {"checkpoint-0000030", true},
        {"checkpoint-0000040", true}, {"checkpoint-0000050", false}, {"checkpoint-0000060", true}, {"checkpoint-10000000", true},
        {"checkpoint-0000070.keep", true}, {"checkpoint-5", true}, {"run-id", true}, {"lock", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) expect(&r, cases[i].name, cases[i].there);
    expect(&r, temp, false);
    expect(&r, foreign, true);
    run_folder_close(&r);
    free(path), free(half);
}

static void manifest_guards(void **state) {
    (void)state;
    char *path = fresh("run-manifest"), *data;
    size_t bytes;
    run_folder r;
    error e = {0};
    json *m;
    assert_int_equal(run_folder_open(&r, path, &e), 0);
    make(&r, "checkpoint-0000001", 1, r.uuid);
    char *folder = files_join(path, "checkpoint-0000001"), *file = files_join(folder, "manifest.json");
    assert_int_equal(manifest_read(&m, folder, &e), 0);
    assert_int_equal(manifest_verify(m, folder, true, &e), EXIT_USAGE);     /* does not list the weights */
    json_set_int(m, "format_version", 2);
    char *printed = manifest_print(m);
    json_free(m);
    assert_int_equal(files_read(file, 1 << 20, &data, &bytes, &e), 0);
    assert_int_equal(files_write_synced(file, printed, strlen(printed), &e), 0);
    assert_int_equal(manifest_read(&m, folder, &e), EXIT_USAGE);
    assert_non_null(strstr(e.text, "newer"));
    char *step = strstr(data, "\"step\": 1");
    assert_non_null(step);
    step[8] = '2';
    assert_int_equal(files_write_synced(file, data, bytes, &e), 0);
    assert_int_equal(manifest_read(&m, folder, &e), EXIT_CORRUPT);
    run_folder_close(&r);
    free(path), free(data), free(folder), free(file), free(printed);
}

int main(void) {
    const struct CMUnitTest all[] = {
        cmocka_unit_test(lock), cmocka_unit_test(heartbeat), cmocka_unit_test(a_stalled_holder_learns_that_it_lost),
        cmocka_unit_test(identity_and_status), cmocka_unit_test(prune), cmocka_unit_test(manifest_guards),
    };
    return cmocka_run_group_tests(all, NULL, NULL);
}
