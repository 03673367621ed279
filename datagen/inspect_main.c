/* datagen/inspect_main.c - bert-inspect: what is in shards and checkpoints, whether it is whole, and what the tokenizer makes of a text. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/files.h"
#include "base/options.h"
#include "datagen/inspect.h"
#include "datagen/text_stream.h"

struct settings {
    char *vocab, *adopt;
    bool verify, diff, tokenize, cased;
    int64_t example;
    int strip_accents, special_tokens;
};

#define AT(field) offsetof(struct settings, field)
static const option_spec table[] = {
    {"verify", OPTION_SWITCH, AT(verify), .help = "check hashes and every value"},
    {"example", OPTION_INT, AT(example), .low = -1, .high = 1e15, .initial = "-1", .unit = "row",
     .help = "show this row of a shard folder in words (first row: 0; -1: none)"},
    {"diff", OPTION_SWITCH, AT(diff), .help = "compare two shard folders by rows, or two checkpoints by tensors and files; exit 5 when they differ"},
    {"adopt", OPTION_TEXT, AT(adopt), .unit = "folder", .help = "check shards made elsewhere and write manifest, lengths and vocabulary beside them"},
    {"tokenize", OPTION_SWITCH, AT(tokenize), .help = "print the ids of each line of text, one line of ids per line"},
    {"vocab", OPTION_TEXT, AT(vocab), .unit = "file", .help = "vocabulary for --tokenize and --adopt, or a Hugging Face folder (then with its casing)"},
    {"cased", OPTION_SWITCH, AT(cased), .help = "keep capitals"},
    {"strip-accents", OPTION_CHOICE, AT(strip_accents), .choices = "auto|yes|no", .initial = "auto", .help = "drop accents; auto: when uncased"},
    {"special-tokens", OPTION_CHOICE, AT(special_tokens), .choices = "split|keep", .initial = "keep",
     .help = "with --tokenize: [MASK] and the like are ordinary characters, or the token"},
};

static const option_program program = {
    .name = "bert-inspect", .summary = "describes, verifies and compares shards and checkpoints, adopts shards made elsewhere, tokenizes",
    .usage = "bert-inspect [--verify] [--example N] PATH... | --diff A B | --adopt DIR | --tokenize TEXT...",
    .details = "PATH is a shard folder, one HDF5 shard, a checkpoint folder or a safetensors file.\n\n"
               "Exit codes: 0 done, or equal; 1 the machine failed; 2 usage, or data that is malformed; 5 content differs from its recorded hash, "
               "or --diff found a difference.",
    .table = table, .count = sizeof table / sizeof *table, .positionals = true,
};

static bool ends_with(const char *name, const char *end) {
    size_t a = strlen(name), b = strlen(end);
    return a >= b && !strcmp(name + a - b, end);
}

static bool has(const char *folder, const char *name) {
    char *path = files_join(folder, name);
    bool there = files_exists(path);
    free(path);
    return there;
}

typedef enum { PATH_SHARDS, PATH_SHARD_FILE, PATH_CHECKPOINT, PATH_SAFETENSORS } path_kind;

static int kind_of(const char *path, path_kind *kind, error *e) {
    if (!files_exists(path)) return error_set(e, EXIT_USAGE, "%s: no such file or folder", path);
    if (!files_is_folder(path)) {
        *kind = ends_with(path, ".safetensors") ? PATH_SAFETENSORS : PATH_SHARD_FILE;
        return 0;
    }
    *kind = has(path, "model.safetensors") ? PATH_CHECKPOINT : PATH_SHARDS;   /* no manifest there either: opening says what to do */
    return 0;
}

static int load_words(const options *o, const struct settings *s, const char *what, vocab **v, tokenizer_settings *words, error *e) {
    bool lowercase;
    int strip;
    if (!s->vocab) return error_set(e, EXIT_USAGE, "--%s: needs --vocab", what);
    if (vocab_load(v, s->vocab, e)) return e->code;
    *words = (tokenizer_settings){ !s->cased, s->strip_accents, s->special_tokens };
    if (vocab_casing(*v, &lowercase, &strip)) {
        if (!options_given(o, "cased")) words->lowercase = lowercase;
        if (!options_given(o, "strip-accents")) words->strip_accents = strip;
    }
    return 0;
}

static int run_tokenize(const options *o, const struct settings *s, error *e) {
    vocab *v = NULL;
    text_stream *t = NULL;
    tokenizer_settings words;
    int code = load_words(o, s, "tokenize", &v, &words, e), got = 0;
    if (!code) code = text_stream_open(&t, o->arguments, o->argument_count, &(text_settings){0}, e);
    if (!code) {
        tokenizer *k = tokenizer_new(v, words);
        token_list ids = {0};
        const char *line;
        size_t bytes;
        while ((got = text_stream_raw(t, &line, &bytes, e)) > 0) {
            ids.count = 0;
            tokenizer_encode(k, line, bytes, &ids);
            for (size_t i = 0; i < ids.count; i++) printf(i ? " %d" : "%d", (int)ids.id[i]);
            putchar('\n');
        }
        if (got < 0) code = e->code;
        free(ids.id);
        tokenizer_free(k);
    }
    text_stream_close(t);
    vocab_free(v);
    return code;
}

static int run_adopt(const options *o, const struct settings *s, error *e) {
    vocab *v = NULL;
    tokenizer_settings words;
    if (o->argument_count) return error_set(e, EXIT_USAGE, "--adopt: takes one folder; '%s' is one too many", o->arguments[0]);
    int code = load_words(o, s, "adopt", &v, &words, e);
    words.specials = SPECIALS_SPLIT;
    if (!code) code = inspect_adopt(s->adopt, v, words, e);
    vocab_free(v);
    return code;
}

static int run_diff(const options *o, error *e) {
    path_kind a, b;
    bool differ = false;
    if (o->argument_count != 2) return error_set(e, EXIT_USAGE, "--diff: needs two paths, has %zu", o->argument_count);
    const char *x = o->arguments[0], *y = o->arguments[1];
    if (kind_of(x, &a, e) || kind_of(y, &b, e)) return e->code;
    bool models = (a == PATH_CHECKPOINT || a == PATH_SAFETENSORS) && (b == PATH_CHECKPOINT || b == PATH_SAFETENSORS);
    if (!models && (a != PATH_SHARDS || b != PATH_SHARDS)) return error_set(e, EXIT_USAGE, "--diff: give two shard folders or two checkpoints");
    int code = models ? inspect_diff_checkpoints(x, y, &differ, e) : inspect_diff_shards(x, y, &differ, e);
    return code ? code : differ ? EXIT_CORRUPT : 0;
}

static int run_paths(const options *o, const struct settings *s, error *e) {
    if (!o->argument_count) return error_set(e, EXIT_USAGE, "nothing to inspect; name a shard folder, a shard or a checkpoint");
    for (size_t i = 0; i < o->argument_count; i++) {
        const char *path = o->arguments[i];
        path_kind kind;
        int code = kind_of(path, &kind, e);
        if (!code && s->example >= 0 && kind != PATH_SHARDS) code = error_set(e, EXIT_USAGE, "--example: %s is no shard folder", path);
        if (code) return code;
        if (s->example >= 0) code = inspect_example(path, (uint64_t)s->example, e);
        else if (kind == PATH_SHARDS) code = inspect_shards(path, s->verify, e);
        else if (kind == PATH_SHARD_FILE) code = inspect_shard_file(path, s->verify, e);
        else code = inspect_checkpoint(path, s->verify, e);
        if (code) return code;
    }
    return 0;
}

static int run(const options *o, const struct settings *s, error *e) {
    if ((s->adopt != NULL) + s->diff + s->tokenize > 1) return error_set(e, EXIT_USAGE, "--adopt, --diff and --tokenize exclude each other");
    return s->tokenize ? run_tokenize(o, s, e) : s->adopt ? run_adopt(o, s, e) : s->diff ? run_diff(o, e) : run_paths(o, s, e);
}

int main(int argc, char **argv) {
    fail_init("bert-inspect");
    options o;
    struct settings s = {0};
    error e = {0};
    bool done = false;
    int code = options_parse(&o, &program, &s, argc, argv, &done, &e);
    if (!code && !done) code = run(&o, &s, &e);
    options_free(&o);
    if ((fflush(stdout) || ferror(stdout)) && !e.code) code = error_set(&e, EXIT_MACHINE, "standard output: writing failed");
    return e.code ? error_print(&e) : code;
}
