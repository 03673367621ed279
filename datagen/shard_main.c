/* datagen/shard_main.c - bert-shard: text to HDF5 shards. */
#include <omp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/files.h"
#include "base/options.h"
#include "base/timer.h"
#include "datagen/google_build.h"
#include "datagen/shard_build.h"
#include "datagen/shard_output.h"

struct settings {
    char *vocab, *output, *json_key, *temp;
    bool cased, split_sentences, no_nsp, sentence_order, whole_words, deduplicate, force;
    int compat, strip_accents, special_tokens, invalid_utf8;
    int64_t seq_length, max_predictions, duplicates, shards, min_tokens, memory, threads, seed;
    double mask_prob, short_seq_prob, eval_fraction;
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
    {"shards", OPTION_INT, AT(shards), .low = 0, .high = 100000, .initial = "0", .unit = "files",
     .help = "training files; 0: as few as hold at most 65,536 rows each"},
    {"eval-fraction", OPTION_REAL, AT(eval_fraction), .low = 0, .high = 0.9, .initial = "0",
     .help = "share of documents held out of training, into test files"},
    {"min-tokens", OPTION_INT, AT(min_tokens), .low = 0, .high = 1e9, .initial = "0", .unit = "tokens",
     .help = "leave out documents of fewer tokens"},
    {"deduplicate", OPTION_SWITCH, AT(deduplicate),
     .help = "leave out documents that equal an earlier one"},
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
    {"memory", OPTION_INT, AT(memory), .low = 1, .high = 1 << 24, .initial = "1024", .unit = "MiB", .flags = OPTION_LOCAL,
     .help = "most memory of a process; what does not fit goes through files"},
    {"temp", OPTION_TEXT, AT(temp), .unit = "folder", .flags = OPTION_LOCAL,
     .help = "where temporary files go, seen by all ranks (default: beside the output)"},
    {"threads", OPTION_INT, AT(threads), .low = 0, .high = 1024, .initial = "0", .unit = "threads", .flags = OPTION_LOCAL,
     .help = "of a process; 0: the cores it may use, shared by the ranks of its node"},
    {"compat", OPTION_CHOICE, AT(compat), .choices = "native|google", .initial = "native",
     .help = "google: the same examples in the same order as google-research/bert (see below)"},
};

static const option_program program = {
    .name = "bert-shard", .summary = "turns text into HDF5 shards of masked-language-model and next-sentence examples",
    .usage = "bert-shard --vocab vocab.txt --seq-length 128 --output DIR TEXT...",
    .details = "TEXT is files, folders (all files in them, recursively, names in bytewise order) or - for standard input; plain, gzip or zstd; one "
               "sentence per line and a blank line between documents, or .jsonl with one document per line.\n"
               "Equal text, vocabulary and options give equal bytes, whatever the threads, the memory and, under mpirun, the ranks. Killed and run again, "
               "it takes over the shards that were finished.\n"
               "--compat google makes what create_pretraining_data.py makes under Python 3.11 with one output file: its tokenizer, its draws of "
               "random.Random(seed), its defaults (short-seq-prob 0.1, duplicates 10, max-predictions 20). The end of a file ends no document "
               "there. The text and all rows are held in memory, within --memory.\n\n"
               "Exit codes: 0 done; 1 the machine failed; 2 usage, text or output not usable.",
    .table = table, .count = sizeof table / sizeof *table, .positionals = true,
};

enum { COMPAT_NATIVE, COMPAT_GOOGLE };

static volatile sig_atomic_t stop;
static void on_signal(int number) { stop = number; }

/* Google's script has no such options: its examples would not be made. */
static int refuse_beside_google(const options *o, error *e) {
    static const char *const keys[] = { "strip-accents", "special-tokens", "no-nsp", "sentence-order", "split-sentences", "json-key", "shards",
                                         "eval-fraction", "min-tokens", "deduplicate" };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (options_given(o, keys[i]))
            return error_set(e, EXIT_USAGE, "--%s: Google's script has no such option; leave it out or leave out --compat google", keys[i]);
    return 0;
}

/* Of this process: given, or the cores that it may use, shared by the ranks of its node that may use the same. */
static int count_threads(int64_t wanted, const comm *ranks) {
    if (wanted > 0) return (int)wanted;
    int cores = omp_get_num_procs(), bound = ranks && ranks->node_size > 1 && cores >= ranks->node_size ? cores / ranks->node_size : cores;
    return bound < 1 ? 1 : bound;
}

static int settle(const options *o, const struct settings *s, const vocab *v, const comm *ranks, build_settings *b, error *e) {
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
        .shards = (uint32_t)s->shards, .eval_fraction = s->eval_fraction, .min_tokens = (uint64_t)s->min_tokens, .deduplicate = s->deduplicate,
        .threads = count_threads(s->threads, ranks), .memory = (uint64_t)s->memory << 20, .temp = s->temp,
    };
    uint64_t least = build_least_memory(b);
    if (!google && b->memory < least)
        return error_set(e, EXIT_USAGE, "--memory: %lld MiB are too few for %d threads; give at least %llu", (long long)s->memory, b->threads,
                         (unsigned long long)((least + (1 << 20) - 1) >> 20));
    if (google && ranks && ranks->size > 1)
        return error_set(e, EXIT_USAGE, "--compat google works as one process, and %d were started; start it without mpirun or srun", ranks->size);
    if (lowercase && vocab_has_capitals(v) && !(ranks && ranks->rank))
        warn("the vocabulary holds capitals, but text is lower-cased: give --cased for a cased vocabulary");
    return 0;
}

static void report(const build_settings *s, const build_summary *b, const char *output) {
    char took[32];
    timer_format(took, sizeof took, b->seconds);
    printf("documents %llu, segments %llu, tokens %llu (%.2f %% [UNK])", (unsigned long long)b->documents, (unsigned long long)b->segments,
           (unsigned long long)b->tokens, 100 * (double)b->unknown / (double)b->tokens);
    if (b->skipped) printf(", segments left out %llu", (unsigned long long)b->skipped);
    if (b->left_out) printf("\nleft out: %llu short and %llu equal documents, %llu tokens", (unsigned long long)b->short_documents,
                            (unsigned long long)b->equal_documents, (unsigned long long)b->left_out);
    printf("\nrows %llu", (unsigned long long)b->rows);
    if (b->test_rows) printf(" and %llu held out, of %llu documents,", (unsigned long long)b->test_rows, (unsigned long long)b->test_documents);
    printf(" in %u file%s", b->files, b->files == 1 ? "" : "s");
    if (b->reused) printf(" (%u found finished)", b->reused);
    printf(", filled %.1f %%", 100 * (double)b->filled / ((double)b->rows * s->example.seq_length));
    if (!b->test_rows) printf(", tokens used %.2f %%", 100 * (double)b->used / ((double)b->tokens * s->duplicates));
    if (s->example.next_sentence) printf(", %s %.2f %%", s->example.sentence_order ? "swapped" : "random next", 100 * (double)b->random_next / (double)b->rows);
    printf("\n%s: %.1f MB of text in %s, %.1f MB/s\n", output, (double)b->bytes / 1e6, took, (double)b->bytes / 1e6 / b->seconds);
}

/* Rank 0 holds the output; the others learn where its temporary files are, and must see them. */
static int begin_output(shard_output *out, const struct settings *s, comm *ranks, error *e) {
    enum { LONGEST_PATH = 4096 };
    char temp[LONGEST_PATH] = "";
    if (!ranks || ranks->rank == 0) shard_output_begin(out, s->output, s->temp, s->force, e);
    if (!ranks) return e->code;
    if (comm_agree(ranks, e)) return e->code;
    if (ranks->rank == 0) snprintf(temp, sizeof temp, "%s", out->temp);
    comm_broadcast(ranks, temp, sizeof temp, 0);
    if (ranks->rank) shard_output_follow(out, s->output, temp);
    if (!files_is_folder(temp)) error_set(e, EXIT_USAGE, "%s: not seen by this rank; give a --temp (and an --output) that all ranks share", temp);
    return e->code;
}

static int agree(comm *ranks, error *e) {
    if (ranks) e->code = comm_agree(ranks, e);
    return e->code;
}

/* Every rank that fails leaves by the same way: the one with the error has printed its line. */
static int work(const options *o, const struct settings *s, comm *ranks, shard_output *out, error *e) {
    vocab *v = NULL;
    build_settings b;
    build_summary sum;
    bool first = !ranks || ranks->rank == 0;
    if (!vocab_load(&v, s->vocab, e)) settle(o, s, v, ranks, &b, e);
    if (ranks && !e->code) {
        char *yaml = options_yaml(o);
        if (strlen(yaml) < 4000) comm_check_equal(ranks, "configuration", yaml, e);
        free(yaml);
    }
    if (!agree(ranks, e)) begin_output(out, s, ranks, e);
    if (!agree(ranks, e)) {
        if (b.google) google_build(&b, v, o->arguments, o->argument_count, out->work, &stop, &sum, e);
        else build_shards(&b, v, o->arguments, o->argument_count, out, ranks, &stop, &sum, e);
    }
    if (!e->code && first && (double)sum.unknown > 0.05 * (double)sum.tokens)
        warn("%.1f %% of the tokens are [UNK]: is this the text's vocabulary, and its casing right?", 100 * (double)sum.unknown / (double)sum.tokens);
    if (!e->code && first) shard_output_finish(out, e);
    if (!agree(ranks, e) && first && !o->quiet) report(&b, &sum, s->output);
    vocab_free(v);
    return e->code;
}

static int run(const options *o, const struct settings *s, comm *ranks, error *e) {
    shard_output out = {0};
    work(o, s, ranks, &out, e);
    int finished = shard_output_end(&out);
    if (e->code == EXIT_MACHINE && finished && !ranks) {
        size_t used = strlen(e->text);
        snprintf(e->text + used, sizeof e->text - used, "; %d finished shards are kept: run again to go on", finished);
    }
    return e->code;
}

int main(int argc, char **argv) {
    fail_init("bert-shard");
    options o;
    struct settings s = {0};
    error e = {0};
    bool done = false;
    struct sigaction act = { .sa_handler = on_signal };
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
    sigaction(SIGHUP, &act, NULL);
    comm *ranks = comm_launched() ? comm_start(&argc, &argv) : NULL;
    if (ranks && ranks->rank && !freopen("/dev/null", "w", stdout)) fail(EXIT_MACHINE, "/dev/null: cannot be opened");   /* rank 0 speaks for all */
    options_parse(&o, &program, &s, argc, argv, &done, &e);
    if (!agree(ranks, &e) && !done) run(&o, &s, ranks, &e);
    options_free(&o);
    if (!e.code && fflush(stdout)) {
        error_set(&e, EXIT_MACHINE, "standard output: writing failed");
        if (ranks) error_print(&e);
    }
    if (ranks) return comm_finish(ranks, e.code);
    if (stop) {                                         /* die of the signal, as the caller expects, with only what is of use left behind */
        signal(stop, SIG_DFL);
        raise(stop);
    }
    return e.code ? error_print(&e) : EXIT_DONE;
}
