/* trainer/start.c - see start.h. */
#include <errno.h>
#include <string.h>
#include <stdlib.h>
#include "base/files.h"                  /* files_join, files_write_atomic */
#include "trainer/kernels/gemm.h"
#include "trainer/kernels/kernels.h"
#include "trainer/signals.h"
#include "trainer/start.h"
#include "trainer/threads.h"

static int start_settings(trainer *t, int argc, char **argv, bool *done) {
    error e = {0};
    if (!options_parse(&t->options, &pretrain_program, &t->settings, argc, argv, done, &e) && !*done)
        settings_check(&t->settings, &t->options, t->comm->size, &e);
    if (!e.code && !*done && t->settings.comm_progress == MOVER_THREAD && !t->comm->serialized)
        error_set(&e, EXIT_USAGE, "comm-progress: this MPI library lets only the main thread talk, so there cannot be a thread for it; give poll");
    int code = comm_agree(t->comm, &e);
    if (!code && !*done) t->config_yaml = options_yaml(&t->options);
    return code;
}

/* What all ranks must have been told alike. Longer than comm_check_equal() takes (very long paths): its hash. Caller frees. */
static char *common_settings(const trainer *t) {
    enum { MOST = 4000 };
    char *all = must_format("%sdry-run: %s\n", t->config_yaml, t->settings.dry_run ? "yes" : "no");
    if (strlen(all) < MOST) return all;
    sha256 h;
    char hex[SHA256_HEX];
    sha256_init(&h);
    sha256_add(&h, all, strlen(all));
    sha256_end_hex(&h, hex);
    free(all);
    return must_strdup(hex);
}

/* Products with operands as --precision says, by the best set that all ranks have. Every rank was told the same precision. */
static int start_precision(trainer *t) {
    error e = {0};
    if (t->settings.precision == GEMM_FP32) return 0;
    gemm_set_precision(t->settings.precision, -1, &e);
    int code = comm_agree(t->comm, &e);
    if (code) return code;
    int64_t lowest = gemm_bf16_set();
    comm_min_i64(t->comm, &lowest, 1);
    gemm_set_precision(t->settings.precision, (int)lowest, &e);
    return comm_agree(t->comm, &e);
}

/* Kernels as good as the weakest rank's; the same program, configuration and OpenBLAS on all. */
static int start_machine(trainer *t) {
    error e = {0};
    kernels_start(-1, &e);
    int code = comm_agree(t->comm, &e);
    if (code) return code;
    int64_t lowest = kernels_level();
    comm_min_i64(t->comm, &lowest, 1);
    if (lowest < kernels_level()) kernels_start((int)lowest, &e);
    code = comm_agree(t->comm, &e);
    if (code) return code;
    char *common = common_settings(t);
    comm_check_equal(t->comm, "program version", BERT_VERSION, &e);      /* collective: every rank makes both calls */
    comm_check_equal(t->comm, "configuration", common, &e);
    free(common);
    code = comm_agree(t->comm, &e);
    if (!code) code = start_precision(t);
    if (code) return code;
    comm_check_equal(t->comm, "the way to multiply matrices", gemm_name(), &e);
    code = comm_agree(t->comm, &e);
    if (code) return code;
    snprintf(t->kernel_set, sizeof t->kernel_set, "%s, %s", kernels_name(), gemm_name());
    t->threads = threads_start(t->comm, t->settings.threads, &t->spare_core);
    return 0;
}

/* Order of rows, length of training, schedule. */
static int start_order(trainer *t) {
    const settings *s = &t->settings;
    error e = {0};
    if (!order_init(&t->order, t->data, s->global_batch, s->micro_batch, (uint64_t)s->seed, &e)) {
        t->total = s->epochs > 0 ? order_steps(&t->order, s->epochs) : s->steps;
        settings_schedule(s, t->total, &t->schedule, &e);
    }
    t->leaves = plan_leaves((int)(s->global_batch / s->micro_batch), t->comm->size, t->comm->rank);
    return comm_agree(t->comm, &e);
}

/* Rank 0 opens what it writes beside checkpoints. */
static int start_output(trainer *t) {
    error e = {0};
    if (t->comm->rank == 0) {
        char *path = files_join(t->settings.output, "config.yaml");
        if (t->settings.dump_order) {
            t->order_file = fopen(t->settings.dump_order, "w");
            if (!t->order_file) error_set(&e, EXIT_USAGE, "dump-order: %s: %s; choose another file", t->settings.dump_order, strerror(errno));
        }
        if (!e.code && files_write_atomic(path, t->config_yaml, strlen(t->config_yaml), &e)) e.code = EXIT_USAGE;
        free(path);
    }
    int code = comm_agree(t->comm, &e);
    if (!code && t->comm->rank == 0) {
        t->metrics = metrics_open(t->settings.output, t->step, t->total, t->settings.progress, t->options.quiet);
        metrics_note(t->metrics, "%s: %zu parameters, %d ranks of %d threads, exchange by %s, %s; step %lld of %lld%s%s", t->settings.output,
                     t->model->parameters, t->comm->size, t->threads, exchange_path(t->exchange), t->kernel_set, (long long)t->step,
                     (long long)t->total, t->resume_from[0] ? ", from " : "", t->resume_from);
        if (t->settings.wire == EXCHANGE_BF16 && t->comm->size > 1)
            metrics_note(t->metrics, "wire bf16: gradients in messages are rounded; the weights depend on the number of ranks and nodes");
    }
    return code;
}

/* Where config.json is, as far as that is known before RUN is open. */
static char *model_path(const trainer *t) {
    if (t->settings.model) return must_strdup(t->settings.model);
    return t->settings.init_from ? files_join(t->settings.init_from, "config.json") : NULL;
}

int start(trainer *t, comm *c, int argc, char **argv, bool *done) {
    memset(t, 0, sizeof *t);
    t->comm = c;
    t->saved_step = -1;
    t->run.lock = -1;
    signals_start();
    int code = start_settings(t, argc, argv, done);
    if (code || *done) return code;
    code = start_machine(t);
    if (!code) code = start_data(t);
    if (!code) code = start_order(t);
    char *path = model_path(t);
    if (!code && (path || t->settings.dry_run)) code = start_model(t, path);
    bool known = path != NULL;
    free(path);
    if (code) return code;
    if (t->settings.dry_run) {
        *done = true;
        start_dry_run(t);
        return 0;
    }
    code = start_run(t, done);
    if (code || *done) return code;
    if (!known) {
        path = t->resume_from[0] ? files_join(t->resume_from, "config.json") : NULL;
        code = start_model(t, path);
        free(path);
        if (code) return code;
    }
    trainer_build(t);
    code = start_weights(t);
    return code ? code : start_output(t);
}
