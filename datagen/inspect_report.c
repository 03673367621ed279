/* datagen/inspect_report.c - see inspect_report.h: the text. */
#include "datagen/inspect_report.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/fail.h"

static const char *const strip_names[] = { "auto", "yes", "no" };
static const char *const split_names[] = { "training", "test" };
enum { BAR = 40 };

#define U(x) ((unsigned long long)(x))
static double percent(uint64_t part, uint64_t whole) { return whole ? 100 * (double)part / (double)whole : 0; }

void length_summarize(length_summary *out, const uint16_t *lengths, uint64_t rows, uint32_t seq_length) {
    uint64_t *seen = must_zalloc((size_t)seq_length + 1, sizeof *seen), below = 0;
    *out = (length_summary){ .rows = rows, .width = (seq_length + REPORT_BINS - 1) / REPORT_BINS };
    out->bins = (seq_length + out->width - 1) / out->width;
    for (uint64_t i = 0; i < rows; i++) seen[lengths[i]]++;
    for (uint32_t n = 1; n <= seq_length; n++) {
        if (!seen[n]) continue;
        if (!out->shortest) out->shortest = n;
        out->longest = n;
        if (2 * below < rows) out->median = n;
        below += seen[n];
        out->tokens += n * seen[n];
        out->bin[(n - 1) / out->width] += seen[n];
    }
    free(seen);
}

static void print_folder(const shard_report *r) {
    const shard_manifest *m = r->m;
    printf("%s: shards, sequence length %u, at most %u predictions, %s\n", r->path, m->seq_length, m->max_predictions,
           shard_manifest_is_order(m) ? "sentence order (label 1: swapped)" : m->has_nsp ? "next sentence yes" : "next sentence no");
    printf("  vocabulary   %zu tokens, SHA-256 %.8s..., %s, strip accents %s\n", m->vocab_size, m->vocab_hash, m->lowercase ? "uncased" : "cased",
           strip_names[m->strip_accents]);
    for (int s = 0; s < 2; s++) {
        length_summary l;
        if (!r->rows[s]) continue;
        length_summarize(&l, r->lengths[s], r->rows[s], m->seq_length);
        printf("  %-12s %llu rows, %llu tokens, filled %.1f %%\n", split_names[s], U(l.rows), U(l.tokens), percent(l.tokens, l.rows * m->seq_length));
    }
    printf("  content      SHA-256 %.8s..., seed %llu, largest id %lld\n", r->content, U(m->seed), (long long)m->max_id);
    const json *parts[] = { m->options, m->summary };
    const char *const names[] = { "options", "summary" };
    for (int i = 0; i < 2; i++) {
        char *text = parts[i] ? json_print(parts[i], 0) : NULL;
        if (text) printf("  %-12s %s\n", names[i], text);
        free(text);
    }
    for (size_t i = 0; i < m->files; i++)
        printf("  %-24s %9llu rows %12llu bytes\n", m->file[i].name, U(m->file[i].rows), U(m->file[i].bytes));
}

static void print_verified(const shard_report *r) {
    const row_stats *a = &r->stats[0], *b = &r->stats[1];
    const digest_counts *rows = &r->repeats.rows, *texts = &r->repeats.texts;
    uint64_t labels[2] = { a->label[0] + b->label[0], a->label[1] + b->label[1] }, all = a->rows + b->rows;
    printf("  verified     %severy value of %llu rows\n", r->m ? "hashes and " : "", U(all));
    if (r->shape.has_nsp)
        printf("  labels       0: %llu rows (%.2f %%), 1: %llu rows (%.2f %%)\n", U(labels[0]), percent(labels[0], all), U(labels[1]), percent(labels[1], all));
    if (r->words.unk >= 0)
        printf("  [UNK]        %llu of %llu tokens (%.3f %%)\n", U(a->unknown + b->unknown), U(a->words + b->words),
               percent(a->unknown + b->unknown, a->words + b->words));
    printf("  repeated     %llu rows in every value, %llu rows in their text before masking\n", U(rows->repeated), U(texts->repeated));
    if (r->rows[0] && r->rows[1]) printf("  held out     %llu test rows have a text that stands in training too\n", U(texts->shared));
}

static void print_lengths(const shard_report *r, int split) {
    length_summary l;
    char bar[BAR + 1];
    uint64_t most = 1;
    length_summarize(&l, r->lengths[split], r->rows[split], r->shape.seq_length);
    for (uint32_t i = 0; i < l.bins; i++) if (l.bin[i] > most) most = l.bin[i];
    printf("  lengths      %s: %u to %u tokens, mean %.1f, median %u\n", r->m ? split_names[split] : "rows", l.shortest, l.longest,
           (double)l.tokens / (double)l.rows, l.median);
    for (uint32_t i = 0; i < l.bins; i++) {
        uint32_t to = (i + 1) * l.width < r->shape.seq_length ? (i + 1) * l.width : r->shape.seq_length;
        size_t n = (size_t)((double)BAR * (double)l.bin[i] / (double)most + 0.5);
        if (l.bin[i] && !n) n = 1;
        memset(bar, '#', n);
        bar[n] = '\0';
        printf("  %5u-%-5u %12llu %5.1f %%%s%s\n", i * l.width + 1, to, U(l.bin[i]), percent(l.bin[i], l.rows), n ? "  " : "", bar);
    }
}

static void print_masks(const shard_report *r, int split) {
    const row_stats *s = &r->stats[split];
    printf("  masked       %llu of %llu tokens (%.2f %%), %.1f a row", U(s->masked), U(s->tokens), percent(s->masked, s->tokens),
           (double)s->masked / (double)s->rows);
    if (r->words.mask < 0) printf("; left as they are %.1f %%\n", percent(s->as_itself, s->masked));
    else printf("\n               as [MASK] %.1f %%, left as they are %.1f %%, other tokens %.1f %%\n", percent(s->as_mask, s->masked),
                percent(s->as_itself, s->masked), percent(s->masked - s->as_mask - s->as_itself, s->masked));
}

void shard_report_print(const shard_report *r) {
    if (r->m) print_folder(r);
    else printf("%s: one shard, %llu rows, sequence length %u, at most %u predictions, next sentence %s\n", r->path, U(r->shape.rows),
                r->shape.seq_length, r->shape.max_predictions, r->shape.has_nsp ? "yes" : "no");
    if (r->verified) print_verified(r);
    for (int s = 0; s < 2 && r->detailed; s++) {
        if (!r->rows[s]) continue;
        print_lengths(r, s);
        print_masks(r, s);
    }
}

/* What a user should not overlook among the figures. */
static void advise(const shard_report *r) {
    const row_stats *a = &r->stats[0], *b = &r->stats[1];
    uint64_t ones = a->label[1] + b->label[1], all = a->rows + b->rows, fewer = ones < all - ones ? ones : all - ones;
    if (r->shape.has_nsp && all >= 100 && fewer < all / 10)
        warn("%s: one of the two labels stands in %.2f %% of the rows only; little is learned from such labels", r->path, percent(fewer, all));
    if (r->words.unk >= 0 && 20 * (a->unknown + b->unknown) > a->words + b->words)
        warn("%s: %.1f %% of the tokens are [UNK]; does the vocabulary suit the text, and its casing?", r->path,
             percent(a->unknown + b->unknown, a->words + b->words));
}

void shard_report_give(const shard_report *r, json *out) {
    if (r->verified) advise(r);
    if (out) shard_report_json(r, out);
    else shard_report_print(r);
}
