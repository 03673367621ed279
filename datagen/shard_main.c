/* datagen/shard_main.c - bert-shard: text to HDF5 shards. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/options.h"
#include "base/timer.h"
#include "datagen/google_build.h"
#include "datagen/shard_build.h"
#include "datagen/shard_output.h"

struct settings {
    char *vocab, *output, *json_key;
    bool cased, split_sentences, no_nsp, sentence_order, whole_words, force;
    int compat, strip_accents, special_tokens, invalid_utf8;
    int64_t seq_length, max_predictions, duplicates, seed;
    double mask_prob, short_seq_prob;
};

#define AT(field) offsetof(struct settings, field)
static const option_spec table[] = {
    {"vocab", OPTION_TEXT, AT(vocab), .unit = "file", .flags = OPTION_REQUIRED,
     .help = "vocabulary, one token per line, or a Hugging Face folder (then with its casing)"},
    {"output", OPTION_TEXT, AT(output), .unit = "folder", .flags = OPTION_REQUIRED | OPTION_LOCAL,
     .help = "where the shards go"},
    {"force", OPTION_SWITCH, AT(force), .flags = OPTION_LOCAL,
     .help = "replace finished shards at the output"},
    {"cased", OPTION_SWITCH, AT(cased),
     .help = "keep capitals"},
    {"strip-accents", OPTION_CHOICE, AT(strip_accents), .choices = "auto|yes|no", .initial = "auto",
     .help = "drop accents; auto: when uncased, as Hugging Face"},
    {"special-tokens", OPTION_CHOICE, AT(special_tokens), .choices = "split|keep", .initial = "split",
     .help = "[MASK] and the like in the text: ordinary characters, or the token"},
    {"seq-length", OPTION_INT, AT(seq_length), .low = 8, .high = 65535, .initial = "128", .unit = "tokens",
     .help = "tokens of a row, [CLS] and [SEP] included"},
    {"max-predictions", OPTION_INT, AT(max_predictions), .low = 0, .high = 65535, .initial = "0", .unit = "tokens",
     .help = "masked tokens of a row at most; 0: 5/32 of seq-length, rounded up"},
    {"mask-prob", OPTION_REAL, AT(mask_prob), .low = 0, .high = 1, .initial = "0.15",
     .help = "share of tokens that are masked"},
    {"duplicates", OPTION_INT, AT(duplicates), .low = 1, .high = 1000, .initial = "1",
     .help = "times that the text is used, with other pairs and masks"},
    {"whole-word-masking", OPTION_SWITCH, AT(whole_words),
     .help = "mask words whole, never a part of one"},
    {"short-seq-prob", OPTION_REAL, AT(short_seq_prob), .low = 0, .high = 1, .initial = "0",
     .help = "share of rows made shorter than seq-length, at random"},
    {"no-nsp", OPTION_SWITCH, AT(no_nsp),
     .help = "rows of one segment, [CLS] A [SEP], without next-sentence labels"},
    {"sentence-order", OPTION_SWITCH, AT(sentence_order),
     .help = "B always follows A in the text; label 1 where the two are swapped"},
    {"split-sentences", OPTION_SWITCH, AT(split_sentences),
     .help = "lines are paragraphs: cut them into sentences, by rules for English and Korean"},
    {"json-key", OPTION_TEXT, AT(json_key), .unit = "key",
     .help = "where the text is in lines of .jsonl files (default text); standard input is then JSON lines too"},
    {"invalid-utf8", OPTION_CHOICE, AT(invalid_utf8), .choices = "fail|replace|skip", .initial = "fail",
     .help = "text that is not UTF-8: refuse, read as U+FFFD, or leave the segment out"},
    {"seed", OPTION_INT, AT(seed), .low = 0, .high = 9007199254740992.0, .initial = "12345",
     .help = "of pairs, masks and row order"},
    {"compat", OPTION_CHOICE, AT(compat), .choices = "native|google", .initial = "native",
     .help = "google: the same examples in the same order as google-research/bert (see below)"},
};

static const option_program program = {
    .name = "bert-shard", .summary = "turns text into HDF5 shards of masked-language-model and next-sentence examples",
    .usage = "bert-shard --vocab vocab.txt --seq-length 128 --output DIR TEXT...",
    .details = "TEXT is files, folders (all files in them, recursively, names in bytewise order) or - for standard input; plain, gzip or zstd; one "
               "sentence per line and a blank line between documents, or .jsonl with one document per line.\n"
               "Equal text, vocabulary and options give equal bytes.\n"
               "--compat google makes what create_pretraining_data.py makes under Python 3.11 with one output file: its tokenizer, its draws of "
               "random.Random(seed), its defaults (short-seq-prob 0.1, duplicates 10, max-predictions 20). The end of a file ends no document "
               "there. The text and all rows are held in memory.\n\n"
               "Exit codes: 0 done; 1 the machine failed; 2 usage, text or output not usable.",
    .table = table, .count = sizeof table / sizeof *table, .positionals = true,
};

enum { COMPAT_NATIVE, COMPAT_GOOGLE };

static volatile sig_atomic_t stop;
static void on_signal(int number) { stop = number; }

/* Under a launcher every rank would do the whole work. The variables are those of Open MPI, PMIx, Hydra and Slurm. */
static int refuse_ranks(error *e, bool *silent) {
    static const char *const names[][2] =
        { { "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK" }, { "PMI_SIZE", "PMI_RANK" }, { "SLURM_STEP_NUM_TASKS", "SLURM_PROCID" } };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *size = getenv(names[i][0]), *rank = getenv(names[i][1]);
        if (!size || atoi(size) < 2) continue;
        *silent = rank && atoi(rank) != 0;
        return error_set(e, EXIT_USAGE, "started as %s processes; it works as one: start it without mpirun or srun", size);
    }
    return 0;
}

/* Google's script has no such options: its examples would not be made. */
static int refuse_beside_google(const options *o, error *e) {
    static const char *const keys[] = { "strip-accents", "special-tokens", "no-nsp", "sentence-order", "split-sentences", "json-key" };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (options_given(o, keys[i]))
            return error_set(e, EXIT_USAGE, "--%s: Google's script has no such option; leave it out or leave out --compat google", keys[i]);
    return 0;
}

static int settle(const options *o, const struct settings *s, const vocab *v, build_settings *b, error *e) {
    bool lowercase = !s->cased;
    int strip = s->strip_accents, found_strip;
    bool found;
    if (vocab_casing(v, &found, &found_strip)) {
        if (!options_given(o, "cased")) lowercase = found;
        if (!options_given(o, "strip-accents")) strip = found_strip;
    }
    bool google = s->compat == COMPAT_GOOGLE;
    if (google && refuse_beside_google(o, e)) return e->code;
    if (google) strip = STRIP_AUTO;
    uint32_t S = (uint32_t)s->seq_length, P = google ? (S < 20 ? S : 20) : (S * 5 + 31) / 32;
    if (s->max_predictions) P = (uint32_t)s->max_predictions;
    if (P > S) return error_set(e, EXIT_USAGE, "--max-predictions: %u is more than --seq-length %u", P, S);
    if (s->no_nsp && s->sentence_order) return error_set(e, EXIT_USAGE, "--sentence-order: needs pairs, and --no-nsp makes none; leave one out");
    if (s->mask_prob <= 0) return error_set(e, EXIT_USAGE, "--mask-prob: needs to be above 0");
    double short_seq_prob = google && !options_given(o, "short-seq-prob") ? 0.1 : s->short_seq_prob;
    *b = (build_settings){
        .example = { .seq_length = S, .max_predictions = P, .mask_prob = s->mask_prob, .seed = (uint64_t)s->seed, .next_sentence = !s->no_nsp,
                     .sentence_order = s->sentence_order, .whole_words = s->whole_words, .short_seq_prob = short_seq_prob },
        .duplicates = google && !options_given(o, "duplicates") ? 10 : (uint32_t)s->duplicates, .google = google, .invalid = s->invalid_utf8,
        .words = { .lowercase = lowercase, .strip_accents = strip, .specials = s->special_tokens },
        .text = { .split_sentences = s->split_sentences, .json_key = s->json_key, .invalid = s->invalid_utf8 }, .quiet = o->quiet,
    };
    if (lowercase && vocab_has_capitals(v)) warn("the vocabulary holds capitals, but text is lower-cased: give --cased for a cased vocabulary");
    return 0;
}

static void report(const build_settings *s, const build_summary *b, const char *output) {
    char took[32];
    timer_format(took, sizeof took, b->seconds);
    printf("documents %llu, segments %llu, tokens %llu (%.2f %% [UNK])", (unsigned long long)b->documents, (unsigned long long)b->segments,
           (unsigned long long)b->tokens, 100 * (double)b->unknown / (double)b->tokens);
    if (b->skipped) printf(", segments left out %llu", (unsigned long long)b->skipped);
    printf("\nrows %llu in %u file%s, filled %.1f %%, tokens used %.2f %%", (unsigned long long)b->rows, b->files, b->files == 1 ? "" : "s",
           100 * (double)b->filled / ((double)b->rows * s->example.seq_length), 100 * (double)b->used / ((double)b->tokens * s->duplicates));
    if (s->example.next_sentence) printf(", %s %.2f %%", s->example.sentence_order ? "swapped" : "random next", 100 * (double)b->random_next / (double)b->rows);
    printf("\n%s: %.1f MB of text in %s\n", output, (double)b->bytes / 1e6, took);
}

static int run(const options *o, const struct settings *s, error *e) {
    vocab *v = NULL;
    build_settings b;
    build_summary sum;
    shard_output out = {0};
    int code = vocab_load(&v, s->vocab, e);
    if (!code) code = settle(o, s, v, &b, e);
    if (!code) code = shard_output_begin(&out, s->output, s->force, e);
    if (!code) code = (b.google ? google_build : build_shards)(&b, v, o->arguments, o->argument_count, out.work, &stop, &sum, e);
    if (!code && (double)sum.unknown > 0.05 * (double)sum.tokens)
        warn("%.1f %% of the tokens are [UNK]: is this the text's vocabulary, and its casing right?", 100 * (double)sum.unknown / (double)sum.tokens);
    if (!code) code = shard_output_finish(&out, e);
    if (!code && !o->quiet) report(&b, &sum, s->output);
    shard_output_end(&out);
    vocab_free(v);
    return code;
}

int main(int argc, char **argv) {
    fail_init("bert-shard");
    options o;
    struct settings s = {0};
    error e = {0};
    bool done = false, silent = false;
    if (refuse_ranks(&e, &silent)) return silent ? e.code : error_print(&e);
    struct sigaction act = { .sa_handler = on_signal };
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
    sigaction(SIGHUP, &act, NULL);
    int code = options_parse(&o, &program, &s, argc, argv, &done, &e);
    if (!code && !done) code = run(&o, &s, &e);
    options_free(&o);
    if (stop) {                                         /* die of the signal, as the caller expects, but with nothing left behind */
        signal(stop, SIG_DFL);
        raise(stop);
    }
    if (code) return error_print(&e);
    return fflush(stdout) ? (error_set(&e, EXIT_MACHINE, "standard output: writing failed"), error_print(&e)) : EXIT_DONE;
}
