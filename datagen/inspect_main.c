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
    bool verify, stats, json, diff, tokenize, cased;
    int64_t example, parse_memory;
    double parse_time;
    int strip_accents, special_tokens;
};

#define AT(field) offsetof(struct settings, field)
static const option_spec table[] = {
    {"verify", OPTION_SWITCH, AT(verify), .help = "check hashes and every value; count labels, [UNK] and repeated rows"},
    {"stats", OPTION_SWITCH, AT(stats), .help = "show how long rows are and what was masked"},
    {"json", OPTION_SWITCH, AT(json), .help = "print one JSON object instead of text: {\"program\", \"version\", \"paths\": [one object for each PATH]}"},
    {"example", OPTION_INT, AT(example), .low = -1, .high = 1e15, .initial = "-1", .unit = "row",
     .help = "show this row of a shard folder in words (first row: 0; -1: none)"},
    {"diff", OPTION_SWITCH, AT(diff), .help = "compare two shard folders by rows, or two checkpoints by tensors and files; exit 5 when they differ"},
    {"adopt", OPTION_TEXT, AT(adopt), .unit = "folder", .help = "check shards made elsewhere and write manifest, lengths and vocabulary beside them"},
    {"tokenize", OPTION_SWITCH, AT(tokenize), .help = "print the ids of each line of text, one line of ids per line"},
    {"vocab", OPTION_TEXT, AT(vocab), .unit = "file",
     .help = "vocabulary for --tokenize, --adopt and single HDF5 files, or a Hugging Face folder (then with its casing)"},
    {"cased", OPTION_SWITCH, AT(cased), .help = "keep capitals"},
    {"strip-accents", OPTION_CHOICE, AT(strip_accents), .choices = "auto|yes|no", .initial = "auto", .help = "drop accents; auto: when uncased"},
    {"special-tokens", OPTION_CHOICE, AT(special_tokens), .choices = "split|keep", .initial = "keep",
     .help = "with --tokenize: [MASK] and the like are ordinary characters, or the token"},
    {"parse-memory", OPTION_INT, AT(parse_memory), .low = 1, .high = 1 << 24, .initial = "1024", .unit = "MiB",
     .help = "HDF5 files without a record are read by a child process, with at most so much memory"},
    {"parse-time", OPTION_DURATION, AT(parse_time), .low = 0.1, .high = 1e6, .initial = "60s",
     .help = "and ended when it makes no progress for so long"},
};

static const option_program program = {
    .name = "bert-inspect", .summary = "describes, verifies and compares shards and checkpoints, adopts shards made elsewhere, tokenizes",
    .usage = "bert-inspect [--verify] [--stats] PATH... | --diff A B | --adopt DIR | --tokenize TEXT...",
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

static inspect_wanted wanted_of(const struct settings *s, const vocab *v) {
    return (inspect_wanted){ s->verify, s->stats, v, { (uint64_t)s->parse_memory << 20, s->parse_time } };
}

static int run_adopt(const options *o, const struct settings *s, error *e) {
    vocab *v = NULL;
    tokenizer_settings words;
    if (o->argument_count) return error_set(e, EXIT_USAGE, "--adopt: takes one folder; '%s' is one too many", o->arguments[0]);
    int code = load_words(o, s, "adopt", &v, &words, e);
    words.specials = SPECIALS_SPLIT;
    inspect_wanted wanted = wanted_of(s, v);
    if (!code) code = inspect_adopt(s->adopt, v, words, &wanted.limits, e);
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

static int run_path(const char *path, const struct settings *s, const vocab *v, json *found, error *e) {
    path_kind kind;
    inspect_wanted wanted = wanted_of(s, v);
    if (kind_of(path, &kind, e)) return e->code;
    if (s->example >= 0 && kind != PATH_SHARDS) return error_set(e, EXIT_USAGE, "--example: %s is no shard folder", path);
    if (s->stats && (kind == PATH_CHECKPOINT || kind == PATH_SAFETENSORS)) return error_set(e, EXIT_USAGE, "--stats: %s holds no shards", path);
    if (s->vocab && kind != PATH_SHARD_FILE) return error_set(e, EXIT_USAGE, "--vocab: %s has a vocabulary of its own, or needs none; leave it out", path);
    if (s->example >= 0) return inspect_example(path, (uint64_t)s->example, e);
    return kind == PATH_SHARDS ? inspect_shards(path, &wanted, found, e) : kind == PATH_SHARD_FILE ? inspect_shard_file(path, &wanted, found, e)
         : inspect_checkpoint(path, &wanted, found, e);
}

/* With --json the object is printed when all is found: an error leaves stdout empty. */
static int run_paths(const options *o, const struct settings *s, error *e) {
    if (!o->argument_count) return error_set(e, EXIT_USAGE, "nothing to inspect; name a shard folder, a shard or a checkpoint");
    vocab *v = NULL;
    json *all = s->json ? json_new_array() : NULL;
    int code = s->vocab ? vocab_load(&v, s->vocab, e) : 0;
    for (size_t i = 0; i < o->argument_count && !code; i++) {
        json *found = all ? json_new_object() : NULL;
        code = run_path(o->arguments[i], s, v, found, e);
        if (all) json_append(all, found);
    }
    if (all) {
        json *root = json_new_object();
        json_set_string(root, "program", "bert-inspect");
        json_set_string(root, "version", BERT_VERSION);
        json_set(root, "paths", all);
        char *printed = json_print(root, 2);
        if (!code) printf("%s\n", printed);
        free(printed);
        json_free(root);
    }
    vocab_free(v);
    return code;
}

static int run(const options *o, const struct settings *s, error *e) {
    bool other = s->adopt || s->diff || s->tokenize;
    if ((s->adopt != NULL) + s->diff + s->tokenize > 1) return error_set(e, EXIT_USAGE, "--adopt, --diff and --tokenize exclude each other");
    if (s->json && (other || s->example >= 0)) return error_set(e, EXIT_USAGE, "--json: goes with a description, --verify and --stats only");
    if (s->stats && (other || s->example >= 0)) return error_set(e, EXIT_USAGE, "--stats: goes with a description and --verify only");
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
