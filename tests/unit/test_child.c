/* datagen/child.c: whatever happens in the child becomes one error in the parent. */
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/timer.h"
#include "datagen/child.h"
#include <cmocka.h>   /* last: its macro fail() must not meet ours */

static const child_limits wide = { 256 << 20, 20 };

static int count_up(void *context, int out, error *e) {
    (void)e;
    for (int i = 0; i < *(int *)context; i++) child_write(out, &i, sizeof i);
    return 0;
}

static void test_result_comes_back(void **state) {
    (void)state;
    error e = {0};
    text out = {0};
    int n = 100000;
    for (int again = 0; again < 2; again++) {
        assert_int_equal(child_run(count_up, &n, &wide, "x", &out, &e), 0);
        assert_int_equal(out.bytes, (size_t)n * sizeof(int));
        for (int i = 0; i < n; i++) {
            int got;
            memcpy(&got, out.data + (size_t)i * sizeof got, sizeof got);
            assert_int_equal(got, i);
        }
    }
    free(out.data);
}

/* Which of the ways to end; the parent must name the file, and give the code. */
enum { REFUSES, CRASHES, HANGS, STARVES, LEAVES, STUTTERS };

static int end_so(void *context, int out, error *e) {
    child_write(out, "some", 4);
    switch (*(int *)context) {
        case REFUSES: return error_set(e, EXIT_CORRUPT, "file: is not good");
        case CRASHES: signal(SIGSEGV, SIG_DFL), raise(SIGSEGV); break;
        case HANGS: for (;;) pause();
        case STARVES: for (;;) memset(must_alloc(16 << 20, 1), 1, 16 << 20);
        case LEAVES: _exit(0);
        case STUTTERS: for (int i = 0; i < 8; i++) poll(NULL, 0, 100), child_write(out, "x", 1); return 0;
    }
    return 0;
}

static int end_of(int how, const child_limits *limits, error *e) {
    text out = {0};
    *e = (error){0};
    int code = child_run(end_so, &how, limits, "the-file", &out, e);
    if (code != 0) assert_int_equal(code, e->code);
    if (code != 0 && how != REFUSES) assert_non_null(strstr(e->text, "the-file: "));
    free(out.data);
    return code;
}

static void test_every_end(void **state) {
    (void)state;
    error e;
    assert_int_equal(end_of(REFUSES, &wide, &e), EXIT_CORRUPT);
    assert_string_equal(e.text, "file: is not good");
    assert_int_equal(end_of(CRASHES, &wide, &e), EXIT_USAGE);
    assert_non_null(strstr(e.text, "crashed"));
    assert_int_equal(end_of(LEAVES, &wide, &e), EXIT_USAGE);
    double began = timer_now();
    assert_int_equal(end_of(HANGS, &(child_limits){ 256 << 20, 0.3 }, &e), EXIT_USAGE);
    assert_non_null(strstr(e.text, "no progress for 0.3 s"));
    assert_true(timer_now() - began < 10);
    assert_int_equal(end_of(STUTTERS, &(child_limits){ 256 << 20, 0.6 }, &e), 0);   /* longer in all than quiet_s */
#ifndef __SANITIZE_ADDRESS__
    assert_int_equal(end_of(STARVES, &(child_limits){ 64 << 20, 60 }, &e), EXIT_USAGE);
    assert_non_null(strstr(e.text, "more than 64 MiB"));
#endif
}

int main(void) {
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_result_comes_back), cmocka_unit_test(test_every_end) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
