/* Threads do not change bits; gradients against finite differences; dropout's share, and its independence of packing. */
#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/fail.h"
#include "base/rng.h"
#include "trainer/kernels/gemm.h"
#include "trainer/kernels/kernels.h"
#include "trainer/network.h"
#include <cmocka.h>

static model *new_model(int64_t V, int64_t H, int64_t L, int64_t A, int64_t I) {
    model_config c = {.vocab_size = V, .hidden_size = H, .num_hidden_layers = L, .num_attention_heads = A, .intermediate_size = I,
                      .max_position_embeddings = 320, .type_vocab_size = 2, .layer_norm_eps = 1e-12, .initializer_range = 0.1};
    return model_new(&c);
}

static float *new_weights(const model *m) {
    float *w = must_alloc(m->weight_elements, sizeof *w);
    model_init(m, w, 3);
    for (size_t i = 0; i < m->tensors; i++)
        for (size_t j = 0; m->tensor[i].vector && j < m->tensor[i].count; j++)
            w[m->tensor[i].offset + j] += (float)(0.05 * rng_normal(rng_open(4, RNG_INIT, i, 0, 0), j));
    return w;
}

/* Appends a sequence that is a pure function of `id`, so that a batch may hold the same ones in another order. */
static void append(batch *b, size_t length, uint64_t id, int64_t V) {
    rng_key key = rng_open(9, RNG_EXAMPLE, id, 0, 0);
    int32_t first = b->first[b->sequences];
    for (size_t i = 0; i < length; i++) {
        size_t row = (size_t)first + i;
        b->token[row] = i == 2 ? 0 : (int32_t)rng_below(key, i, (uint64_t)V);
        b->position[row] = (int32_t)i;
        b->segment[row] = i > length / 2;
        if (i % 5 == 3) b->masked_row[b->masked] = (int32_t)row, b->label[b->masked++] = (int32_t)rng_below(key, 1000 + i, (uint64_t)V);
    }
    b->next_sentence[b->sequences] = (int8_t)((int)(id % 3) - 1);
    b->epoch[b->sequences] = 2, b->row[b->sequences] = id;
    b->tokens += length;
    b->first[++b->sequences] = (int32_t)b->tokens;
}

typedef struct outcome { leaf_result result; float *gradients; } outcome;

static network_limits limits_of(const batch *b, double p) {
    return (network_limits){.sequences = b->sequences, .tokens = b->tokens, .masked = b->masked, .seq_length = b->seq_length, .hidden_dropout = p,
                            .attention_dropout = p, .seed = 11};
}

static outcome run_with(const model *m, const float *w, const batch *b, network_limits limits, int threads) {
    omp_set_num_threads(threads);
    network *n = network_new(m, &limits);
    outcome o = {.gradients = must_alloc(m->gradient_elements, sizeof(float))};
    memset(o.gradients, 0xff, m->gradient_elements * sizeof(float));
    network_forward(n, w, b, (loss_scale){0.01, 0.25}, &o.result);
    network_backward(n, w, b, o.gradients, false, NULL);
    network_free(n);
    return o;
}

static outcome run(const model *m, const float *w, const batch *b, double p, int threads) { return run_with(m, w, b, limits_of(b, p), threads); }

static void threads_do_not_change_bits(void **state) {
    (void)state;
    model *m = new_model(700, 96, 2, 3, 200);
    float *w = new_weights(m);
    batch *b = batch_new(4, 300, 60);
    append(b, 300, 1, 700), append(b, 31, 2, 700), append(b, 200, 3, 700), append(b, 300, 4, 700);
    outcome one = run(m, w, b, 0.1, 1);
    for (int threads = 2; threads <= 3; threads++) {
        outcome o = run(m, w, b, 0.1, threads);
        assert_memory_equal(&o.result, &one.result, sizeof o.result);
        for (size_t i = 0; i < m->gradient_elements; i++)
            if (memcmp(&o.gradients[i], &one.gradients[i], sizeof(float)))
                fail_msg("%d threads: element %zu: %.9g, one thread %.9g", threads, i, (double)o.gradients[i], (double)one.gradients[i]);
        free(o.gradients);
    }
    free(one.gradients), free(w), batch_free(b), model_free(m);
}

/* Weights that come in bucket by bucket, each when the forward pass asks for it; NaN until then. */
typedef struct arrival { const model *m; const float *sent; float *here; } arrival;

static void arrive(void *context, int bucket) {
    arrival *a = context;
    range r = a->m->bucket[bucket];
    memcpy(a->here + r.begin, a->sent + r.begin, (r.end - r.begin) * sizeof(float));
}

static void weights_are_awaited(void **state) {
    (void)state;
    model *m = new_model(300, 48, 3, 3, 80);
    float *sent = new_weights(m), *here = must_alloc(m->weight_elements, sizeof *here);
    batch *b = batch_new(2, 90, 20);
    append(b, 90, 1, 300), append(b, 41, 3, 300);
    outcome whole = run(m, sent, b, 0, 1);
    network_limits limits = limits_of(b, 0);
    network *n = network_new(m, &limits);
    arrival a = {m, sent, here};
    leaf_result result;
    memset(here, 0xff, m->weight_elements * sizeof *here);
    network_set_await(n, arrive, &a);
    network_forward(n, here, b, (loss_scale){0.01, 0.25}, &result);
    assert_memory_equal(&result, &whole.result, sizeof result);
    assert_memory_equal(here, sent, m->weight_elements * sizeof *here);          /* nobody is left waiting for */
    network_free(n), free(whole.gradients), free(here), free(sent), batch_free(b), model_free(m);
}

static void near_gradients(const model *m, const char *what, const float *got, const float *want) {
    double all = 0;
    for (size_t i = 0; i < m->gradient_elements; i++) all += (double)want[i] * (double)want[i];
    for (size_t t = 0; t <= m->tensors; t++) {
        double distance = 0, norm = 0;
        const tensor *at = &m->tensor[t < m->tensors ? t : (size_t)m->word];      /* last, the decoder part */
        for (size_t i = 0, o = t < m->tensors ? at->offset : m->decoder_offset; i < at->count; i++, o++) {
            distance += ((double)got[o] - (double)want[o]) * ((double)got[o] - (double)want[o]);
            norm += (double)want[o] * (double)want[o];
        }
        if (!(sqrt(distance) <= 2e-6 * sqrt(norm) + 1e-8 * sqrt(all))) fail_msg("%s: %s differs by %g of %g", what, at->name, sqrt(distance), sqrt(norm));
    }
}

/* To the bit with the own products, where a row's bits do not depend on the other rows. OpenBLAS' do: sums of floats in another order move a
 * loss of some units by some 2^-24 of it, at most 2^-23. */
static bool near_losses(const leaf_result *got, const leaf_result *want) {
    if (!strcmp(gemm_name(), "own")) return !memcmp(got, want, sizeof *want);
    return got->mlm_correct == want->mlm_correct && got->nsp_correct == want->nsp_correct &&
           fabs(got->mlm_loss - want->mlm_loss) <= 0x1p-23 * want->mlm_loss && fabs(got->nsp_loss - want->nsp_loss) <= 0x1p-23 * want->nsp_loss;
}

/* The last layer on the rows that the losses read, and on all: the same gradients, to rounding; the losses, whose rows see the same
 * arithmetic, near_losses(). One layer (it is first and last) and three; a masked [CLS]; a sequence with no masked row. */
static void sliced_last_layer(void **state) {
    (void)state;
    for (int layers = 1; layers <= 3; layers += 2)
        for (int dropping = 0; dropping < 2; dropping++) {
            model *m = new_model(300, 48, layers, 3, 80);
            float *w = new_weights(m);
            batch *b = batch_new(4, 90, 20);
            append(b, 90, 1, 300), append(b, 3, 2, 300), append(b, 41, 3, 300), append(b, 77, 4, 300);
            for (size_t k = 0; k < b->masked; k++) if (b->masked_row[k] == b->first[2] + 3) b->masked_row[k] = b->first[2];
            network_limits limits = limits_of(b, 0.1 * dropping);
            outcome sliced = run_with(m, w, b, limits, 2);
            limits.whole_last_layer = true;
            outcome whole = run_with(m, w, b, limits, 2);
            if (!near_losses(&sliced.result, &whole.result))
                fail_msg("%d layers, dropout %d: losses %.17g and %.17g, whole layer %.17g and %.17g", layers, dropping, sliced.result.mlm_loss,
                         sliced.result.nsp_loss, whole.result.mlm_loss, whole.result.nsp_loss);
            near_gradients(m, "sliced", sliced.gradients, whole.gradients);
            free(sliced.gradients), free(whole.gradients), free(w), batch_free(b), model_free(m);
        }
}

/* Layers run again before their backward: every bit the same, whatever rows the last one has, in less room. */
static void recompute(void **state) {
    (void)state;
    for (int layers = 1; layers <= 4; layers++)
        for (int whole = 0; whole < 2; whole++) {
            model *m = new_model(300, 48, layers, 3, 80);
            float *w = new_weights(m);
            batch *b = batch_new(4, 90, 20);
            append(b, 90, 1, 300), append(b, 3, 2, 300), append(b, 41, 3, 300), append(b, 77, 4, 300);
            network_limits limits = limits_of(b, 0.1);
            limits.whole_last_layer = whole;
            size_t bytes = network_bytes(m, &limits);
            outcome kept = run_with(m, w, b, limits, 2);
            limits.recompute = true;
            outcome again = run_with(m, w, b, limits, 1);
            assert_memory_equal(&again.result, &kept.result, sizeof kept.result);
            for (size_t i = 0; i < m->gradient_elements; i++)
                if (memcmp(&again.gradients[i], &kept.gradients[i], sizeof(float)))
                    fail_msg("%d layers: element %zu: %.9g, kept %.9g", layers, i, (double)again.gradients[i], (double)kept.gradients[i]);
            if (layers > 2) assert_true(network_bytes(m, &limits) < bytes);
            free(kept.gradients), free(again.gradients), free(w), batch_free(b), model_free(m);
        }
}

/* Logits in several blocks of words, and all at one time: the same losses to the bit, gradients to rounding; threads change nothing. */
static void blocks_of_logits(void **state) {
    (void)state;
    model *m = new_model(700, 48, 1, 3, 80);
    float *w = new_weights(m);
    batch *b = batch_new(3, 300, 60);
    append(b, 300, 1, 700), append(b, 200, 2, 700), append(b, 41, 3, 700);
    network_limits limits = limits_of(b, 0.1);
    outcome whole = run_with(m, w, b, limits, 2);
    limits.logits = 112 * 3 * 42;
    outcome blocks = run_with(m, w, b, limits, 1), again = run_with(m, w, b, limits, 3);
    assert_memory_equal(&blocks.result, &whole.result, sizeof whole.result);
    near_gradients(m, "blocks", blocks.gradients, whole.gradients);
    assert_memory_equal(blocks.gradients, again.gradients, m->gradient_elements * sizeof(float));
    free(whole.gradients), free(blocks.gradients), free(again.gradients), free(w), batch_free(b), model_free(m);
}

/* A leaf added to what waits gives the bits of that, plus the leaf's own gradient written apart. Several blocks of tokens and of logits. */
static void adds_to_what_waits(void **state) {
    (void)state;
    model *m = new_model(300, 48, 2, 3, 80);
    float *w = new_weights(m);
    batch *b = batch_new(4, 300, 100), *c = batch_new(4, 300, 100);
    append(b, 300, 1, 300), append(b, 77, 2, 300), append(c, 300, 4, 300), append(c, 300, 5, 300), append(c, 290, 6, 300);
    network_limits limits = limits_of(c, 0.1);
    limits.logits = 5000;
    outcome first = run(m, w, b, 0.1, 2), second = run_with(m, w, c, limits, 2);
    network *n = network_new(m, &limits);
    network_forward(n, w, c, (loss_scale){0.01, 0.25}, &second.result);
    float *sum = must_alloc(m->gradient_elements, sizeof *sum);
    memcpy(sum, first.gradients, m->gradient_elements * sizeof *sum);
    network_backward(n, w, c, sum, true, NULL);
    for (size_t i = 0; i < m->gradient_elements; i++) {
        float want = first.gradients[i] + second.gradients[i];
        if (memcmp(&sum[i], &want, sizeof want)) fail_msg("element %zu: %.9g, wanted %.9g", i, (double)sum[i], (double)want);
    }
    free(sum), free(first.gradients), free(second.gradients), free(w), network_free(n), batch_free(b), batch_free(c), model_free(m);
}

static double scaled_loss(network *n, const float *w, const batch *b) {
    leaf_result r;
    network_forward(n, w, b, (loss_scale){0.1, 0.5}, &r);
    return 0.1 * r.mlm_loss + 0.5 * r.nsp_loss;
}

/* Along one random direction in each tensor, dropout on. The lookup gradient of row [PAD] is dropped, so that row is held still there and
 * the decoder's share of it enters through both parts. */
static void finite_differences(void **state) {
    (void)state;
    error e;
    assert_int_equal(kernels_start(KERNELS_REF, &e), 0);
    model *m = new_model(30, 12, 2, 3, 20);
    float *w = new_weights(m), *moved = must_alloc(m->weight_elements, sizeof *moved), *g = must_alloc(m->gradient_elements, sizeof *g);
    batch *b = batch_new(3, 12, 5);
    append(b, 12, 1, 30), append(b, 7, 2, 30), append(b, 11, 3, 30);
    for (size_t i = 0; i < b->tokens; i++) b->token[i] += b->token[i] == 0;      /* [PAD]'s rule is tested by itself */
    network *n = network_new(m, &(network_limits){.sequences = 3, .tokens = 36, .masked = 15, .seq_length = 12, .hidden_dropout = 0.2,
                                                  .attention_dropout = 0.2, .seed = 1});
    scaled_loss(n, w, b);
    network_backward(n, w, b, g, false, NULL);
    for (size_t i = 0; i < m->tensor[m->word].count; i++) g[i] += g[m->decoder_offset + i];
    for (size_t t = 0; t < m->tensors; t++) {
        rng_key key = rng_open(21, RNG_INIT, t, 0, 0);
        double dot = 0, h = 2e-3, side[2];
        for (int s = 0; s < 2; s++) {
            memcpy(moved, w, m->weight_elements * sizeof *w);
            for (size_t i = 0; i < m->tensor[t].count; i++) moved[m->tensor[t].offset + i] += (float)((s ? -h : h) * rng_normal(key, i));
            side[s] = scaled_loss(n, moved, b);
        }
        for (size_t i = 0; i < m->tensor[t].count; i++) dot += (double)g[m->tensor[t].offset + i] * rng_normal(key, i);
        double slope = (side[0] - side[1]) / (2 * h);
        if (!(fabs(slope - dot) <= 4e-3 * fabs(slope) + 2e-3)) fail_msg("%s: %.7g, by differences %.7g", m->tensor[t].name, dot, slope);
    }
    free(w), free(moved), free(g), network_free(n), batch_free(b), model_free(m);
    assert_int_equal(kernels_start(-1, &e), 0);
}

static void pad_row(void **state) {
    (void)state;
    model *m = new_model(50, 16, 1, 2, 32);
    float *w = new_weights(m);
    batch *b = batch_new(1, 16, 4);
    append(b, 16, 1, 50);
    outcome o = run(m, w, b, 0, 1);
    double decoder = 0;
    for (size_t i = 0; i < 16; i++) {
        assert_true(o.gradients[i] == 0 && !signbit(o.gradients[i]));
        decoder += fabs((double)o.gradients[m->decoder_offset + i]);
    }
    assert_true(decoder > 0);
    free(o.gradients), free(w), batch_free(b), model_free(m);
}

/* No masked token and no pair: zeros everywhere, and no NaN. */
static void nothing_to_learn(void **state) {
    (void)state;
    model *m = new_model(50, 16, 1, 2, 32);
    float *w = new_weights(m);
    batch *b = batch_new(1, 16, 4);
    append(b, 3, 0, 50);
    assert_int_equal(b->masked, 0);
    outcome o = run(m, w, b, 0.1, 2);
    assert_true(o.result.mlm_loss == 0 && o.result.nsp_loss == 0);
    for (size_t i = 0; i < m->gradient_elements; i++)
        if (o.gradients[i] != 0) fail_msg("element %zu: %g, wanted 0", i, (double)o.gradients[i]);
    free(o.gradients), free(w), batch_free(b), model_free(m);
}

/* The same sequences packed in another order: every loss is the same, so every mask was. GEMM tiles move, hence not bit for bit. */
static void packing_order(void **state) {
    (void)state;
    model *m = new_model(200, 36, 2, 3, 64);     /* H is no multiple of 8: masks of rows begin inside blocks */
    float *w = new_weights(m);
    batch *b = batch_new(3, 29, 6), *c = batch_new(3, 29, 6);
    append(b, 29, 1, 200), append(b, 12, 2, 200), append(b, 20, 3, 200);
    append(c, 20, 3, 200), append(c, 29, 1, 200), append(c, 12, 2, 200);
    outcome o = run(m, w, b, 0.3, 1), q = run(m, w, c, 0.3, 1);
    if (!(fabs(o.result.mlm_loss - q.result.mlm_loss) < 1e-4)) fail_msg("%.9g in another order %.9g", o.result.mlm_loss, q.result.mlm_loss);
    if (!(fabs(o.result.nsp_loss - q.result.nsp_loss) < 1e-4)) fail_msg("%.9g in another order %.9g", o.result.nsp_loss, q.result.nsp_loss);
    c->row[0]++;
    outcome r = run(m, w, c, 0.3, 1);
    assert_true(fabs(o.result.mlm_loss - r.result.mlm_loss) > 1e-3);
    free(o.gradients), free(q.gradients), free(r.gradients), free(w), batch_free(b), batch_free(c), model_free(m);
}

/* Share of dropped elements over many rows: p within 5 standard deviations; threshold 6554 of 65536 at p = 0.1. */
static void dropout_share(void **state) {
    (void)state;
    static uint16_t lane[8 * 1024];
    size_t dropped = 0, all = 0;
    for (uint64_t row = 0; row < 200; row++) {
        kernel.dropout_lanes(rng_open(1, RNG_DROPOUT, 0, row, 8), 0, 1024, lane);
        for (size_t i = 0; i < 8 * 1024; i++) dropped += lane[i] < 6554;
        all += 8 * 1024;
    }
    double share = (double)dropped / (double)all, p = 6554.0 / 65536;
    if (!(fabs(share - p) < 5 * sqrt(p * (1 - p) / (double)all))) fail_msg("dropped %.6f, wanted %.6f", share, p);
}

/* Inference: a batch by itself and with others around it gives the same logits, to rounding; no dropout. */
static void inference(void **state) {
    (void)state;
    model *m = new_model(60, 32, 2, 2, 64);
    float *w = new_weights(m), logits[2][60], nsp[2][2];
    batch *b = batch_new(1, 20, 6), *c = batch_new(2, 20, 6);
    append(b, 15, 1, 60), append(c, 20, 2, 60), append(c, 15, 1, 60);
    network *n = network_new(m, &(network_limits){.sequences = 2, .tokens = 40, .masked = 0, .seq_length = 20, .hidden_dropout = 0.5,
                                                  .attention_dropout = 0.5, .seed = 1, .whole_last_layer = true});
    b->masked = c->masked = 0;
    assert_non_null(network_hidden(n, w, b));
    network_mlm_logits(n, w, 7, logits[0]), network_nsp_logits(n, w, 0, nsp[0]);
    network_hidden(n, w, c);
    network_mlm_logits(n, w, 27, logits[1]), network_nsp_logits(n, w, 20, nsp[1]);
    for (int i = 0; i < 60; i++) assert_true(fabs((double)logits[0][i] - (double)logits[1][i]) < 1e-4);
    assert_true(fabs((double)nsp[0][0] - (double)nsp[1][0]) < 1e-4 && nsp[0][0] != nsp[0][1]);
    free(w), network_free(n), batch_free(b), batch_free(c), model_free(m);
}

int main(void) {
    error e;
    if (kernels_start(-1, &e)) return error_print(&e);
    const struct CMUnitTest tests[] = {cmocka_unit_test(threads_do_not_change_bits), cmocka_unit_test(sliced_last_layer), cmocka_unit_test(recompute),
                                       cmocka_unit_test(blocks_of_logits), cmocka_unit_test(adds_to_what_waits), cmocka_unit_test(weights_are_awaited),
                                       cmocka_unit_test(finite_differences), cmocka_unit_test(pad_row),
                                       cmocka_unit_test(nothing_to_learn), cmocka_unit_test(packing_order), cmocka_unit_test(dropout_share),
                                       cmocka_unit_test(inference)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
