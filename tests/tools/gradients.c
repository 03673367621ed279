/* Loss and gradients of one batch, for tests/parity/test_gradients.py:   gradients config.json weights batch out
 *
 * weights: per tensor { u32 bytes of name, name, u64 count, floats }. batch: i32 B N K S, then token segment position (N), first (B + 1),
 * masked_row label (K), next_sentence (B) as i32, then f64 scale_mlm scale_nsp. out: f64 mlm_loss nsp_loss, i64 mlm_correct nsp_correct,
 * then per tensor of the table { u32, name, u64, floats }, and last the lookup part alone as "lookup". */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/fail.h"
#include "trainer/kernels/kernels.h"
#include "trainer/network.h"

static void need(FILE *f, void *to, size_t bytes) {
    if (fread(to, 1, bytes, f) != bytes) fail(EXIT_USAGE, "input is short");
}

static FILE *must_open(const char *path, const char *mode) {
    FILE *f = fopen(path, mode);
    if (!f) fail(EXIT_USAGE, "%s: cannot be opened", path);
    return f;
}

static void read_weights(const model *m, float *weights, const char *path) {
    FILE *f = must_open(path, "rb");
    for (size_t i = 0; i < m->tensors; i++) {
        uint32_t bytes;
        uint64_t count;
        char name[96] = {0};
        need(f, &bytes, sizeof bytes);
        if (bytes >= sizeof name) fail(EXIT_USAGE, "a name of %u bytes", bytes);
        need(f, name, bytes);
        need(f, &count, sizeof count);
        int t = model_find(m, name);
        if (t < 0 || m->tensor[t].count != count) fail(EXIT_USAGE, "%s: not in the table with %llu elements", name, (unsigned long long)count);
        need(f, weights + m->tensor[t].offset, count * sizeof *weights);
    }
    fclose(f);
}

static batch *read_batch(const char *path, loss_scale *scale) {
    FILE *f = must_open(path, "rb");
    int32_t size[4], nsp;
    need(f, size, sizeof size);
    size_t B = (size_t)size[0], N = (size_t)size[1], K = (size_t)size[2];
    batch *b = batch_new(B, (uint32_t)size[3], (uint32_t)size[3]);
    b->sequences = B, b->tokens = N, b->masked = K;
    need(f, b->token, N * 4), need(f, b->segment, N * 4), need(f, b->position, N * 4), need(f, b->first, (B + 1) * 4);
    need(f, b->masked_row, K * 4), need(f, b->label, K * 4);
    for (size_t i = 0; i < B; i++) {
        need(f, &nsp, 4);
        b->next_sentence[i] = (int8_t)nsp;
        b->row[i] = i;
    }
    need(f, scale, sizeof *scale);
    fclose(f);
    return b;
}

static void write_tensor(FILE *f, const char *name, const float *x, uint64_t count) {
    uint32_t bytes = (uint32_t)strlen(name);
    fwrite(&bytes, sizeof bytes, 1, f);
    fwrite(name, 1, bytes, f);
    fwrite(&count, sizeof count, 1, f);
    fwrite(x, sizeof *x, count, f);
}

int main(int argc, char **argv) {
    fail_init("gradients");
    error e;
    model_config c;
    if (argc != 5) fail(EXIT_USAGE, "gradients config.json weights batch out");
    if (kernels_start(-1, &e) || model_config_read(&c, argv[1], &e)) return error_print(&e);
    model *m = model_new(&c);
    float *weights = must_zalloc(m->weight_elements, sizeof *weights), *gradients = must_alloc(m->gradient_elements, sizeof *gradients);
    memset(gradients, 0xff, m->gradient_elements * sizeof *gradients);      /* NaN: every element must be written */
    loss_scale scale;
    read_weights(m, weights, argv[2]);
    batch *b = read_batch(argv[3], &scale);
    network *n = network_new(m, &(network_limits){.sequences = b->sequences, .tokens = b->tokens, .masked = b->masked, .seq_length = b->seq_length});
    leaf_result r;
    network_forward(n, weights, b, scale, &r);
    network_backward(n, weights, b, gradients, false, NULL);
    FILE *f = must_open(argv[4], "wb");
    fwrite(&r, sizeof r, 1, f);
    float *lookup = must_alloc(m->tensor[m->word].count, sizeof *lookup);
    memcpy(lookup, gradients, m->tensor[m->word].count * sizeof *lookup);
    for (size_t i = 0; i < m->tensor[m->word].count; i++) gradients[i] += gradients[m->decoder_offset + i];
    for (size_t i = 0; i < m->tensors; i++) write_tensor(f, m->tensor[i].name, gradients + m->tensor[i].offset, m->tensor[i].count);
    write_tensor(f, "lookup", lookup, m->tensor[m->word].count);
    for (size_t i = 0, t = 0; i < m->weight_elements; i++) {
        while (t + 1 < m->tensors && i >= m->tensor[t + 1].offset) t++;
        if (i >= m->tensor[t].offset + m->tensor[t].count && gradients[i] != 0) fail(EXIT_MACHINE, "the gap behind %s is not 0", m->tensor[t].name);
    }
    if (fclose(f)) fail(EXIT_MACHINE, "%s: cannot be written", argv[4]);
    free(lookup), free(gradients), free(weights);
    network_free(n), batch_free(b), model_free(m);
    return 0;
}
