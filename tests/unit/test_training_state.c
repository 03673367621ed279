/* training.h5: reads back, equal state gives equal bytes, a failing disk is an error value and the process still ends well. */
#include <hdf5.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/files.h"
#include "base/sha256.h"
#include "trainer/training_state.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>   /* last: it has a macro named fail */

enum { ROWS = 300, COLUMNS = 500, ELEMENTS = 1024 * 150 };

static tensor tensors[] = {
    {.name = "bert.embeddings.word_embeddings.weight", .rows = ROWS, .columns = COLUMNS, .offset = 0, .count = ROWS * COLUMNS},
    {.name = "bert.pooler.dense.bias", .rows = 1, .columns = 70, .vector = true, .offset = ROWS * COLUMNS + 360, .count = 70},
};
static model two = {.tensor = tensors, .tensors = 2, .weight_elements = ELEMENTS};
static const training_state wanted = {10, 11, 9, 0xfedcba9876543210u, 1e-4, 7.5, {0.9, 0.999, 1e-6, 0.01, 1.0, true, true, OPTIMIZER_ADAMW}, "steps: 10\n"};
static float m[ELEMENTS], v[ELEMENTS], back[ELEMENTS];

static char *at(const char *name) {
    const char *folder = getenv("TMPDIR");
    return files_join(folder ? folder : "/tmp", name);
}

static int write_all(const char *path, error *e) {
    training_file *f = NULL;
    error late = {0};
    int code = training_file_create(&f, path, &wanted, e);
    if (!code) code = training_file_put(f, &two, "m", m, e);
    if (!code) code = training_file_put(f, &two, "v", v, e);
    int closed = training_file_close(f, &late);
    return code ? code : closed;
}

static void fill(void) {
    for (size_t t = 0; t < two.tensors; t++)
        for (size_t i = 0; i < tensors[t].count; i++) m[tensors[t].offset + i] = (float)i + 0.5f, v[tensors[t].offset + i] = -(float)i;
}

static void reads_back(void **state) {
    (void)state;
    char *path = at("training.h5");
    training_file *f;
    training_state s;
    error e = {0};
    fill();
    if (write_all(path, &e)) fail_msg("%s", e.text);
    if (training_file_open(&f, path, &s, &e)) fail_msg("%s", e.text);
    assert_int_equal(s.step, 10);
    assert_int_equal(s.next_step, 11);
    assert_int_equal(s.adam_step, 9);
    assert_true(s.seed == wanted.seed && s.learning_rate == wanted.learning_rate && s.loss == wanted.loss);
    assert_true(s.settings.beta2 == 0.999 && s.settings.bias_correction && s.settings.nsp);
    assert_int_equal(training_file_get(f, &two, "v", back, &e), 0);
    for (size_t t = 0; t < two.tensors; t++) assert_memory_equal(back + tensors[t].offset, v + tensors[t].offset, 4 * tensors[t].count);
    tensors[1].columns = 71;
    assert_int_equal(training_file_get(f, &two, "m", back, &e), EXIT_USAGE);
    assert_non_null(strstr(e.text, "bert.pooler.dense.bias"));
    tensors[1].columns = 70;
    assert_int_equal(training_file_close(f, &e), 0);
    free(path);
}

static void equal_bytes(void **state) {
    (void)state;
    char *path = at("again.h5"), hex[2][SHA256_HEX];
    error e = {0};
    for (int i = 0; i < 2; i++) {
        void *dirt = malloc(1 << 20);          /* what a fresh chunk buffer may hold */
        memset(dirt, 17 + i, 1 << 20);
        free(dirt);
        assert_int_equal(write_all(path, &e), 0);
        assert_int_equal(sha256_file(path, hex[i], NULL, &e), 0);
        if (!i) sleep(1);                      /* no time of day inside */
        remove(path);
    }
    assert_string_equal(hex[0], hex[1]);
    free(path);
}

static void a_flipped_bit_is_found(void **state) {
    (void)state;
    char *path = at("flipped.h5"), *data;
    size_t bytes;
    training_file *f;
    training_state s;
    error e = {0};
    fill();
    assert_int_equal(write_all(path, &e), 0);
    assert_int_equal(files_read(path, 1 << 24, &data, &bytes, &e), 0);
    data[bytes / 4] = (char)(data[bytes / 4] ^ 1);   /* in the first tensor's chunks */
    assert_int_equal(files_write_synced(path, data, bytes, &e), 0);
    assert_int_equal(training_file_open(&f, path, &s, &e), 0);
    int code = training_file_get(f, &two, "m", back, &e);
    if (!code) code = training_file_get(f, &two, "v", back, &e);
    assert_int_equal(code, EXIT_CORRUPT);
    training_file_close(f, &e);
    free(data), free(path);
}

static void set(const char *path, const char *name, int64_t value) {
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT), a = H5Aopen(file, name, H5P_DEFAULT);
    assert_true(H5Awrite(a, H5T_NATIVE_INT64, &value) >= 0);
    H5Aclose(a);
    H5Fclose(file);
}

static void refusals(void **state) {
    (void)state;
    static const struct { const char *name; int64_t value; const char *why; } cases[] = {{"complete", 0, "complete"}, {"format_version", 2, "use a newer one"}};
    char *path = at("refused.h5");
    training_file *f;
    training_state s;
    error e = {0};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(write_all(path, &e), 0);
        set(path, cases[i].name, cases[i].value);
        assert_int_equal(training_file_open(&f, path, &s, &e), EXIT_USAGE);
        if (!strstr(e.text, cases[i].why)) fail_msg("\"%s\" lacks \"%s\"", e.text, cases[i].why);
        training_file_close(f, &e);
    }
    assert_int_equal(files_write_synced(path, "not HDF5", 8, &e), 0);
    assert_int_equal(training_file_open(&f, path, &s, &e), EXIT_USAGE);
    training_file_close(f, &e);
    free(path);
}

/* libhdf5's own driver crashes at exit after a failed write: so each limit gets a process, and its exit status counts. */
static void a_full_disk_is_an_error(void **state) {
    (void)state;
    char *path = at("full.h5");
    struct stat st;
    error e = {0};
    assert_int_equal(write_all(path, &e), 0);
    assert_int_equal(stat(path, &st), 0);
    for (off_t limit = 0; limit < st.st_size; limit += limit < 8192 ? 512 : st.st_size / 16) {
        pid_t child = fork();
        if (!child) {
            struct rlimit low = {(rlim_t)limit, (rlim_t)limit};
            signal(SIGXFSZ, SIG_IGN);
            setrlimit(RLIMIT_FSIZE, &low);
            error problem = {0};
            int code = write_all(path, &problem);
            exit(code == EXIT_MACHINE ? 42 : 43);   /* exit(): libhdf5's own atexit() handler runs */
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 42) fail_msg("at %lld bytes: status 0x%x, expected exit 42", (long long)limit, (unsigned)status);
    }
    training_file *f;
    assert_int_equal(training_file_create(&f, "/nowhere/training.h5", &wanted, &e), EXIT_MACHINE);
    training_file_close(f, &e);
    free(path);
}

int main(void) {
    const struct CMUnitTest all[] = {
        cmocka_unit_test(reads_back), cmocka_unit_test(equal_bytes), cmocka_unit_test(a_flipped_bit_is_found), cmocka_unit_test(refusals),
        cmocka_unit_test(a_full_disk_is_an_error),
    };
    return cmocka_run_group_tests(all, NULL, NULL);
}
