/* base/ledger.c - see ledger.h. */
#include "base/ledger.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "base/fail.h"
#include "base/timer.h"

bool ledger_on;
static FILE *file;
static int open_part;
static double since, began, seconds[LEDGER_PARTS];
static const char *const name[LEDGER_PARTS] = {"other", "gemm", "attention", "elements", "head", "optimizer", "exchange", "data"};

void ledger_begin(const char *path) {
    file = fopen(path, "w");
    if (!file) fail(EXIT_USAGE, "BERT_LEDGER=%s: %s; name another file, or unset it", path, strerror(errno));
    ledger_on = true;
    ledger_reset();
}

void ledger_end(void) {
    if (file && fclose(file) != 0) warn("BERT_LEDGER: %s", strerror(errno));
    file = NULL;
    ledger_on = false;
}

void ledger_back(int part) {
    double now = timer_now();
    seconds[open_part] += now - since;
    since = now;
    open_part = part;
}

int ledger_switch(int part) {
    int before = open_part;
    if (before != LEDGER_HEAD) ledger_back(part);
    return before;
}

void ledger_reset(void) {
    memset(seconds, 0, sizeof seconds);
    began = since = timer_now();
}

void ledger_line(const char *fields) {
    if (!ledger_on) return;
    ledger_back(open_part);
    fprintf(file, "{%s, \"seconds\": %.6f", fields, since - began);
    for (int p = 0; p < LEDGER_PARTS; p++) fprintf(file, ", \"%s\": %.6f", name[p], seconds[p]);
    fprintf(file, "}\n");
    fflush(file);
}
