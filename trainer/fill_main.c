/* trainer/fill_main.c - bert-fill: the likeliest words at each [MASK], with probabilities. */
#define _GNU_SOURCE   /* getline */
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/options.h"
#include "datagen/tokenizer.h"
#include "trainer/checkpoint.h"
#include "trainer/kernels/kernels.h"
#include "trainer/network.h"

struct settings { char *checkpoint; int64_t top, threads; };

static const option_spec table[] = {
    {"checkpoint", OPTION_TEXT, offsetof(struct settings, checkpoint), .unit = "folder", .flags = OPTION_REQUIRED,
     .help = "a checkpoint of bert-pretrain, or a Hugging Face BERT with a masked-language head"},
    {"top", OPTION_INT, offsetof(struct settings, top), .low = 1, .high = 1000, .initial = "5", .unit = "words", .help = "how many words to show"},
    {"threads", OPTION_INT, offsetof(struct settings, threads), .low = 0, .high = 4096, .initial = "0", .unit = "threads",
     .help = "0: as OpenMP finds them"},
};

static const option_program program = {
    .name = "bert-fill", .summary = "fills the [MASK]s of a text with the likeliest words",
    .usage = "bert-fill --checkpoint DIR TEXT...",
    .details = "Each TEXT is one sequence; '-' reads one from each line of standard input. For each [MASK] one line on standard output: its number in the\n"
               "text, then word and probability, likeliest first.\n\n"
               "    bert-fill --checkpoint RUN/checkpoint-0001000 'The [MASK] of France is Paris.'\n\n"
               "Exit codes: 0 done; 2 usage, a text without [MASK] or too long for the model; 5 the checkpoint differs from its recorded hashes.",
    .table = table, .count = sizeof table / sizeof *table, .positionals = true,
};

typedef struct filler {
    model *m;
    float *weights;
    vocab *v;
    tokenizer *t;
    network *n;
    batch *b;
    size_t longest, words;               /* tokens of a sequence; real entries of the vocabulary */
    float *logits;
    int32_t *order;
} filler;

static int open_filler(filler *f, const char *folder, error *e) {
    if (kernels_start(-1, e) || checkpoint_load_weights(folder, &f->m, &f->weights, e) || vocab_load(&f->v, folder, e)) return e->code;
    const model_config *c = &f->m->config;
    bool lowercase = true;
    int strip_accents = STRIP_AUTO;
    if (!vocab_casing(f->v, &lowercase, &strip_accents)) lowercase = !vocab_has_capitals(f->v);
    if ((int64_t)vocab_size(f->v) > c->vocab_size)
        return error_set(e, EXIT_USAGE, "%s: vocab.txt has %zu entries, the model %lld", folder, vocab_size(f->v), (long long)c->vocab_size);
    f->t = tokenizer_new(f->v, (tokenizer_settings){lowercase, strip_accents, SPECIALS_KEEP});
    f->longest = (size_t)c->max_position_embeddings;
    f->words = vocab_size(f->v);
    network_limits limits = {.sequences = 1, .tokens = f->longest, .masked = f->longest, .seq_length = (uint32_t)f->longest,
                             .whole_last_layer = true};
    f->n = network_new(f->m, &limits);
    f->b = batch_new(1, (uint32_t)f->longest, (uint32_t)f->longest);
    f->logits = must_alloc((size_t)c->vocab_size, sizeof *f->logits);
    f->order = must_alloc(f->words, sizeof *f->order);
    return 0;
}

static void close_filler(filler *f) {
    if (f->b) batch_free(f->b);
    if (f->n) network_free(f->n);
    if (f->t) tokenizer_free(f->t);
    if (f->v) vocab_free(f->v);
    if (f->m) model_free(f->m);
    free(f->weights), free(f->logits), free(f->order);
}

/* [CLS] text [SEP] as a batch of one. */
static int fill_batch(filler *f, const char *text, error *e) {
    token_list ids = {0};
    batch *b = f->b;
    int code = 0;
    tokenizer_encode(f->t, text, strlen(text), &ids);
    if (ids.count + 2 > f->longest)
        code = error_set(e, EXIT_USAGE, "\"%.40s...\": %zu tokens with [CLS] and [SEP]; the model takes %zu: shorten the text", text,
                         ids.count + 2, f->longest);
    b->sequences = 1, b->tokens = 0, b->masked = 0, b->seq_length = (uint32_t)f->longest;
    for (size_t i = 0; i < ids.count + 2 && !code; i++) {
        int32_t id = i == 0 ? vocab_cls(f->v) : i == ids.count + 1 ? vocab_sep(f->v) : ids.id[i - 1];
        b->token[i] = id, b->segment[i] = 0, b->position[i] = (int32_t)i;
        if (id == vocab_mask(f->v)) b->masked_row[b->masked] = (int32_t)i, b->label[b->masked++] = 0;
        b->tokens++;
    }
    b->first[0] = 0, b->first[1] = (int32_t)b->tokens;
    b->next_sentence[0] = -1, b->epoch[0] = 0, b->row[0] = 0;
    if (!code && !b->masked) code = error_set(e, EXIT_USAGE, "\"%.40s\": no [MASK] in it", text);
    free(ids.id);
    return code;
}

/* Largest logits first, ties by id: moves the best `top` words to the front of f->order. */
static void choose(filler *f, size_t top) {
    for (size_t i = 0; i < f->words; i++) f->order[i] = (int32_t)i;
    for (size_t k = 0; k < top; k++) {
        size_t best = k;
        for (size_t i = k + 1; i < f->words; i++) {
            float x = f->logits[f->order[i]], y = f->logits[f->order[best]];
            if (x > y || (x == y && f->order[i] < f->order[best])) best = i;
        }
        int32_t kept = f->order[k];
        f->order[k] = f->order[best], f->order[best] = kept;
    }
}

static int fill(filler *f, const char *text, int64_t top, error *e) {
    int code = fill_batch(f, text, e);
    if (code) return code;
    (void)network_hidden(f->n, f->weights, f->b);
    printf("%s\n", text);
    for (size_t k = 0; k < f->b->masked; k++) {
        size_t shown = (size_t)top < f->words ? (size_t)top : f->words;
        double sum = 0;
        network_mlm_logits(f->n, f->weights, (size_t)f->b->masked_row[k], f->logits);
        choose(f, shown);
        double largest = f->logits[f->order[0]];
        for (size_t i = 0; i < (size_t)f->m->config.vocab_size; i++) sum += exp(f->logits[i] - largest);
        if (!(sum > 0) || isinf(sum)) return error_set(e, EXIT_USAGE, "the model's logits are not finite: its weights are damaged");
        printf("  [MASK] %zu:", k + 1);
        for (size_t i = 0; i < shown; i++) printf("  %s %.4f", vocab_token(f->v, f->order[i]), exp(f->logits[f->order[i]] - largest) / sum);
        printf("\n");
    }
    return fflush(stdout) ? error_set(e, EXIT_MACHINE, "standard output: cannot be written") : 0;
}

static int fill_lines(filler *f, int64_t top, error *e) {
    char *line = NULL;
    size_t room = 0;
    ssize_t n;
    int code = 0;
    while (!code && (n = getline(&line, &room, stdin)) >= 0) {
        line[strcspn(line, "\r\n")] = 0;
        if (*line) code = fill(f, line, top, e);
    }
    if (!code && ferror(stdin)) code = error_set(e, EXIT_MACHINE, "standard input: cannot be read");
    free(line);
    return code;
}

int main(int argc, char **argv) {
    struct settings s;
    options o;
    error e = {0};
    bool done = false;
    filler f = {0};
    fail_init("bert-fill");
    int code = options_parse(&o, &program, &s, argc, argv, &done, &e);
    if (code) return error_print(&e);
    if (done) return EXIT_DONE;
    if (!o.argument_count) code = error_set(&e, EXIT_USAGE, "TEXT is missing; give a text with [MASK] in it, or - for standard input");
    if (!code) code = open_filler(&f, s.checkpoint, &e);
    if (!code && s.threads) omp_set_num_threads((int)s.threads);
    for (size_t i = 0; i < o.argument_count && !code; i++)
        code = strcmp(o.arguments[i], "-") ? fill(&f, o.arguments[i], s.top, &e) : fill_lines(&f, s.top, &e);
    if (code) error_print(&e);
    close_filler(&f);
    options_free(&o);
    return code;
}
