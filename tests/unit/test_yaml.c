/* YAML: one flat mapping; everything else is refused with its line. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/files.h"
#include "base/yaml.h"
#include "tests/check.h"

static char *path;

static int read_text(const char *text, size_t bytes, yaml_map *m, error *e) {
    *e = (error){0};
    assert_int_equal(files_write_synced(path, text, bytes, e), 0);
    return yaml_read(m, path, e);
}

/* message: "LINE: what", as it stands after the path. */
static void refused_bytes(const char *text, size_t bytes, const char *message) {
    yaml_map m;
    error e;
    if (!read_text(text, bytes, &m, &e)) fail_msg("not refused: %s", text);
    assert_int_equal(e.code, EXIT_USAGE);
    assert_int_equal(m.count, 0);
    char *want = must_format("%s:%s", path, message);
    if (strncmp(e.text, want, strlen(want))) fail_msg("\"%s\" does not begin with \"%s\"", e.text, want);
    free(want);
}

static void refused(const char *text, const char *message) { refused_bytes(text, strlen(text), message); }

static void accepted(void **state) {
    (void)state;
    yaml_map m;
    error e;
    const char text[] = "# a run\nsteps: 1000   # few\n\"learning-rate\": 1e-4\ndata: 'it''s here'\nempty:\n"
                        "bias-correction: yes\nseed: 012\nnull: ~\nurl: a:b#c\n";
    assert_int_equal(read_text(text, strlen(text), &m, &e), 0);
    static const struct { const char *key, *value; size_t line; } want[] = {
        {"steps", "1000", 2}, {"learning-rate", "1e-4", 3}, {"data", "it's here", 4}, {"empty", "", 5},
        {"bias-correction", "yes", 6}, {"seed", "012", 7}, {"null", "~", 8}, {"url", "a:b#c", 9},
    };
    assert_int_equal(m.count, 8);
    for (size_t i = 0; i < m.count; i++) {
        assert_string_equal(m.pair[i].key, want[i].key);
        assert_string_equal(m.pair[i].value, want[i].value);
        assert_int_equal(m.pair[i].line, want[i].line);
    }
    yaml_free(&m);
    assert_int_equal(read_text("", 0, &m, &e), 0);
    assert_int_equal(m.count, 0);
    assert_int_equal(read_text("--- {a: 1, b: 2}\n", 17, &m, &e), 0);
    assert_int_equal(m.count, 2);
    yaml_free(&m);
    assert_int_equal(read_text("a: 1\r\nb: 2\r\n", 12, &m, &e), 0);
    assert_string_equal(m.pair[0].value, "1");
    yaml_free(&m);
}

static void refusals(void **state) {
    (void)state;
    refused("a: 1\nb: 2\na: 3\n", "3: \"a\" is given twice; line 1 has it too");
    refused("a: &x 1\n", "1: anchors");
    refused("&x a: 1\n", "1: anchors");
    refused("--- &x\na: 1\n", "1: anchors");
    refused("a: 1\nb: *x\n", "2: aliases");
    refused("a: 1\nb: !!str 2\n", "2: tags");
    refused("a: ! 2\n", "1: tags");
    refused("--- !!map\na: 1\n", "1: tags");
    refused("%TAG ! tag:example.com,2000:\n---\na: 1\n", "1: tags");
    refused("a: 1\nb:\n  c: 2\n", "3: nesting");
    refused("a: 1\nb: {c: 2}\n", "2: nesting");
    refused("a:\n  - 1\n", "2: lists");
    refused("- a\n", "1: lists");
    refused("? [a]\n: 1\n", "1: lists");
    refused("a: 1\n<<: *b\n", "2: aliases");
    refused("a: 1\n---\nb: 2\n", "2: a second document");
    refused("just text\n", "1: expected \"key: value\"");
    refused("a: 1\n\"\": 2\n", "2: the key is empty");
    refused("a: 1\n\nb: 2: 3\n", "3: not YAML as expected: mapping values are not allowed");
    refused("a: 1\n\tb: 2\n", "2: not YAML as expected: ");
    refused("a: \"x\n", "2: not YAML as expected: ");
    refused("a: 1\nb: \xff\n", "2: not YAML as expected: ");
    refused("a: \"x\\0y\"\n", "1: the value holds a NUL");
    refused_bytes("a: x\0y\n", 7, "1: not YAML as expected: ");
    char deep[4000];
    memset(deep, '[', sizeof deep);
    refused_bytes(deep, sizeof deep, "1: lists");
}

static void too_large(void **state) {
    (void)state;
    char *text = must_alloc(65537, 1);
    memset(text, '#', 65537);
    yaml_map m;
    error e;
    assert_int_equal(read_text(text, 65536, &m, &e), 0);
    assert_int_equal(read_text(text, 65537, &m, &e), EXIT_USAGE);
    assert_non_null(strstr(e.text, "65537 bytes"));
    free(text);
    assert_int_equal(yaml_read(&m, "/nowhere/run.yaml", &e), EXIT_USAGE);
    assert_non_null(strstr(e.text, "/nowhere/run.yaml"));
}

static void printed_reads_back(void **state) {
    (void)state;
    static const char *const values[] = {
        "plain", "", " lead", "trail ", "a: b", "a #b", "#", "-", "- a", "-5", "-5: x", "--- ", "---", "...",
        "? a", "it's", "\"q\"", "a\\b", "tab\tin", "line\nbreak", "~", "yes",
        "{a}", "[a]", "&a", "*a", "!a", "%a", "@a", "`a", "|", ">", "a,b", "a:", ":a", "k=v", "=",
        "\xc3\xa9t\xc3\xa9", "\xc2\x85", "\xe2\x80\xa8", "\xef\xbb\xbf", "\x01\x7f",
        "\xf0\x9f\x98\x80", "\xee\x80\x80", "1e-4", "/a/b c/d", "<<",
    };
    enum { N = sizeof values / sizeof *values };
    yaml_pair pair[2 * N];
    char *keys[N];
    for (size_t i = 0; i < N; i++) {
        keys[i] = must_format("key-%zu", i);
        pair[i] = (yaml_pair){keys[i], (char *)(uintptr_t)values[i], 0};
    }
    char *text = yaml_print(&(yaml_map){pair, N});
    yaml_map m;
    error e;
    if (read_text(text, strlen(text), &m, &e)) fail_msg("%s\n%s", e.text, text);
    assert_int_equal(m.count, N);
    for (size_t i = 0; i < N; i++) {
        assert_string_equal(m.pair[i].value, values[i]);
        free(keys[i]);
    }
    assert_memory_equal(text, "key-0: plain\n", 13);
    yaml_free(&m), free(text);
}

static void utf8(void **state) {
    (void)state;
    assert_true(yaml_can_hold("\xf4\x8f\xbf\xbf \xed\x9f\xbf"));
    static const char *const bad[] = {"\xff", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "a\xc3", "\x80", "\xe2\x82"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_false(yaml_can_hold(bad[i]));
}

int main(void) {
    const char *folder = getenv("TMPDIR");
    path = must_format("%s/test_yaml_%ld.yaml", folder ? folder : "/tmp", (long)getpid());
    const struct CMUnitTest tests[] = {cmocka_unit_test(accepted), cmocka_unit_test(refusals), cmocka_unit_test(too_large),
                                       cmocka_unit_test(printed_reads_back), cmocka_unit_test(utf8)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    free(path);
    return failed;
}
