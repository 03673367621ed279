/* datagen/vocab_main.c - bert-vocab: learns a WordPiece vocabulary from text. Never starts MPI. */
#include <errno.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/files.h"
#include "base/options.h"
#include "base/timer.h"
#include "datagen/count_words.h"
#include "datagen/normalizer.h"
#include "datagen/text_stream.h"
#include "datagen/tokenizer.h"
#include "datagen/wordpiece_train.h"

struct settings {
    int64_t size, min_frequency, limit_alphabet, threads;
    bool cased, force;
    int strip_accents;
    char *output, *json_key;
};

static const option_spec table[] = {
    {"size", OPTION_INT, offsetof(struct settings, size), .low = 6, .high = 4 << 20, .unit = "tokens", .flags = OPTION_REQUIRED,
     .help = "tokens to learn, the five special ones included"},
    {"output", OPTION_TEXT, offsetof(struct settings, output), .unit = "file", .flags = OPTION_REQUIRED | OPTION_LOCAL, .help = "the vocabulary to write"},
    {"cased", OPTION_SWITCH, offsetof(struct settings, cased), .initial = "no", .help = "keep capitals (default: lower-case everything)"},
    {"strip-accents", OPTION_CHOICE, offsetof(struct settings, strip_accents), .initial = "auto", .choices = "auto|yes|no",
     .help = "drop accents; auto: when uncased, as Hugging Face"},
    {"min-frequency", OPTION_INT, offsetof(struct settings, min_frequency), .low = 1, .high = 1e15, .initial = "2", .unit = "times",
     .help = "pieces that stand side by side less often are not joined"},
    {"limit-alphabet", OPTION_INT, offsetof(struct settings, limit_alphabet), .low = 0, .high = 2e6, .initial = "0", .unit = "characters",
     .help = "keep only the most frequent characters; words with others become [UNK] (0: keep all)"},
    {"threads", OPTION_INT, offsetof(struct settings, threads), .low = 0, .high = 1024, .initial = "0", .unit = "threads", .flags = OPTION_LOCAL,
     .help = "threads that count words (0: as many as there are cores); the result is the same"},
    {"json-key", OPTION_TEXT, offsetof(struct settings, json_key), .unit = "key",
     .help = "where .jsonl files hold their text (default: text); - is then read as .jsonl"},
    {"force", OPTION_SWITCH, offsetof(struct settings, force), .initial = "no", .flags = OPTION_LOCAL, .help = "replace an existing vocabulary"},
};

static const option_program program = {
    .name = "bert-vocab",
    .summary = "learns a WordPiece vocabulary from text",
    .usage = "bert-vocab --size N [--cased] --output vocab.txt TEXT...",
    .details = "TEXT is a file, a folder or - (standard input): plain, gzip, zstd or .jsonl. The same text and settings give the same bytes.\n"
               "Every character of the text becomes a token, unless --limit-alphabet says otherwise; [PAD] is token 0, then [UNK] [CLS] [SEP] [MASK].\n"
               "Example: bert-vocab --size 8000 --output vocab.txt books/",
    .table = table,
    .count = sizeof table / sizeof *table,
    .positionals = true,
};

/* Found at start, not after an hour of reading: whether the vocabulary can be put where it shall stand. */
static int check_output(const struct settings *s, error *e) {
    if (files_is_folder(s->output)) return error_set(e, EXIT_USAGE, "%s: is a folder; --output names the vocabulary file", s->output);
    if (files_exists(s->output) && !s->force) return error_set(e, EXIT_USAGE, "%s: exists already; remove it or give --force", s->output);
    char *trial = must_format("%s.XXXXXX", s->output);
    int fd = mkstemp(trial), code = 0;
    if (fd < 0) code = error_set(e, EXIT_USAGE, "%s: cannot be written: %s", s->output, strerror(errno));
    else close(fd), unlink(trial);
    free(trial);
    return code;
}

static int read_words(word_counts *counts, const struct settings *s, char *const *paths, size_t path_count, error *e) {
    bool lowercase = !s->cased, strip = s->strip_accents == STRIP_AUTO ? lowercase : s->strip_accents == STRIP_YES;
    count_settings settings = {lowercase, strip, s->threads ? (int)s->threads : omp_get_num_procs()};
    text_stream *stream;
    if (text_stream_open(&stream, paths, path_count, &(text_settings){.json_key = s->json_key, .invalid = INVALID_REPLACE}, e)) return e->code;
    int code = count_words(counts, stream, &settings, e);
    text_stream_close(stream);
    return code;
}

static void report(const struct settings *s, const word_counts *counts, const wordpiece_result *r, double read_s, double learn_s) {
    fprintf(stderr, "bert-vocab: %s: %zu tokens (%zu of one character) from %llu words, %zu different; read %.1f s, learned %.1f s\n",
            s->output, r->tokens, r->alphabet, (unsigned long long)counts->total, counts->count, read_s, learn_s);
    uint64_t lost = counts->too_long + r->left_out;
    if (lost)
        fprintf(stderr, "bert-vocab: %llu words (%.2f %%) become [UNK]: %llu of more than %d characters, %llu with characters left out\n",
                (unsigned long long)lost, 100 * (double)lost / (double)counts->total, (unsigned long long)counts->too_long, WORD_CHARACTERS,
                (unsigned long long)r->left_out);
    if (r->tokens < (size_t)s->size)
        fprintf(stderr, "bert-vocab: no more pieces stand side by side %lld times: %zu tokens instead of %lld\n",
                (long long)s->min_frequency, r->tokens, (long long)s->size);
}

static int learn(const struct settings *s, const options *o, error *e) {
    if (!o->argument_count) return error_set(e, EXIT_USAGE, "no TEXT given; name files, folders or - (see --help)");
    if (check_output(s, e)) return e->code;
    double began = timer_now();
    word_counts counts;
    wordpiece_result result = {0};
    word_counts_init(&counts);
    int code = read_words(&counts, s, o->arguments, o->argument_count, e);
    double read = timer_now();
    if (!code) code = wordpiece_train(&counts, &(wordpiece_settings){(size_t)s->size, s->min_frequency, (size_t)s->limit_alphabet}, &result, e);
    if (!code) code = files_write_atomic(s->output, result.vocab.data, result.vocab.bytes, e);
    if (!code && !o->quiet) report(s, &counts, &result, read - began, timer_now() - read);
    free(result.vocab.data);
    word_counts_free(&counts);
    return code;
}

int main(int argc, char **argv) {
    struct settings s = {0};
    options o = {0};
    error e = {0};
    bool done = false;
    fail_init("bert-vocab");
    int code = options_parse(&o, &program, &s, argc, argv, &done, &e);
    if (!code && !done) code = learn(&s, &o, &e);
    if (code) error_print(&e);
    options_free(&o);
    return code;
}
