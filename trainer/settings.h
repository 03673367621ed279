/* trainer/settings.h - the options of bert-pretrain: one struct, one table (settings.c), the checks between options. */
#ifndef TRAINER_SETTINGS_H
#define TRAINER_SETTINGS_H
#include <stdbool.h>
#include <stdint.h>
#include "base/options.h"        /* options, option_interval */
#include "trainer/optimizer.h"   /* schedule, optimizer_settings */

typedef struct settings {
    char *data, *model, *init_from, *output, *resume, *dump_order;
    int64_t steps;                       /* -1: epochs decides */
    double epochs;                       /* 0: steps decides */
    int64_t global_batch, micro_batch;
    int optimizer, schedule, decay_from;
    double learning_rate, power, weight_decay, beta1, beta2, epsilon, clip_norm;
    int64_t warmup_steps;
    bool bias_correction;
    double dropout;                      /* -1: the model's own */
    int64_t seed, threads;               /* threads 0: as many cores as this rank may use */
    option_interval checkpoint_every, stop_after;
    int64_t keep, keep_every, log_every, check_every;
    int progress, comm_progress, wire;   /* MOVER_AUTO ..; EXCHANGE_FP32 .. */
    int precision;                       /* GEMM_FP32 .. */
    bool recompute, dry_run;
} settings;

extern const option_program pretrain_program;

/* Not collective. What one value alone cannot show: EXIT_USAGE with numbers that would do. */
int settings_check(settings *s, const options *o, int ranks, error *e);

/* The schedule over T steps. EXIT_USAGE when the warm-up is longer than the run. */
int settings_schedule(const settings *s, int64_t steps, schedule *out, error *e);
optimizer_settings settings_optimizer(const settings *s, bool nsp);

/* Every key whose value in effect differs from the YAML text a checkpoint was made with and may not change: EXIT_USAGE listing
 * both values. Paths (data, model) are not compared: their contents are, elsewhere. */
int settings_check_resume(const options *o, const char *saved_yaml, const char *checkpoint, error *e);
#endif
