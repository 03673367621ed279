/* trainer/kernels/gemm.c - the door: which way products go, and who polls between their tiles. */
#include <assert.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include "base/ledger.h"
#include "base/memory.h"
#include "trainer/kernels/gemm_rows.h"
#include "trainer/kernels/kernels.h"

static bool by_blas, rounded;    /* rounded: operands are, to bf16 */
static int own_level = KERNELS_REF;
static void (*poll_function)(void *);
static void *poll_context;
static float *shared;            /* GEMM_SHARED floats of packed b, made once at start; pages that are never needed are never there */

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

int gemm_start(error *e) {
    const char *wanted = getenv("BERT_GEMM");
    by_blas = wanted && strcmp(wanted, "openblas") == 0;
    if (wanted && *wanted && !by_blas && strcmp(wanted, "own") != 0)
        return error_set(e, EXIT_USAGE, "BERT_GEMM=%.40s: not a way to multiply matrices; use own or openblas", wanted);
    if (by_blas) gemm_blas_start();
    return 0;
}

void gemm_set_level(int level) {
    rounded = false;
    own_level = level;
    if (level > KERNELS_REF) gemm_rows_start(level);
    if (!shared) shared = memory_new(GEMM_SHARED * sizeof *shared);
    if (!shared) fail(EXIT_MACHINE, "out of memory: %zu bytes to multiply matrices", GEMM_SHARED * sizeof *shared);
}

int gemm_set_precision(int precision, int lowest, error *e) {
    rounded = false;
    if (precision == GEMM_FP32) return 0;
    if (by_blas) return error_set(e, EXIT_USAGE, "precision: bf16 has own kernels only, and BERT_GEMM asks for openblas; unset it, or give --precision fp32");
    if (gemm_bf16_start(lowest, e)) return e->code;
    rounded = true;
    return 0;
}

enum gemm_way gemm_way(void) { return by_blas ? GEMM_BY_BLAS : own_level == KERNELS_REF ? GEMM_BY_REFERENCE : GEMM_BY_OWN; }

size_t gemm_bytes(size_t most, int threads) {
    if (rounded) return smaller(most, 2 * GEMM_SHARED) * sizeof(uint16_t) + gemm_bf16_bytes(threads);
    return smaller(most, GEMM_SHARED) * sizeof *shared + (size_t)threads * gemm_rows_bytes();
}

const char *gemm_name(void) { return by_blas ? gemm_blas_name() : rounded ? gemm_bf16_name() : "own"; }

void gemm_set_poll(void (*poll)(void *), void *context) {
    poll_function = poll;
    poll_context = context;
}

void gemm_poll(void) {
    if (poll_function && omp_get_thread_num() == 0) poll_function(poll_context);
}

void gemm_serial(const gemm_job *job) {
    if (rounded) gemm_bf16_serial(job);
    else gemm_serial_tiles(job);
}

/* Rows that no tile held whole. */
void gemm_finish_rows(const gemm_job *j) {
#pragma omp parallel for schedule(dynamic, 1)
    for (size_t r = 0; r < j->m; r += GEMM_STEP) j->rows_done(j->context, r, smaller(GEMM_STEP, j->m - r));
}

void gemm_run(const gemm_job *jobs, size_t count) {
    assert(count <= GEMM_JOBS);
    int before = ledger_enter(LEDGER_GEMM);
    if (rounded) gemm_bf16_run(jobs, count, shared);
    else gemm_own_run(jobs, count, shared);
    ledger_leave(before);
}
