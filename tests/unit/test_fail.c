/* How programs say that something is wrong: one line, the documented exit code. Each case runs in a child. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/fail.h"
#include "base/timer.h"
#include "tests/check.h"

/* Runs body in a child; its exit code, and all that it wrote to stderr. */
static int child(void body(void), char *out, size_t room) {
    int ends[2], status;
    size_t used = 0;
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid_t pid = fork();
    if (!pid) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]), close(ends[1]);
        fail_init("bert-toy");
        body();
        _exit(99);
    }
    close(ends[1]);
    for (ssize_t n; (n = read(ends[0], out + used, room - 1 - used)) > 0;) used += (size_t)n;
    out[used] = 0;
    close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void expect(void body(void), int code, const char *text) {
    char out[10000];
    assert_int_equal(child(body, out, sizeof out), code);
    assert_string_equal(out, text);
}

static void plain(void) { fail(EXIT_CORRUPT, "%s: %d rows", "a.hdf5", 3); }
static void placed(void) { fail_set_place(3, "node7"); fail(EXIT_MACHINE, "short read"); }
static void hook(int code) { _exit(code + 100); }
static void hooked(void) { fail_set_hook(hook); fail(EXIT_MACHINE, "x"); }
static void failing_hook(int code) { fail(code, "again"); }
static void hooked_twice(void) { fail_set_hook(failing_hook); fail(EXIT_MACHINE, "x"); }
static void controls(void) { fail(EXIT_USAGE, "a\nb\x1b[31m\xc2\x9b" "c\t\x7f\xc3\xa9"); }
static void printed(void) {
    error e = {0};
    int code = error_set(&e, EXIT_USAGE, "%s: line %d", "vocab.txt", 7);
    if (error_print(&e) != code) code = 98;
    warn("%d is little", 5);
    _exit(code);
}
static void too_long(void) { fail(EXIT_USAGE, "%05000d", 7); }
static void overflow(void) { must_alloc(SIZE_MAX / 2, 3); }
static void no_memory(void) { must_zalloc(SIZE_MAX / 4, 1); }
static void *racer(void *unused) { (void)unused; fail(EXIT_MACHINE, "one of many"); }
static void race(void) {
    pthread_t thread[8];
    for (int i = 0; i < 8; i++) pthread_create(&thread[i], NULL, racer, NULL);
    for (;;) pause();
}

static void one_line(void **state) {
    (void)state;
    expect(plain, 5, "bert-toy: a.hdf5: 3 rows\n");
    expect(placed, 1, "bert-toy: rank 3 (node7): short read\n");
    expect(hooked, 101, "bert-toy: x\n");
    expect(hooked_twice, 1, "bert-toy: x\n");
    expect(controls, 2, "bert-toy: a?b?[31m??c??\xc3\xa9\n");
    expect(printed, 2, "bert-toy: vocab.txt: line 7\nbert-toy: warning: 5 is little\n");
    for (int i = 0; i < 20; i++) expect(race, 1, "bert-toy: one of many\n");
    char out[10000];
    assert_int_equal(child(too_long, out, sizeof out), 2);
    assert_int_equal(strlen(out), 4095);
    assert_string_equal(out + 4091, "...\n");
}

static void memory(void **state) {
    (void)state;
    char want[200];
    snprintf(want, sizeof want, "bert-toy: out of memory: %zu x 3 bytes were asked for\n", SIZE_MAX / 2);
    expect(overflow, 1, want);
#if !defined(__SANITIZE_ADDRESS__)                /* it ends the program itself */
    snprintf(want, sizeof want, "bert-toy: out of memory: %zu bytes were asked for\n", SIZE_MAX / 4);
    expect(no_memory, 1, want);
#else
    (void)no_memory;
#endif
    void *p = must_alloc(0, 8), *q = must_realloc(must_strdup("x"), 0, 1);
    assert_non_null(p);
    assert_non_null(q);
    char *text = must_format("%s-%04d", "a", 7);
    assert_string_equal(text, "a-0007");
    free(p), free(q), free(text);
}

static void long_error_is_cut(void **state) {
    (void)state;
    error e;
    assert_int_equal(error_set(&e, 2, "%05000d", 1), 2);
    assert_int_equal(strlen(e.text), sizeof e.text - 1);
    assert_string_equal(e.text + sizeof e.text - 4, "...");
}

static void times(void **state) {
    (void)state;
    static const struct { double seconds; const char *want; } cases[] = {
        {0, "0.0s"}, {-1, "0.0s"}, {12.34, "12.3s"}, {59.94, "59.9s"}, {59.96, "1m00s"}, {245, "4m05s"}, {3599.4, "59m59s"}, {3599.6, "1h00m"},
        {13800, "3h50m"}, {86400 * 3, "72h00m"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[32];
        timer_format(text, sizeof text, cases[i].seconds);
        assert_string_equal(text, cases[i].want);
    }
    double a = timer_now(), b = timer_now();
    assert_true(b >= a && b - a < 60);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(one_line), cmocka_unit_test(memory), cmocka_unit_test(long_error_is_cut), cmocka_unit_test(times)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
