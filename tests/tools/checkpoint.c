/* Makes checkpoints and logits for tests/parity/test_checkpoint.py.
 *
 *     checkpoint make CONFIG VOCAB RUN cased|uncased     random weights of every tensor, saved as step 3
 *     checkpoint init FOLDER VOCAB RUN                   --init-from FOLDER (its config.json), saved as step 0
 *     checkpoint logits FOLDER "id id ..."               MLM logits of each position, then NSP, as float32 on stdout */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/files.h"
#include "base/rng.h"
#include "trainer/checkpoint.h"
#include "trainer/kernels/kernels.h"
#include "trainer/network.h"

static comm *world;

static int save(model *m, float *weights, const vocab *v, bool lowercase, const char *path, int64_t step, error *e) {
    run_folder run;
    optimizer_settings settings = {0.9, 0.999, 1e-6, 0.01, 1.0, true, true, OPTIMIZER_ADAMW};
    checkpoint_state state = {step, step, 12345, 1e-4, 9.0};
    char name[64];
    int code = run_folder_open(&run, path, e);
    if (code) return code;
    plan *p = plan_new(1, m->gradient_elements, m->bucket, m->buckets);
    exchange *x = exchange_new(world, p, NULL);
    optimizer *o = optimizer_new(m, p, 0, &settings);
    float *scratch = must_zalloc(m->gradient_elements, sizeof *scratch);
    checkpoint_job job = {world, x, m, o, v, lowercase, STRIP_AUTO, 64, &run, "steps: 3\n", "test", "0123", weights, scratch};
    code = checkpoint_save(&job, &state, 3, 0, name, e);
    if (!code) printf("%s/%s\n", path, name);
    free(scratch), optimizer_free(o), exchange_free(x), plan_free(p), run_folder_close(&run);
    return code;
}

static int make(char **a, error *e) {
    model_config c;
    vocab *v;
    if (vocab_load(&v, a[1], e) || model_config_read(&c, a[0], e) || model_config_fit_vocab(&c, vocab_size(v), a[1], e)) return e->code;
    model *m = model_new(&c);
    float *weights = must_zalloc(m->weight_elements, sizeof *weights);
    model_init(m, weights, 1);
    for (size_t i = 0; i < m->tensors; i++)   /* biases and LayerNorm too: a tensor in the wrong place must show */
        for (size_t k = 0; k < m->tensor[i].count; k++) weights[m->tensor[i].offset + k] += (float)(0.05 * rng_normal(rng_open(2, RNG_INIT, i, 0, 0), k));
    int code = save(m, weights, v, !strcmp(a[3], "uncased"), a[2], 3, e);
    free(weights), model_free(m), vocab_free(v);
    return code;
}

static int init(char **a, error *e) {
    model_config c;
    vocab *v;
    char *config = files_join(a[0], "config.json");
    if (vocab_load(&v, a[1], e) || model_config_read(&c, config, e)) return e->code;
    model *m = model_new(&c);
    float *weights = must_zalloc(m->weight_elements, sizeof *weights);
    model_init(m, weights, 1);
    int code = checkpoint_init_from(world, m, weights, a[0], e);
    if (!code) code = save(m, weights, v, true, a[2], 0, e);
    free(config), free(weights), model_free(m), vocab_free(v);
    return code;
}

static int logits(char **a, error *e) {
    model *m;
    float *weights, nsp[2];
    int code = checkpoint_load_weights(a[0], &m, &weights, e);
    if (code) return code;
    batch *b = batch_new(1, 64, 64);
    b->sequences = 1, b->next_sentence[0] = -1;
    for (char *p = a[1]; *p && b->tokens < 64; b->tokens++) {
        b->token[b->tokens] = (int32_t)strtol(p, &p, 10);
        b->position[b->tokens] = (int32_t)b->tokens;
    }
    b->first[1] = (int32_t)b->tokens;
    network_limits limits = {.sequences = 1, .tokens = 64, .masked = 64, .seq_length = 64, .whole_last_layer = true};
    network *n = network_new(m, &limits);
    float *row = must_alloc((size_t)m->config.vocab_size, sizeof *row);
    (void)network_hidden(n, weights, b);
    for (size_t i = 0; i < b->tokens; i++) {
        network_mlm_logits(n, weights, i, row);
        if (fwrite(row, sizeof *row, (size_t)m->config.vocab_size, stdout) != (size_t)m->config.vocab_size) return 1;
    }
    network_nsp_logits(n, weights, 0, nsp);
    if (fwrite(nsp, sizeof *nsp, 2, stdout) != 2) return 1;
    free(row), network_free(n), batch_free(b), model_free(m), free(weights);
    return 0;
}

int main(int argc, char **argv) {
    error e = {0};
    fail_init("checkpoint");
    world = comm_start(&argc, &argv);
    int code = kernels_start(-1, &e);
    if (code) return comm_finish(world, comm_agree(world, &e));
    if (argc == 6 && !strcmp(argv[1], "make")) (void)make(argv + 2, &e);
    else if (argc == 5 && !strcmp(argv[1], "init")) (void)init(argv + 2, &e);
    else if (argc == 4 && !strcmp(argv[1], "logits")) (void)logits(argv + 2, &e);
    else (void)error_set(&e, EXIT_USAGE, "usage: see the head of tests/tools/checkpoint.c");
    code = comm_agree(world, &e);
    return comm_finish(world, code);
}
