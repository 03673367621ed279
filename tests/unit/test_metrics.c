/* tests/unit/test_metrics.c - metrics.jsonl across a resume, and the progress line in any width. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/files.h"
#include "base/json.h"
#include "trainer/progress.h"
#include "tests/check.h"

static char folder[] = "/tmp/test_metrics.XXXXXX";

static step_metrics at(int64_t step) {
    return (step_metrics){ .step = step, .loss = 1.5, .mlm_loss = 1, .nsp_loss = 0.5, .mlm_accuracy = 0.25, .nsp_accuracy = 0.5, .learning_rate = 1e-4,
                           .grad_norm = 2, .tokens = 100, .tokens_per_second = 50, .step_seconds = 2, .peak_memory_bytes = 1 << 20, .has_nsp = true };
}

static char *read_lines(void) {
    char *path = files_join(folder, "metrics.jsonl"), *data;
    size_t bytes;
    error e = {0};
    assert_int_equal(files_read(path, 1 << 20, &data, &bytes, &e), 0);
    free(path);
    return data;
}

static void log_steps(int64_t resumed, int64_t first, int64_t last) {
    metrics *m = metrics_open(folder, resumed, last, PROGRESS_PLAIN, true);
    for (int64_t s = first; s <= last; s++) {
        step_metrics now = at(s);
        metrics_step(m, &now, true);
    }
    metrics_close(m);
}

static void test_lines_past_the_resumed_step_are_cut(void **state) {
    (void)state;
    log_steps(0, 1, 5);
    char *path = files_join(folder, "metrics.jsonl");
    FILE *torn = fopen(path, "a");
    fputs("{\"step\": 6, \"lo", torn);                    /* a job killed in mid-line */
    fclose(torn);
    free(path);
    log_steps(3, 4, 4);
    char *text = read_lines(), *rest = text;
    for (int64_t s = 1; s <= 4; s++) {
        json *j;
        error e = {0};
        size_t n = strcspn(rest, "\n");
        assert_int_equal(json_parse(&j, rest, n, "line", &e), 0);
        assert_int_equal(json_int(json_get(j, "step")), s);
        assert_true(json_real(json_get(j, "mlm_accuracy")) == 0.25);
        assert_int_equal(json_int(json_get(j, "peak_memory_bytes")), 1 << 20);
        json_free(j);
        rest += n + 1;
    }
    assert_int_equal(*rest, 0);
    free(text);
}

static void test_a_new_run_starts_empty(void **state) {
    (void)state;
    log_steps(0, 1, 1);
    char *text = read_lines();
    assert_int_equal(strcspn(text, "\n") + 1, strlen(text));
    free(text);
}

static void test_line_fits_every_width(void **state) {
    (void)state;
    step_metrics s = at(120);
    char line[256];
    for (int width = 1; width <= 200; width++) {
        progress_line(line, sizeof line, &s, 2000, 12345, 754, width);
        if ((int)strlen(line) > width) fail_msg("width %d: \"%s\"", width, line);
        assert_true(strlen(line) > 0);
    }
    progress_line(line, sizeof line, &s, 2000, 12345, 754, 200);
    const char *fields[] = { "step 120/2000", "loss 1.5000", "left", "12345 tokens/s", "MLM 25.0%", "NSP 50.0%", "rate 0.0001" };
    for (int i = 0; i < 7; i++) if (!strstr(line, fields[i])) fail_msg("\"%s\" lacks \"%s\"", line, fields[i]);
    for (const char *p = line; *p; p++) assert_true(*p >= ' ' && *p <= '~');      /* no colour, no control characters */
}

static int make_folder(void **state) { return (void)state, mkdtemp(folder) ? 0 : -1; }
static int remove_folder(void **state) { error e = {0}; return (void)state, files_remove_tree(folder, &e); }

int main(void) {
    fail_init("test_metrics");
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_lines_past_the_resumed_step_are_cut), cmocka_unit_test(test_a_new_run_starts_empty),
                                        cmocka_unit_test(test_line_fits_every_width) };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
