/* tests/unit/test_work.c - the ledger's parts add up to the step; useful FLOPs against a count product by product. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/json.h"
#include "base/ledger.h"
#include "base/timer.h"
#include "trainer/work.h"
#include "tests/check.h"

static void spend(double seconds) {
    for (double begin = timer_now(); timer_now() - begin < seconds;) continue;
}

static double number(const json *line, const char *key) {
    const json *value = json_get(line, key);
    if (!value) fail_msg("no %s", key);
    return json_real(value);
}

static void parts_add_up(void **state) {
    (void)state;
    char path[] = "/tmp/ledger-XXXXXX", text[1024] = "";
    close(mkstemp(path));
    assert_int_equal(ledger_enter(LEDGER_GEMM), LEDGER_OTHER);         /* off: nothing happens */
    ledger_begin(path);
    spend(0.002);
    ledger_reset();                                                     /* a step begins here */
    int before = ledger_enter(LEDGER_HEAD);
    spend(0.002);
    int inner = ledger_enter(LEDGER_GEMM);                              /* belongs to the head */
    spend(0.003);
    ledger_leave(inner);
    ledger_leave(before);
    before = ledger_enter(LEDGER_ELEMENTS);
    inner = ledger_enter(LEDGER_GEMM);
    spend(0.004);
    ledger_leave(inner);
    spend(0.002);
    ledger_leave(before);
    ledger_line("\"step\": 7");
    ledger_end();
    FILE *f = fopen(path, "r");
    assert_non_null(fgets(text, sizeof text, f));
    fclose(f), unlink(path);
    error e = {0};
    json *line = NULL;
    assert_int_equal(json_parse(&line, text, strlen(text), path, &e), 0);
    static const char *const part[] = {"other", "gemm", "attention", "elements", "head", "optimizer", "exchange", "data"};
    double sum = 0;
    for (size_t p = 0; p < sizeof part / sizeof *part; p++) sum += number(line, part[p]);
    assert_true(number(line, "step") == 7);
    assert_true(fabs(sum - number(line, "seconds")) < 1e-5);
    assert_true(number(line, "head") >= 0.005 && number(line, "gemm") >= 0.004 && number(line, "elements") >= 0.002);
    assert_true(number(line, "seconds") >= 0.011 && number(line, "attention") == 0);
    json_free(line);
}

/* 2 m n k of every product of a forward pass, three times. */
static void products(double *sum, double m, double n, double k) { *sum += 3 * 2 * m * n * k; }

static void counts_flops(void **state) {
    (void)state;
    enum { H = 12, I = 20, L = 3, V = 50 };
    model m = {.config = {.hidden_size = H, .intermediate_size = I, .num_hidden_layers = L, .vocab_size = V, .num_attention_heads = 3}};
    int32_t first[] = {0, 5, 12, 15}, masked[] = {1, 3, 4, 6, 14};
    batch b = {.sequences = 3, .tokens = 15, .masked = 5, .first = first, .masked_row = masked};
    const double length[] = {5, 7, 3}, read[] = {4, 2, 2};             /* masked and [CLS] */
    double sum = 0;
    for (int l = 0; l < L; l++) {
        bool last = l == L - 1;
        double rows = last ? 5 + 3 : 15;
        products(&sum, rows, H, H), products(&sum, 15, 2 * H, H);       /* Q; K and V */
        for (int s = 0; s < 3; s++) {
            double queries = last ? read[s] : length[s];
            products(&sum, queries, length[s], H), products(&sum, queries, H, length[s]);
        }
        products(&sum, rows, H, H), products(&sum, rows, I, H), products(&sum, rows, H, I);
    }
    products(&sum, 5, H, H), products(&sum, 5, V, H);
    products(&sum, 3, H, H), products(&sum, 3, 2, H);
    assert_true(fabs(work_flops(&m, &b) - sum) < 1e-6 * sum);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(parts_add_up), cmocka_unit_test(counts_flops)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
