/* trainer/build.c - all memory of training, made once before the first step. See train.h. */
#include <omp.h>
#include <stdlib.h>
#include "trainer/kernels/gemm.h"   /* gemm_bytes */
#include "trainer/train.h"

static network_limits limits_of(const model *m, const shard_info *info, const settings *s) {
    size_t sequences = (size_t)s->micro_batch;
    bool given = s->dropout >= 0;
    return (network_limits){ .sequences = sequences, .tokens = sequences * info->seq_length, .masked = sequences * info->max_predictions,
                             .seq_length = info->seq_length, .hidden_dropout = given ? s->dropout : m->config.hidden_dropout_prob,
                             .attention_dropout = given ? s->dropout : m->config.attention_probs_dropout_prob, .seed = (uint64_t)s->seed,
                             .recompute = s->recompute };
}

static exchange_options exchange_of(const model *m, const settings *s) {
    return (exchange_options){ .weights = m->weight_elements, .wire = s->wire, .row_bucket = m->buckets - 1, .row_elements = m->tensor[m->word].columns };
}

size_t trainer_bytes(const model *m, const plan *p, const shard_info *info, const settings *s, range leaves, int rank) {
    network_limits limits = limits_of(m, info, s);
    size_t own = leaves.end - leaves.begin, row = (size_t)info->seq_length * 6 + (size_t)info->max_predictions * 8 + 1;
    size_t block_rows = 256 > s->micro_batch ? 256 : (size_t)s->micro_batch;
    size_t packed = limits.tokens * 12 + limits.masked * 8;
    size_t word = m->tensor[m->word].count, inner = limits.tokens * (size_t)m->config.intermediate_size;
    exchange_options how = exchange_of(m, s);
    return exchange_bytes(p, &how, rank) + tree_bytes(m->gradient_elements, (int)own) + optimizer_bytes(m, p, rank, s->optimizer) +
           network_bytes(m, &limits) + gemm_bytes(word > inner ? word : inner, omp_get_max_threads()) + own * (packed + block_rows * row);
}

void trainer_build(trainer *t) {
    const shard_info *info = shard_folder_info(t->data);
    const model *m = t->model;
    size_t leaves = t->leaves.end - t->leaves.begin;
    network_limits limits = limits_of(m, info, &t->settings);
    optimizer_settings update = settings_optimizer(&t->settings, info->has_nsp);
    exchange_options how = exchange_of(m, &t->settings);
    t->exchange = exchange_new(t->comm, t->plan, &how);
    t->weights = exchange_weights(t->exchange);
    t->tree = tree_new(m->gradient_elements, (int)leaves, exchange_gradients(t->exchange));
    bool threaded = t->settings.comm_progress == MOVER_THREAD || (t->settings.comm_progress == MOVER_AUTO && t->spare_core && t->comm->serialized);
    t->mover = mover_new(t->exchange, t->tree, t->plan, threaded && t->comm->size > 1);
    t->paces = must_zalloc(4 * (size_t)t->comm->size, sizeof *t->paces);
    t->optimizer = optimizer_new(m, t->plan, t->comm->rank, &update);
    t->network = network_new(m, &limits);
    network_set_await(t->network, mover_await, t->mover);
    t->loader = loader_new(t->data, &t->order);
    t->result = must_zalloc(leaves, sizeof *t->result);
    t->losses = must_zalloc(2 * leaves, sizeof *t->losses);
    t->batch = must_zalloc(leaves, sizeof *t->batch);
    for (size_t i = 0; i < leaves; i++) t->batch[i] = batch_new(limits.sequences, limits.seq_length, info->max_predictions);
}

checkpoint_job trainer_checkpoint_job(trainer *t) {
    const shard_info *info = shard_folder_info(t->data);
    return (checkpoint_job){ .comm = t->comm, .exchange = t->exchange, .model = t->model, .optimizer = t->optimizer, .vocab = t->vocab,
                             .lowercase = info->lowercase, .strip_accents = info->strip_accents, .seq_length = info->seq_length,
                             .run = t->comm->rank == 0 ? &t->run : NULL, .config_yaml = t->config_yaml, .kernel_set = t->kernel_set,
                             .data_hash = info->content_hash, .weights = t->weights, .scratch = exchange_gradients(t->exchange) };
}

/* Everything may be absent: start-up can end at any of its checks. */
void trainer_free(trainer *t) {
    metrics_close(t->metrics);
    if (t->order_file && fclose(t->order_file) != 0) warn("dump-order: %s: could not be written", t->settings.dump_order);
    for (size_t i = 0; t->batch && i < t->leaves.end - t->leaves.begin; i++) batch_free(t->batch[i]);
    free(t->batch);
    free(t->result);
    free(t->losses);
    if (t->loader) loader_free(t->loader);
    if (t->network) network_free(t->network);
    if (t->optimizer) optimizer_free(t->optimizer);
    mover_free(t->mover);
    if (t->tree) tree_free(t->tree);
    if (t->exchange) exchange_free(t->exchange);
    free(t->paces);
    if (t->plan) plan_free(t->plan);
    if (t->model) model_free(t->model);
    else model_config_free(&t->config);
    if (t->vocab) vocab_free(t->vocab);
    if (t->data) shard_folder_free(t->data);
    if (t->run.path) run_folder_close(&t->run);
    free(t->config_yaml);
    options_free(&t->options);
}
