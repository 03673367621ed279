/* Which configurations may resume which checkpoint: what counts is the value in effect. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "trainer/settings.h"
#include <cmocka.h>

enum { ARGUMENTS = 16 };

static void parse(options *o, settings *s, const char *words) {
    static char line[2][256];
    static int turn;
    char *argv[ARGUMENTS] = { "bert-pretrain", "--data", "d", "--output", "o", "--steps", "9" }, *text = line[turn++ % 2], *at = NULL;
    int argc = 7;
    error e = {0};
    bool done = false;
    assert_true(strlen(words) < sizeof line[0]);
    strcpy(text, words);
    for (char *word = strtok_r(text, " ", &at); word; word = strtok_r(NULL, " ", &at)) argv[argc++] = word;
    assert_int_equal(options_parse(o, &pretrain_program, s, argc, argv, &done, &e), 0);
}

/* want: NULL when `now` may resume a checkpoint made by `was`, else a part of the message. */
static void resumes(const char *was, const char *now, const char *want) {
    settings s[2] = {{0}};
    options o[2];
    error e = {0};
    parse(&o[0], &s[0], was), parse(&o[1], &s[1], now);
    char *saved = options_yaml(&o[0]);
    int code = settings_check_resume(&o[1], saved, "checkpoint-1", &e);
    if (code != (want ? EXIT_USAGE : 0)) fail_msg("'%s' resumed with '%s': code %d, %s", was, now, code, e.text);
    if (want && !strstr(e.text, want)) fail_msg("'%s' resumed with '%s': \"%s\" lacks \"%s\"", was, now, e.text, want);
    free(saved), options_free(&o[0]), options_free(&o[1]);
}

/* Versions before power -1 wrote 1 into every checkpoint. */
static void power_by_optimizer(void **state) {
    (void)state;
    resumes("--power 1", "", NULL);
    resumes("", "--power 1", NULL);
    resumes("--optimizer lamb --power 0.5", "--optimizer lamb", NULL);
    resumes("--optimizer lamb --power 1", "--optimizer lamb", "power was 1 and is now 0.5;");
    resumes("--power 2", "", "power was 2 and is now 1;");
    resumes("", "--optimizer lamb", "optimizer was adamw and is now lamb, power was 1 and is now 0.5;");
    schedule made;
    error e;
    settings s = { .optimizer = OPTIMIZER_LAMB, .power = -1 };
    assert_int_equal(settings_schedule(&s, 10, &made, &e), 0);
    assert_true(made.power > 0.499 && made.power < 0.501);
}

static void free_to_change(void **state) {
    (void)state;
    resumes("", "--recompute --threads 3 --keep 7", NULL);
    resumes("--recompute", "--recompute no", NULL);
    resumes("", "--seed 1 --dropout 0.2", "dropout was -1 and is now 0.2, seed was 12345 and is now 1;");
}

/* What was before there was a choice is what its default chooses. */
static void younger_keys(void **state) {
    (void)state;
    resumes("", "--precision bf16", "precision was fp32 and is now bf16;");
    resumes("--precision bf16", "", "precision was bf16 and is now fp32;");
    for (int i = 0; i < 2; i++) {
        settings s = {0};
        options o;
        error e = {0};
        parse(&o, &s, i ? "--precision bf16" : "");
        int code = settings_check_resume(&o, "seed: 12345\n", "checkpoint-1", &e);
        if (code != (i ? EXIT_USAGE : 0)) fail_msg("precision %d over none: code %d, %s", i, code, e.text);
        options_free(&o);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(younger_keys), cmocka_unit_test(power_by_optimizer), cmocka_unit_test(free_to_change)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
