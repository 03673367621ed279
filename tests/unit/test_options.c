/* Options: order of sources, every type's limits, the words of refusals, printing back. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/files.h"
#include "tests/check.h"
#include "tests/tools/toy.h"

static char *path;       /* of a configuration file */
static toy t;
static options o;
static error e;

enum { MOST = 32 };

/* words: arguments with single blanks between them; those every run needs are added. */
static int parse_bare(const char *words) {
    static char text[1000];
    char *argv[MOST] = {text};
    int argc = 1;
    bool done;
    snprintf(text, sizeof text, "%s", words);
    for (char *w = strtok(text, " "); w && argc < MOST - 1; w = strtok(NULL, " ")) argv[argc++] = w;
    options_free(&o);
    memset(&t, 0xa5, sizeof t);                   /* the settings need not be cleared */
    int code = options_parse(&o, &toy_program, &t, argc, argv, &done, &e);
    assert_int_equal(code, e.code);
    assert_false(done);
    return code;
}

static int parse(const char *words) {
    char *all = must_format("--data d --output r %s", words);
    int code = parse_bare(all);
    free(all);
    return code;
}

static void accepted(const char *words) {
    if (parse(words)) fail_msg("%s: %s", words, e.text);
}

static void refused(const char *words, const char *message) {
    if (parse(words) != EXIT_USAGE) fail_msg("\"%s\" was not refused", words);
    assert_string_equal(e.text, message);
}

static void write_config(const char *text) { assert_int_equal(files_write_synced(path, text, strlen(text), &e), 0); }

/* message with %s for the file's path. */
static void refused_config(const char *text, const char *message) {
    write_config(text);
    char *words = must_format("--config %s", path), *want = must_format("%s%s", path, message);
    refused(words, want);
    free(words), free(want);
}

static void value_is(const char *key, const char *want) {
    for (size_t i = 0; i < toy_program.count; i++) {
        if (strcmp(toy_table[i].key, key)) continue;
        char *got = options_value(&o, i);
        assert_string_equal(got, want);
        free(got);
    }
}

static void defaults(void **state) {
    (void)state;
    accepted("");
    assert_string_equal(t.data, "d");
    assert_string_equal(t.title, "a run");
    assert_int_equal(t.steps, 1000);
    assert_true(t.learning_rate == 1e-4);
    assert_int_equal(t.optimizer, 0);
    assert_true(t.watchdog == 600);
    assert_int_equal(t.every.steps, 0);
    assert_true(t.every.seconds == 0);
    assert_true(t.correction);
    assert_false(t.force);
    assert_false(o.quiet);
    assert_true(options_given(&o, "data"));
    assert_false(options_given(&o, "steps"));
}

static void forms_of_the_command_line(void **state) {
    (void)state;
    accepted("--steps 5 --learning-rate=2.5 --optimizer lamb --force --bias-correction no --quiet");
    assert_int_equal(t.steps, 5);
    assert_true(t.learning_rate == 2.5);
    assert_int_equal(t.optimizer, 1);
    assert_true(t.force);
    assert_false(t.correction);
    assert_true(o.quiet);
    accepted("--force a --seed -5 - --force=no b --title --steps 7 -- --steps -x");
    assert_false(t.force);
    assert_int_equal(t.seed, -5);
    assert_int_equal(t.steps, 7);
    assert_string_equal(t.title, "a run");        /* its value may be left out */
    static const char *const want[] = {"a", "-", "b", "--steps", "-x"};
    assert_int_equal(o.argument_count, 5);
    for (int i = 0; i < 5; i++) assert_string_equal(o.arguments[i], want[i]);
    accepted("--title=--x=y --steps 1 --steps 2 --title=");
    assert_string_equal(t.title, "--x=y");
    assert_int_equal(t.steps, 2);
    accepted("--force yes --checkpoint-every 100");
    assert_int_equal(t.every.steps, 100);
    accepted("--checkpoint-every 1h30s --watchdog 90s");
    assert_int_equal(t.every.steps, 0);
    assert_true(t.every.seconds == 3630);
    value_is("checkpoint-every", "1h30s");
    value_is("watchdog", "1m30s");
}

static void refusals(void **state) {
    (void)state;
    refused("--learnin-rate 3", "unknown option --learnin-rate; did you mean --learning-rate?");
    refused("--learning_rate=3", "unknown option --learning_rate; did you mean --learning-rate?");
    refused("--stpes 3", "unknown option --stpes; did you mean --steps?");
    refused("--check 3", "unknown option --check; did you mean --checkpoint-every?");
    refused("--optimser 3", "unknown option --optimser; did you mean --optimizer?");
    refused("--hlep", "unknown option --hlep; did you mean --help?");
    refused("--xyzzy 3", "unknown option --xyzzy; --help lists them");
    refused("-s 3", "unknown option -s; options begin with --, and --help lists them");
    refused("--steps", "--steps: a value is missing; give --steps N");
    refused("--steps --force", "--steps: a value is missing; give --steps N");
    refused("--steps=", "--steps: the value is empty; give one or leave the option out");
    static const char *const no_int[] = {"0", "1000000000001", "1e3", "5x", "+5", "0x5", "99999999999999999999", "5.0", "-"};
    for (size_t i = 0; i < sizeof no_int / sizeof *no_int; i++) {
        char *words = must_format("--steps=%s", no_int[i]);
        char *want = must_format("--steps: \"%s\" is not accepted; give a whole number from 1 to 1000000000000", no_int[i]);
        refused(words, want);
        free(words), free(want);
    }
    static const char *const no_real[] = {"nan", "inf", "-1e-9", "10.1", "1e999", "0x1p3", "1,5", "e", "1-"};
    for (size_t i = 0; i < sizeof no_real / sizeof *no_real; i++) {
        char *words = must_format("--learning-rate=%s", no_real[i]);
        char *want = must_format("--learning-rate: \"%s\" is not accepted; give a number from 0 to 10", no_real[i]);
        refused(words, want);
        free(words), free(want);
    }
    static const char *const no_time[] = {"5", "0s", "1d", "5m3h", "1m1m", "1.5h", "-5s", "s", "3h50", "9999999999s"};
    for (size_t i = 0; i < sizeof no_time / sizeof *no_time; i++) {
        char *words = must_format("--watchdog=%s", no_time[i]);
        assert_int_equal(parse(words), EXIT_USAGE);
        assert_non_null(strstr(e.text, "is not accepted; give a duration such as 30s, 50m or 3h50m, at least 1s"));
        free(words);
    }
    refused("--checkpoint-every -3", "--checkpoint-every: \"-3\" is not accepted; give a number of steps, or a duration such as 30s, 50m or 3h50m");
    refused("--optimizer adam", "--optimizer: \"adam\" is not accepted; give one of adamw|lamb");
    refused("--force=maybe", "--force: \"maybe\" is not accepted; give yes or no");
    refused("--quiet=maybe", "--quiet: \"maybe\" is not accepted; give yes or no");
    refused("--title=\xff", "--title: \"\xff\" is not accepted; give UTF-8 text");
    refused("--help=1", "--help: takes no value");
    assert_int_equal(parse_bare("--steps 3"), EXIT_USAGE);
    assert_string_equal(e.text, "missing: --data, --output; --help tells what they are");
    refused("--print-docs man", "unknown option --print-docs; --help lists them");   /* only as the first argument */
    static option_program alone;                  /* outlives this function in o */
    alone = toy_program;
    alone.positionals = false;
    bool done;
    char *argv[] = {(char[]){"x"}, (char[]){"text"}};
    options_free(&o);
    assert_int_equal(options_parse(&o, &alone, &t, 2, argv, &done, &e), EXIT_USAGE);
    assert_string_equal(e.text, "\"text\" is not expected; --help lists the options");
}

static void configuration_file(void **state) {
    (void)state;
    write_config("steps: 20\nlearning-rate: 3e-4\nbias-correction: no\nquiet: yes\ntitle:\ncheckpoint-every: 50m\n");
    char *words = must_format("--steps 30 --config %s", path);
    accepted(words);
    assert_int_equal(t.steps, 30);                /* the command line wins, wherever it stands */
    assert_true(t.learning_rate == 3e-4);
    assert_false(t.correction);
    assert_true(o.quiet);
    assert_string_equal(t.title, "a run");
    assert_true(t.every.seconds == 3000);
    assert_int_equal(o.given[3], 2);
    assert_int_equal(o.given[5], 1);
    assert_int_equal(o.given[2], 0);
    free(words);
    refused_config("\nsteps: 20\nstepz: 3\n", ":3: unknown key \"stepz\"; did you mean \"steps\"?");
    refused_config("xyzzy: 3\n", ":1: unknown key \"xyzzy\"; --help lists them");
    refused_config("config: other.yaml\n", ":1: unknown key \"config\"; it belongs to the command line");
    refused_config("help: yes\n", ":1: unknown key \"help\"; it belongs to the command line");
    refused_config("seed: 1\nsteps: many\n", ":2: steps: \"many\" is not accepted; give a whole number from 1 to 1000000000000");
    refused_config("steps:\n", ":1: steps: the value is empty; give one or leave the option out");
    refused_config("quiet: loud\n", ":1: quiet: \"loud\" is not accepted; give yes or no");
    refused_config("steps: 1\nsteps: 2\n", ":2: \"steps\" is given twice; line 1 has it too");
    refused("--config /nowhere/run.yaml", "/nowhere/run.yaml: cannot be opened: No such file or directory");
    refused("--config=", "--config: the value is empty; give a file");
}

static void effective_config_reads_back(void **state) {
    (void)state;
    accepted("--steps 7 --learning-rate 0.1 --title=#1:_x --checkpoint-every 3h50m --optimizer lamb --force --seed -1");
    char *yaml = options_yaml(&o);
    assert_string_equal(yaml, "data: d\ntitle: \"#1:_x\"\nsteps: 7\nseed: -1\nlearning-rate: 0.1\noptimizer: lamb\nwatchdog: 10m\n"
                              "checkpoint-every: 3h50m\nbias-correction: yes\n");
    write_config(yaml);
    char *words = must_format("--output r --config %s", path);
    if (parse_bare(words)) fail_msg("%s", e.text);
    char *again = options_yaml(&o);
    assert_string_equal(again, yaml);
    free(words), free(again), free(yaml);
}

static void set_one_value(void **state) {
    (void)state;
    accepted("");
    assert_int_equal(options_set(&o, "steps", "8", "checkpoint", &e), 0);
    assert_int_equal(t.steps, 8);
    assert_int_equal(options_set(&o, "title", t.title, "checkpoint", &e), 0);   /* from itself */
    assert_string_equal(t.title, "a run");
    assert_int_equal(options_set(&o, "stepz", "8", "checkpoint", &e), EXIT_USAGE);
    assert_string_equal(e.text, "checkpoint: unknown key \"stepz\"; did you mean \"steps\"?");
    assert_int_equal(options_set(&o, "steps", "0", "checkpoint", &e), EXIT_USAGE);
    assert_int_equal(t.steps, 8);
}

static void documents(void **state) {
    (void)state;
    static const char *const kinds[] = {"markdown", "man", "bash"};
    for (int k = 0; k < 3; k++) {
        char *text = options_document(&toy_program, kinds[k]);
        assert_non_null(text);
        for (size_t i = 0; i < toy_program.count; i++) {
            char *key = must_strdup(toy_table[i].key), *escaped = NULL;
            if (k == 1) {                         /* roff writes each '-' as "\-" */
                size_t n = 0;
                escaped = must_zalloc(2 * strlen(key) + 1, 1);
                for (char *c = key; *c; c++) { if (*c == '-') escaped[n++] = '\\'; escaped[n++] = *c; }
            }
            if (!strstr(text, escaped ? escaped : key)) fail_msg("%s lacks %s", kinds[k], key);
            free(key), free(escaped);
        }
        free(text);
    }
    assert_null(options_document(&toy_program, "html"));
}

int main(void) {
    const char *folder = getenv("TMPDIR");
    path = must_format("%s/test_options_%ld.yaml", folder ? folder : "/tmp", (long)getpid());
    const struct CMUnitTest tests[] = {cmocka_unit_test(defaults), cmocka_unit_test(forms_of_the_command_line), cmocka_unit_test(refusals),
                                       cmocka_unit_test(configuration_file), cmocka_unit_test(effective_config_reads_back),
                                       cmocka_unit_test(set_one_value), cmocka_unit_test(documents)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    options_free(&o);
    unlink(path);
    free(path);
    return failed;
}
