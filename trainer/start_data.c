/* trainer/start_data.c - shards, vocabulary and model, checked against each other. See start.h. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/files.h"      /* files_join */
#include "trainer/start.h"

/* Each file is hashed by one rank; the others take its word, which comm_agree() makes all ranks' word. */
static void verify_files(trainer *t, error *e) {
    size_t files = shard_folder_files(t->data), ranks = (size_t)t->comm->size, rank = (size_t)t->comm->rank;
    for (size_t i = rank; i < files && !e->code; i += ranks) shard_folder_verify(t->data, i, e);
}

int start_data(trainer *t) {
    error e = {0};
    shard_folder_open(&t->data, t->settings.data, &e);
    int code = comm_agree(t->comm, &e);
    if (code) return code;
    comm_check_equal(t->comm, "data (content hash)", shard_folder_info(t->data)->content_hash, &e);
    if (!e.code) {
        char *path = files_join(t->settings.data, "vocab.txt");
        vocab_load(&t->vocab, path, &e);
        free(path);
    }
    code = comm_agree(t->comm, &e);
    if (code) return code;
    verify_files(t, &e);
    code = comm_agree(t->comm, &e);
    if (code) return code;
    for (size_t i = 0; i < shard_folder_files(t->data); i++)
        if (i % (size_t)t->comm->size != (size_t)t->comm->rank) shard_folder_trust(t->data, i);
    return 0;
}

static int check_model(const trainer *t, const char *path, error *e) {
    const shard_info *info = shard_folder_info(t->data);
    const model_config *c = &t->config;
    if (c->max_position_embeddings < (int64_t)info->seq_length)
        return error_set(e, EXIT_USAGE, "%s: max_position_embeddings %" PRId64 " is less than the shards' seq_length %u; make shards with "
                         "--seq-length %" PRId64 ", or enlarge it", path, c->max_position_embeddings, info->seq_length, c->max_position_embeddings);
    if (info->max_id >= c->vocab_size)
        return error_set(e, EXIT_USAGE, "%s: vocab_size %" PRId64 " is too small for token id %" PRId64 " of %s", path, c->vocab_size, info->max_id,
                         info->path);
    return 0;
}

/* path NULL: nothing tells the model. */
int start_model(trainer *t, const char *path) {
    error e = {0};
    if (!path) error_set(&e, EXIT_USAGE, "missing: --model config.json (or --init-from); see configs/models");
    else if (!model_config_read(&t->config, path, &e) && !model_config_fit_vocab(&t->config, vocab_size(t->vocab), path, &e))
        check_model(t, path, &e);
    int code = comm_agree(t->comm, &e);
    if (code) return code;
    t->model = model_new(&t->config);
    t->plan = plan_new(t->comm->size, t->model->gradient_elements, t->model->bucket, t->model->buckets);
    return 0;
}

static void say_bytes(const char *what, size_t bytes) { printf("%s: %.1f MiB\n", what, (double)bytes / (1 << 20)); }

void start_dry_run(const trainer *t) {
    if (t->comm->rank != 0) return;
    const shard_info *info = shard_folder_info(t->data);
    const uint16_t *lengths = shard_lengths(t->data, SHARD_TRAINING);
    uint64_t tokens = 0;
    for (uint64_t i = 0; i < t->order.rows; i++) tokens += lengths[i];
    double mean = (double)tokens / (double)t->order.rows, per_epoch = (double)t->order.blocks * (double)t->order.parts / (double)t->order.leaves;
    printf("%s", t->config_yaml);
    printf("\nparameters: %zu\n", t->model->parameters);
    say_bytes("memory of a rank", trainer_bytes(t->model, t->plan, info, &t->settings, t->leaves, t->comm->rank));
    say_bytes("of it, moments", 2 * optimizer_owned(t->plan, t->comm->rank) * sizeof(float));
    printf("ranks: %d of %d threads; %s\n", t->comm->size, t->threads, t->kernel_set);
    printf("examples: %" PRIu64 " of at most %u tokens, %.1f on average\n", t->order.rows, info->seq_length, mean);
    printf("steps: %" PRId64 " of about %.0f tokens; %.1f steps are an epoch\n", t->total, mean * (double)t->order.global_batch, per_epoch);
    fflush(stdout);
}
