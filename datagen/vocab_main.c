/* datagen/vocab_main.c - bert-vocab: learns a WordPiece vocabulary from text. Never starts MPI. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/files.h"
#include "base/options.h"
#include "base/timer.h"
#include "datagen/normalizer.h"
#include "datagen/text_stream.h"
#include "datagen/tokenizer.h"
#include "datagen/wordpiece_train.h"

struct settings {
    int64_t size, min_frequency;
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
    {"json-key", OPTION_TEXT, offsetof(struct settings, json_key), .unit = "key",
     .help = "where .jsonl files hold their text (default: text); - is then read as .jsonl"},
    {"force", OPTION_SWITCH, offsetof(struct settings, force), .initial = "no", .flags = OPTION_LOCAL, .help = "replace an existing vocabulary"},
};

static const option_program program = {
    .name = "bert-vocab",
    .summary = "learns a WordPiece vocabulary from text",
    .usage = "bert-vocab --size N [--cased] --output vocab.txt TEXT...",
    .details = "TEXT is a file, a folder or - (standard input): plain, gzip, zstd or .jsonl. The same text and settings give the same bytes.\n"
               "Every character of the text becomes a token; [PAD] is token 0, then [UNK] [CLS] [SEP] [MASK].\n"
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

static int count_words(word_counts *counts, const struct settings *s, char *const *paths, size_t path_count, error *e) {
    bool lowercase = !s->cased, strip = s->strip_accents == STRIP_AUTO ? lowercase : s->strip_accents == STRIP_YES, last;
    text_stream *stream;
    const char *line;
    size_t bytes;
    int got;
    normalizer n;
    if (text_stream_open(&stream, paths, path_count, &(text_settings){.json_key = s->json_key, .invalid = INVALID_REPLACE}, e)) return e->code;
    normalizer_init(&n, lowercase, strip, word_counts_add, counts);
    while ((got = text_stream_line(stream, &line, &bytes, &last, e)) > 0) normalizer_text(&n, line, bytes);
    normalizer_free(&n);
    text_stream_close(stream);
    return got < 0 ? e->code : 0;
}

static void report(const struct settings *s, const word_counts *counts, const wordpiece_result *r, double read_s, double learn_s) {
    fprintf(stderr, "bert-vocab: %s: %zu tokens (%zu of one character) from %llu words, %zu different; read %.1f s, learned %.1f s\n",
            s->output, r->tokens, r->alphabet, (unsigned long long)counts->total, counts->count, read_s, learn_s);
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
    int code = count_words(&counts, s, o->arguments, o->argument_count, e);
    double read = timer_now();
    if (!code) code = wordpiece_train(&counts, &(wordpiece_settings){(size_t)s->size, s->min_frequency}, &result, e);
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
