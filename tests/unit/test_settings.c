/* A run resumed: keys that may change and keys that may not, and those that the checkpoint is too old to have. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "trainer/settings.h"
#include <cmocka.h>

/* What a resume with --data D --output R --steps 9 and one more option says to a saved configuration. */
static int resume(const char *saved, char *more, error *e) {
    char *argv[] = {"bert-pretrain", "--data", "D", "--output", "R", "--steps", "9", more};
    options o;
    settings s;
    bool done;
    *e = (error){0};
    assert_int_equal(options_parse(&o, &pretrain_program, &s, more ? 8 : 7, argv, &done, e), 0);
    int code = settings_check_resume(&o, saved, "checkpoint", e);
    options_free(&o);
    return code;
}

static void changes(void **state) {
    (void)state;
    error e;
    assert_int_equal(resume("steps: 3\nprecision: fp32\n", NULL, &e), 0);
    assert_int_equal(resume("precision: fp32\n", "--precision=bf16", &e), EXIT_USAGE);
    assert_non_null(strstr(e.text, "precision was fp32 and is now bf16"));
    assert_int_equal(resume("precision: bf16\n", NULL, &e), EXIT_USAGE);
    assert_non_null(strstr(e.text, "precision was bf16 and is now fp32"));
}

/* What was before there was a choice is what the default chooses. */
static void younger_keys(void **state) {
    (void)state;
    error e;
    assert_int_equal(resume("seed: 12345\n", NULL, &e), 0);
    assert_int_equal(resume("seed: 12345\n", "--precision=bf16", &e), EXIT_USAGE);
    assert_non_null(strstr(e.text, "precision was fp32 and is now bf16"));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(changes), cmocka_unit_test(younger_keys)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
