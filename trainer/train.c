/* trainer/train.c - one step, readable aloud, and the loop around it. See train.h. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/ledger.h"
#include "base/timer.h"
#include "trainer/memory.h"
#include "trainer/signals.h"
#include "trainer/train.h"
#include "trainer/work.h"

static void load_batches(trainer *t, int64_t step) {
    error e = {0};
    int before = ledger_enter(LEDGER_DATA);
    for (size_t i = 0; i < t->leaves.end - t->leaves.begin; i++)
        if (loader_batch(t->loader, step, (int64_t)(t->leaves.begin + i), t->batch[i], &e)) fail(e.code, "%s", e.text);
    if (t->order_file) loader_dump(t->loader, step, t->order_file);
    ledger_leave(before);
}

static bool due(option_interval every, int64_t steps, double seconds) {
    return every.steps > 0 ? steps >= every.steps : every.seconds > 0 && seconds >= every.seconds;
}

/* Collective. Only rank 0's clock counts. */
static void global_counts(trainer *t, int64_t count[COUNTS]) {
    memset(count, 0, COUNTS * sizeof *count);
    for (size_t i = 0; i < t->leaves.end - t->leaves.begin; i++) {
        const batch *b = t->batch[i];
        count[COUNT_MASKED] += (int64_t)b->masked;
        count[COUNT_TOKENS] += (int64_t)b->tokens;
        for (size_t s = 0; s < b->sequences; s++) count[COUNT_PAIRS] += b->next_sentence[s] >= 0;
    }
    count[COUNT_STOP] = signals_stop_asked();
    if (t->comm->rank == 0) {
        double now = timer_now();
        count[COUNT_TIME_UP] = due(t->settings.stop_after, t->step + 1 - t->first_step, now - t->started);
        option_interval every = t->settings.checkpoint_every;
        count[COUNT_SAVE] = every.steps > 0 ? (t->step + 1) % every.steps == 0 : due(every, 0, now - t->saved_at);
    }
    int before = ledger_enter(LEDGER_EXCHANGE);
    comm_sum_i64(t->comm, count, COUNTS);
    ledger_leave(before);
}

static double per(double sum, int64_t count) { return count > 0 ? sum / (double)count : 0; }

/* Collective. Losses as doubles per leaf in the tree's order, hits as integers: the same on every number of ranks. */
static void add_losses(trainer *t, const int64_t count[COUNTS], step_metrics *s) {
    int leaves = (int)(t->leaves.end - t->leaves.begin);
    int64_t correct[2] = {0};
    for (int i = 0; i < leaves; i++) {
        t->losses[2 * i] = t->result[i].mlm_loss;
        t->losses[2 * i + 1] = t->result[i].nsp_loss;
        correct[0] += t->result[i].mlm_correct;
        correct[1] += t->result[i].nsp_correct;
    }
    int before = ledger_enter(LEDGER_EXCHANGE);
    tree_sum_f64(t->losses, leaves, 2);
    comm_tree_sum_f64(t->comm, t->losses, 2);
    comm_sum_i64(t->comm, correct, 2);
    ledger_leave(before);
    s->mlm_loss = per(t->losses[0], count[COUNT_MASKED]);
    s->nsp_loss = per(t->losses[1], count[COUNT_PAIRS]);
    s->loss = s->mlm_loss + s->nsp_loss;
    s->mlm_accuracy = per((double)correct[0], count[COUNT_MASKED]);
    s->nsp_accuracy = per((double)correct[1], count[COUNT_PAIRS]);
}

/* Rows of the word matrix that any leaf of this rank looks up. [PAD] has no gradient there. */
static void mark_touched(trainer *t) {
    uint64_t *touched = exchange_touched(t->exchange);
    for (size_t i = 0; i < t->leaves.end - t->leaves.begin; i++)
        for (size_t k = 0; k < t->batch[i]->tokens; k++) {
            uint32_t row = (uint32_t)t->batch[i]->token[k];
            if (row != (uint32_t)t->model->config.pad_token_id) touched[row / 64] |= 1ull << row % 64;
        }
}

/* Collective. Losses, gradients of all leaves, their sum: this rank's slices of it. The last leaf's buckets travel while it is computed. */
static void sum_gradients(trainer *t, loss_scale scale) {
    size_t leaves = t->leaves.end - t->leaves.begin;
    for (size_t i = 0; i < leaves; i++) {
        bool last = i + 1 == leaves;
        network_forward(t->network, t->weights, t->batch[i], scale, &t->result[i]);      /* the last step's new weights come in meanwhile */
        if (i == 0) {
            mover_begin(t->mover);
            mark_touched(t);
        }
        bool add;
        float *gradients = tree_next(t->tree, &add);
        network_backward(t->network, t->weights, t->batch[i], gradients, add, last ? mover_progress(t->mover) : NULL);
        int before = ledger_enter(LEDGER_EXCHANGE);
        if (!last) tree_push(t->tree);
        ledger_leave(before);
    }
    mover_finish(t->mover);
}

/* This rank's line of the ledger; FLOPs are those of its leaves. */
static void write_ledger(const trainer *t, int64_t step, const step_result *r) {
    char fields[160];
    double flops = 0;
    for (size_t i = 0; i < t->leaves.end - t->leaves.begin; i++) flops += work_flops(t->model, t->batch[i]);
    snprintf(fields, sizeof fields, "\"step\": %" PRId64 ", \"tokens\": %" PRId64 ", \"flops\": %.0f", step + 1, r->count[COUNT_TOKENS], flops);
    ledger_line(fields);
}

void train_step(trainer *t, int64_t step, step_result *r) {
    step_metrics *s = &r->metrics;
    double began = timer_now();
    ledger_reset();
    (void)exchange_counted(t->exchange);           /* a checkpoint's messages are not this step's */
    load_batches(t, step);
    s->data_wait_seconds = timer_now() - began;
    global_counts(t, r->count);
    loss_scale scale = { .mlm = per(1, r->count[COUNT_MASKED]), .nsp = per(1, r->count[COUNT_PAIRS]) };
    sum_gradients(t, scale);
    add_losses(t, r->count, s);
    r->diverged = !isfinite(s->loss);
    if (r->diverged) return;
    s->learning_rate = schedule_rate(&t->schedule, step + 1);
    s->grad_norm = optimizer_step(t->optimizer, t->exchange, exchange_gradients(t->exchange), t->weights, s->learning_rate);
    r->diverged = !isfinite(s->grad_norm);
    if (r->diverged) return;
    r->moved = exchange_counted(t->exchange);
    s->exchange_wait_seconds = r->moved.wait_seconds;
    s->step_seconds = timer_now() - began;
    if (ledger_on) write_ledger(t, step, r);
}

/* Collective. What each rank computed and waited since the last report; the one that holds up the others says so itself. */
static void judge_pace(trainer *t, step_metrics *s) {
    int ranks = t->comm->size;
    double *all = t->paces, *wait = all + 2 * ranks, *busy = wait + ranks, ratio, steps = (double)t->pace.steps;
    comm_gather_f64(t->comm, (double[]){t->pace.wait / steps, t->pace.busy / steps}, 2, all);
    for (int r = 0; r < ranks; r++) wait[r] = all[2 * r], busy[r] = all[2 * r + 1];
    s->rank_wait_seconds = wait;
    s->ranks = ranks;
    if (pace_judge(&t->pace, busy, all, ranks, timer_now(), &ratio) == t->comm->rank)
        warn("computes %.2f times as long as the median rank, and all wait for it; look for other work, heat or faults on this host", ratio);
    t->pace.wait = t->pace.busy = 0;
    t->pace.steps = 0;
}

/* Collective. */
static void report(trainer *t, step_result *r) {
    step_metrics *s = &r->metrics;
    bool log = t->step % t->settings.log_every == 0 || t->step == t->total || t->step == 1;
    if (log) {
        s->peak_memory_bytes = memory_peak_bytes();
        comm_max_i64(t->comm, &s->peak_memory_bytes, 1);
        judge_pace(t, s);
    }
    s->step = t->step;
    s->tokens = r->count[COUNT_TOKENS];
    s->tokens_per_second = s->step_seconds > 0 ? (double)s->tokens / s->step_seconds : 0;
    s->has_nsp = shard_folder_info(t->data)->has_nsp;
    if (t->metrics) metrics_step(t->metrics, s, log);
}

/* Collective. All weights are there on all ranks, and the same. */
static int check_weights(trainer *t) {
    error e = {0};
    exchange_finish(t->exchange);
    weights_check(t->comm, t->weights, t->model->weight_elements, t->step, &e);
    return comm_agree(t->comm, &e);
}

/* Collective. Ranks' weights are compared first: a checkpoint never holds weights that ranks do not share. 0, EXIT_MACHINE (ranks differ),
 * EXIT_UNSAVED (missed too often). A single miss is a warning: the next due checkpoint tries again. */
static int save(trainer *t, const step_metrics *s) {
    enum { MISSES = 3 };
    error e = {0};
    int code = check_weights(t);
    if (code) return code;
    checkpoint_job job = trainer_checkpoint_job(t);
    checkpoint_state state = { .step = t->step, .next_step = t->step, .seed = (uint64_t)t->settings.seed, .learning_rate = s->learning_rate,
                               .loss = s->loss };
    char name[64] = "";
    code = checkpoint_save(&job, &state, t->settings.keep, t->settings.keep_every, name, &e);
    t->saved_at = timer_now();
    if (code) {
        t->misses++;
        if (t->comm->rank == 0) warn("checkpoint of step %" PRId64 " was not saved (%s); %" PRId64 " of %d misses", t->step, e.text, t->misses, MISSES);
        return t->misses >= MISSES ? EXIT_UNSAVED : 0;
    }
    t->misses = 0;
    t->saved_step = t->step;
    memcpy(t->checkpoint_name, name, sizeof name);
    if (t->metrics) metrics_note(t->metrics, "saved %s", name);
    return 0;
}

static void write_status(trainer *t, const char *state, int code) {
    if (t->comm->rank != 0) return;
    error e = {0};
    const char *name = t->checkpoint_name[0] ? t->checkpoint_name : NULL;
    if (run_folder_status(&t->run, state, code, t->step, name, &e)) warn("%s", e.text);
}

/* Collective. The last checkpoint, then the verdict on disk. */
static int finish(trainer *t, int code, const step_metrics *s) {
    bool good = code == EXIT_DONE || code == EXIT_STOPPED;
    exchange_finish(t->exchange);
    if (good && t->saved_step != t->step) {
        int saved = save(t, s);
        if (saved) code = saved;
        else if (t->saved_step != t->step) code = EXIT_UNSAVED;
    }
    if (code == EXIT_UNSAVED && t->comm->rank == 0) {
        error e = {0};
        error_set(&e, code, "%s: checkpoints could not be saved; the last good one is %s", t->run.path,
                  t->checkpoint_name[0] ? t->checkpoint_name : "none");
        error_print(&e);
    }
    write_status(t, code == EXIT_DONE ? "done" : code == EXIT_STOPPED ? "stopped" : "failed", code);
    return code;
}

static int say_diverged(trainer *t, const step_metrics *s) {
    error e = {0};
    if (t->comm->rank == 0)
        error_set(&e, EXIT_DIVERGED, "step %" PRId64 ": training diverged: loss %g, gradient norm %g; the last good checkpoint is %s; lower "
                  "learning-rate or lengthen warmup-steps", t->step + 1, s->loss, s->grad_norm,
                  t->checkpoint_name[0] ? t->checkpoint_name : "none");
    return comm_agree(t->comm, &e);
}

int train(trainer *t) {
    step_result r = {0};
    int code = 0;
    const char *ledger = getenv("BERT_LEDGER");
    if (ledger && *ledger && t->comm->rank == 0) ledger_begin(ledger);
    write_status(t, "running", 0);
    t->started = t->saved_at = timer_now();
    while (!code && t->step < t->total) {
        r = (step_result){0};
        train_step(t, t->step, &r);
        if (r.diverged) {
            code = say_diverged(t, &r.metrics);
            break;
        }
        t->step++;
        pace_add(&t->pace, r.metrics.step_seconds, r.metrics.exchange_wait_seconds);
        report(t, &r);
        if (t->settings.check_every > 0 && t->step % t->settings.check_every == 0) code = check_weights(t);
        bool stop = r.count[COUNT_STOP] > 0 || r.count[COUNT_TIME_UP] > 0;
        if (!code && r.count[COUNT_SAVE] > 0 && !stop && t->step < t->total) code = save(t, &r.metrics);
        if (!code && stop && t->step < t->total) code = EXIT_STOPPED;
    }
    ledger_end();
    return finish(t, code, &r.metrics);
}
