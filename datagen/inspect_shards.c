/* datagen/inspect_shards.c - see inspect.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/files.h"
#include "datagen/inspect.h"
#include "datagen/shard_file.h"
#include "datagen/shard_manifest.h"
#include "datagen/shard_rows.h"

enum { BLOCK_ROWS = 1024 };
static const char *const strip_names[] = { "auto", "yes", "no" };
static const char *const split_names[] = { "training", "test" };

static void describe(const shard_manifest *m, const shard_folder *f) {
    const shard_info *info = shard_folder_info(f);
    printf("%s: shards, sequence length %u, at most %u predictions, next sentence %s\n", info->path, m->seq_length, m->max_predictions,
           m->has_nsp ? "yes" : "no");
    printf("  vocabulary   %zu tokens, SHA-256 %.16s..., %s, strip accents %s\n", m->vocab_size, m->vocab_hash, m->lowercase ? "uncased" : "cased",
           strip_names[m->strip_accents]);
    for (int s = 0; s < 2; s++) {
        uint64_t tokens = 0;
        for (uint64_t i = 0; i < info->rows[s]; i++) tokens += shard_lengths(f, (enum shard_split)s)[i];
        if (!info->rows[s]) continue;
        printf("  %-12s %llu rows, %llu tokens, filled %.1f %%\n", split_names[s], (unsigned long long)info->rows[s], (unsigned long long)tokens,
               100 * (double)tokens / ((double)info->rows[s] * m->seq_length));
    }
    printf("  content      SHA-256 %.16s..., seed %llu, largest id %lld\n", info->content_hash, (unsigned long long)m->seed, (long long)m->max_id);
    const json *parts[] = { m->options, m->summary };
    const char *const names[] = { "options", "summary" };
    for (int i = 0; i < 2; i++) {
        char *text = parts[i] ? json_print(parts[i], 0) : NULL;
        if (text) printf("  %-12s %s\n", names[i], text);
        free(text);
    }
    for (size_t i = 0; i < m->files; i++) {
        const shard_manifest_file *one = &m->file[i];
        printf("  %-24s %9llu rows %12llu bytes\n", one->name, (unsigned long long)one->rows, (unsigned long long)one->bytes);
    }
}

static int verify_content(const shard_manifest *m, size_t i, const char *folder, error *e) {
    shard_file *file;
    char hex[SHA256_HEX], *path = files_join(folder, m->file[i].name);
    int code = shard_file_open(&file, path, e);
    if (!code) {
        code = shard_file_content_hash(file, hex, e);
        if (!code && strcmp(hex, m->file[i].content)) code = error_set(e, EXIT_CORRUPT, "%s: its content's SHA-256 is not the recorded one", path);
        shard_file_close(file);
    }
    free(path);
    return code;
}

/* All hashes first; then every row is read, which checks its values. */
static int verify_folder(const shard_manifest *m, shard_folder *f, error *e) {
    const shard_info *info = shard_folder_info(f);
    uint64_t labels[2] = {0};
    for (size_t i = 0; i < m->files; i++) if (shard_folder_verify(f, i, e) || verify_content(m, i, info->path, e)) return e->code;
    shard_rows *r = shard_rows_new(f, BLOCK_ROWS);
    int code = 0;
    for (int s = 0; s < 2; s++) {
        for (uint64_t at = 0; at < info->rows[s] && !code; at += BLOCK_ROWS) {
            size_t n = info->rows[s] - at < BLOCK_ROWS ? (size_t)(info->rows[s] - at) : BLOCK_ROWS;
            code = shard_read_rows(f, (enum shard_split)s, at, n, r, e);
            for (size_t i = 0; i < n && !code; i++) labels[r->next_sentence[i]]++;
        }
    }
    shard_rows_free(r);
    if (code) return code;
    printf("  verified     hashes and every value of %llu rows", (unsigned long long)(labels[0] + labels[1]));
    if (m->has_nsp) printf("; random next %.2f %%", 100 * (double)labels[1] / (double)(labels[0] + labels[1]));
    printf("\n");
    return 0;
}

int inspect_shards(const char *path, bool verify, error *e) {
    shard_manifest m;
    shard_folder *f = NULL;
    if (shard_manifest_read(&m, path, e)) return e->code;
    int code = shard_folder_open(&f, path, e);
    if (!code) describe(&m, f);
    if (!code && verify) code = verify_folder(&m, f, e);
    shard_folder_free(f);
    shard_manifest_free(&m);
    return code;
}

int inspect_shard_file(const char *path, bool verify, error *e) {
    shard_file *f;
    if (shard_file_open(&f, path, e)) return e->code;
    const shard_shape *s = shard_file_shape(f);
    printf("%s: one shard, %llu rows, sequence length %u, at most %u predictions, next sentence %s\n", path, (unsigned long long)s->rows, s->seq_length,
           s->max_predictions, s->has_nsp ? "yes" : "no");
    shard_rows *r = shard_rows_make(s->seq_length, s->max_predictions, BLOCK_ROWS);
    shard_rows_limits limits = { s->seq_length, s->max_predictions, MANIFEST_LONGEST_ROW, INT32_MAX, NULL };
    uint64_t tokens = 0;
    int code = 0;
    for (uint64_t at = 0; at < s->rows && verify && !code; at += r->count) {
        uint16_t lengths[BLOCK_ROWS];
        code = shard_file_read_rows(f, at, s->rows - at < BLOCK_ROWS ? (size_t)(s->rows - at) : BLOCK_ROWS, r, e);
        if (!code) code = shard_rows_check(r, &limits, lengths, path, at, e);
        for (size_t i = 0; i < r->count && !code; i++) tokens += lengths[i];
    }
    if (!code && verify)
        printf("  checked      %llu tokens, filled %.1f %%\n", (unsigned long long)tokens, 100 * (double)tokens / ((double)s->rows * s->seq_length));
    shard_rows_free(r);
    shard_file_close(f);
    return code;
}

/* The words of tokens [from, to): pieces joined; masked ones as "[MASK:was]" or "[now:was]". */
static void print_words(const vocab *v, const shard_rows *r, uint32_t P, uint32_t from, uint32_t to) {
    for (uint32_t i = from; i < to; i++) {
        uint32_t p = 0;
        while (p < P && r->positions[p] != (int32_t)i) p++;
        const char *now = vocab_token(v, r->input_ids[i]), *was = p < P ? vocab_token(v, r->labels[p]) : NULL, *shape = was ? was : now;
        bool joins = i > from && shape[0] == '#' && shape[1] == '#' && shape[2];
        if (i > from && !joins) putchar(' ');
        if (was) printf("[%s:%s]", r->input_ids[i] == vocab_mask(v) ? "MASK" : now, was);
        else fputs(joins ? now + 2 : now, stdout);
    }
}

static void print_example(const vocab *v, const shard_rows *r, const shard_info *info, uint64_t row, uint16_t length) {
    uint32_t cut = 1, P = 0;
    while (cut < length && r->segment_ids[cut] == 0) cut++;
    while (P < info->max_predictions && r->positions[P]) P++;
    printf("row %llu: %u tokens, %u masked%s\n", (unsigned long long)row, length, P,
           !info->has_nsp ? "" : r->next_sentence[0] ? ", B is from elsewhere (label 1)" : ", B follows A (label 0)");
    printf("A: ");
    print_words(v, r, P, 0, cut);
    if (cut < length) {
        printf("\nB: ");
        print_words(v, r, P, cut, length);
    }
    printf("\n");
}

int inspect_example(const char *path, uint64_t row, error *e) {
    shard_folder *f;
    vocab *v = NULL;
    if (shard_folder_open(&f, path, e)) return e->code;
    const shard_info *info = shard_folder_info(f);
    enum shard_split split = info->rows[SHARD_TRAINING] ? SHARD_TRAINING : SHARD_TEST;
    char *name = files_join(path, MANIFEST_VOCAB);
    shard_rows *r = shard_rows_new(f, 1);
    int code = vocab_load(&v, name, e);
    if (!code && row >= info->rows[split])
        code = error_set(e, EXIT_USAGE, "--example: row %llu is not there; %s has rows 0 to %llu", (unsigned long long)row, path,
                         (unsigned long long)info->rows[split] - 1);
    if (!code) code = shard_read_rows(f, split, row, 1, r, e);
    if (!code && vocab_size(v) < info->vocab_size) code = error_set(e, EXIT_USAGE, "%s: has fewer tokens than the manifest says", name);
    if (!code) print_example(v, r, info, row, shard_lengths(f, split)[row]);
    shard_rows_free(r);
    free(name);
    vocab_free(v);
    shard_folder_free(f);
    return code;
}

/* The first dataset in which two single rows differ, or NULL. */
static const char *row_difference(const shard_rows *x, const shard_rows *y, size_t i, const shard_info *info) {
    size_t S = info->seq_length, P = info->max_predictions;
    if (memcmp(x->input_ids + i * S, y->input_ids + i * S, S * 4)) return shard_dataset_name(DATA_INPUT_IDS);
    if (memcmp(x->input_mask + i * S, y->input_mask + i * S, S)) return shard_dataset_name(DATA_INPUT_MASK);
    if (memcmp(x->segment_ids + i * S, y->segment_ids + i * S, S)) return shard_dataset_name(DATA_SEGMENT_IDS);
    if (memcmp(x->positions + i * P, y->positions + i * P, P * 4)) return shard_dataset_name(DATA_POSITIONS);
    if (memcmp(x->labels + i * P, y->labels + i * P, P * 4)) return shard_dataset_name(DATA_LABELS);
    return x->next_sentence[i] != y->next_sentence[i] ? shard_dataset_name(DATA_NEXT) : NULL;
}

static const char *settings_difference(const shard_info *a, const shard_info *b) {
    if (a->seq_length != b->seq_length) return "sequence length";
    if (a->max_predictions != b->max_predictions) return "max predictions";
    if (a->has_nsp != b->has_nsp) return "next-sentence labels";
    if (strcmp(a->vocab_hash, b->vocab_hash)) return "vocabulary";
    if (a->lowercase != b->lowercase || a->strip_accents != b->strip_accents) return "casing or accents";
    if (a->rows[SHARD_TRAINING] != b->rows[SHARD_TRAINING]) return "number of training rows";
    return a->rows[SHARD_TEST] != b->rows[SHARD_TEST] ? "number of test rows" : NULL;
}

static int compare_rows(shard_folder *x, shard_folder *y, enum shard_split split, bool *differ, error *e) {
    const shard_info *info = shard_folder_info(x);
    shard_rows *r = shard_rows_new(x, BLOCK_ROWS), *q = shard_rows_new(y, BLOCK_ROWS);
    int code = 0;
    for (uint64_t at = 0; at < info->rows[split] && !code && !*differ; at += BLOCK_ROWS) {
        size_t n = info->rows[split] - at < BLOCK_ROWS ? (size_t)(info->rows[split] - at) : BLOCK_ROWS;
        if ((code = shard_read_rows(x, split, at, n, r, e)) || (code = shard_read_rows(y, split, at, n, q, e))) break;
        for (size_t i = 0; i < n && !*differ; i++) {
            const char *what = row_difference(r, q, i, info);
            if (what) printf("different: %s row %llu: %s\n", split_names[split], (unsigned long long)(at + i), what);
            *differ = what != NULL;
        }
    }
    shard_rows_free(r);
    shard_rows_free(q);
    return code;
}

int inspect_diff_shards(const char *a, const char *b, bool *differ, error *e) {
    shard_folder *x = NULL, *y = NULL;
    *differ = false;
    int code = shard_folder_open(&x, a, e);
    if (!code) code = shard_folder_open(&y, b, e);
    if (!code) {
        const char *what = settings_difference(shard_folder_info(x), shard_folder_info(y));
        if (what) printf("different: %s\n", what);
        *differ = what != NULL;
    }
    for (int s = 0; s < 2 && !code && !*differ; s++) code = compare_rows(x, y, (enum shard_split)s, differ, e);
    if (!code && !*differ) {
        const uint64_t *rows = shard_folder_info(x)->rows;
        printf("equal: %llu training rows, %llu test rows\n", (unsigned long long)rows[0], (unsigned long long)rows[1]);
    }
    shard_folder_free(x);
    shard_folder_free(y);
    return code;
}
