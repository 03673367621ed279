/* JSON: what is refused, what survives a round trip. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/files.h"
#include "base/json.h"
#include "base/rng.h"
#include "tests/check.h"

static json *parse(const char *text) {
    json *j;
    error e = {0};
    if (json_parse(&j, text, strlen(text), "t.json", &e)) fail_msg("%s was refused: %s", text, e.text);
    return j;
}

static void refused(const char *text, const char *message) {
    json *j;
    error e = {0};
    assert_int_equal(json_parse(&j, text, strlen(text), "t.json", &e), EXIT_USAGE);
    assert_null(j);
    if (!strstr(e.text, message)) fail_msg("\"%s\" does not say \"%s\"", e.text, message);
}

static void refusals(void **state) {
    (void)state;
    refused("{\"a\": 1,\n \"a\": 2}", "t.json:2: column");
    refused("{\"a\": 1} x", "end of file expected");
    refused("{\"a\": 1,}", "t.json:1:");
    refused("{\"a\": NaN}", "t.json:1:");
    refused("{\"a\": 1e999}", "t.json:1:");
    refused("{\"a\": \"\xff\"}", "unable to decode byte 0xff");
    refused("", "t.json:1:");
    refused("3", "expected");
    char deep[200] = "\n";
    memset(deep + 1, '[', 65), memset(deep + 66, ']', 65);
    refused(deep, "t.json:2: nested deeper than 64");
    memset(deep + 1, '[', 64), memset(deep + 65, ']', 64), deep[129] = 0;
    json_free(parse(deep));
    json_free(parse("[\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[\"]"));
    json *j;
    error e = {0};
    assert_int_equal(json_read(&j, "/nowhere/c.json", 100, &e), EXIT_USAGE);
    assert_non_null(strstr(e.text, "/nowhere/c.json"));
}

static void typed_reads(void **state) {
    (void)state;
    json *j = parse("{\"n\": 12, \"x\": 0.5, \"s\": \"\\u00e9\", \"b\": true, \"list\": [1, 2.0, null]}");
    error e = {0};
    int64_t n = 0;
    double x = 0;
    const char *s = NULL;
    bool b = false;
    assert_int_equal(json_need_int(j, "n", 1, 12, "w", &n, &e), 0);
    assert_int_equal(n, 12);
    assert_int_equal(json_need_real(j, "n", 0, 100, "w", &x, &e), 0);
    assert_true(x == 12);
    assert_int_equal(json_need_real(j, "x", 0, 1, "w", &x, &e), 0);
    assert_true(x == 0.5);
    assert_int_equal(json_need_string(j, "s", "w", &s, &e), 0);
    assert_string_equal(s, "\xc3\xa9");
    assert_int_equal(json_need_bool(j, "b", "w", &b, &e), 0);
    assert_true(b);
    assert_int_equal(json_need_int(j, "n", 13, 14, "w", &n, &e), EXIT_USAGE);
    assert_string_equal(e.text, "w: n: 12 is outside 13..14");
    assert_int_equal(json_need_int(j, "x", 0, 1, "w", &n, &e), EXIT_USAGE);
    assert_string_equal(e.text, "w: x: expected an integer");
    assert_int_equal(json_need_string(j, "absent", "w", &s, &e), EXIT_USAGE);
    assert_string_equal(e.text, "w: absent: missing; expected a string");
    assert_int_equal(json_need_bool(j, "n", "w", &b, &e), EXIT_USAGE);
    assert_int_equal(n, 12);
    assert_int_equal(json_count(j), 5);
    assert_string_equal(json_key_at(j, 4), "list");
    assert_null(json_key_at(j, 5));
    const json *list = json_get(j, "list");
    assert_int_equal(json_count(list), 3);
    assert_int_equal(json_kind_of(json_at(list, 1)), JSON_KIND_REAL);
    assert_int_equal(json_kind_of(json_at(list, 2)), JSON_KIND_NULL);
    assert_null(json_get(list, "n"));
    json_free(j);
}

/* As Hugging Face's tokenizer_config.json has it. */
static void huge_integers_are_reals(void **state) {
    (void)state;
    json *j = parse("{\"model_max_length\": 1000000000000000019884624838656, \"n\": 512, \"s\": \"9999999999999999999999\", \"m\": -9223372036854775808}");
    assert_true(json_real(json_get(j, "model_max_length")) == 1e30);
    assert_int_equal(json_kind_of(json_get(j, "n")), JSON_KIND_INTEGER);
    assert_string_equal(json_string(json_get(j, "s")), "9999999999999999999999");
    json_free(j);
}

static void layout(void **state) {
    (void)state;
    json *j = json_new_object(), *list = json_new_array();
    json_set_string(j, "z", "a\"\\\n\t\x01/\xc3\xa9");
    json_set_int(j, "a", INT64_MIN);
    json_append(list, json_new_int(1)), json_append(list, json_new_string("x"));
    json_set(j, "list", list);
    json_set(j, "none", json_new_array());
    json_set_real(j, "r", 0.1), json_set_real(j, "whole", 2), json_set_real(j, "nan", NAN);
    json_set_bool(j, "t", true), json_set_null(j, "null"), json_set_string(j, "absent", NULL);
    json_set_string_n(j, "n", "abcdef", 3), json_set_string(j, "bad", "x\xffy");
    char *text = json_print(j, 0);
    assert_string_equal(text, "{\"z\": \"a\\\"\\\\\\n\\t\\u0001/\xc3\xa9\", \"a\": -9223372036854775808, \"list\": [1, \"x\"], "
                              "\"none\": [], \"r\": 0.1, \"whole\": 2.0, "
                              "\"nan\": null, \"t\": true, \"null\": null, \"absent\": null, \"n\": \"abc\", \"bad\": \"x?y\"}");
    json *again = parse(text), *copy = json_copy(again);
    json_set_int(again, "a", 1);
    char *second = json_print(copy, 0);
    assert_string_equal(second, text);
    free(text), free(second), json_free(j), json_free(again), json_free(copy);
    j = parse("{\"a\": {\"b\": [1, 2]}, \"c\": {}}");
    text = json_print(j, 2);
    assert_string_equal(text, "{\n  \"a\": {\n    \"b\": [\n      1,\n      2\n    ]\n  },\n  \"c\": {}\n}");
    free(text), json_free(j);
}

static void reals_read_back_the_same(void **state) {
    (void)state;
    rng_key k = rng_open(3, RNG_INIT, 0, 0, 0);
    const double special[] = {0, -0.0, DBL_MAX, DBL_MIN, 5e-324, 1e15, 1e16, 1e17, 123456789012345680.0, 1.0 / 3, 1e-4, 0.30000000000000004};
    for (uint64_t i = 0; i < 5000; i++) {
        uint64_t bits = rng_u64(k, i);
        double v;
        memcpy(&v, &bits, sizeof v);
        if (i < sizeof special / sizeof *special) v = special[i];
        if (!isfinite(v)) continue;
        json *j = json_new_array();
        json_append(j, json_new_real(v));
        char *text = json_print(j, 0);
        json *back = parse(text);
        assert_int_equal(json_kind_of(json_at(back, 0)), JSON_KIND_REAL);
        double got = json_real(json_at(back, 0));
        if (memcmp(&got, &v, sizeof v)) fail_msg("%a was written as %s and came back as %a", v, text, got);
        free(text), json_free(j), json_free(back);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(refusals), cmocka_unit_test(typed_reads), cmocka_unit_test(huge_integers_are_reals),
                                       cmocka_unit_test(layout), cmocka_unit_test(reals_read_back_the_same)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
