/* datagen/inspect_rows.c - see inspect.h: rows in words, and folders compared row by row. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/files.h"
#include "datagen/inspect.h"
#include "datagen/shard_file.h"
#include "datagen/shard_manifest.h"

enum { BLOCK_ROWS = 1024 };
static const char *const split_names[] = { "training", "test" };

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

/* What a row's label says of A and B; nothing of rows without one. */
static const char *relation(const shard_info *info, const shard_manifest *m, int label) {
    if (!info->has_nsp) return "";
    if (!label) return ", B follows A (label 0)";
    return shard_manifest_is_order(m) ? ", A follows B: they are swapped (label 1)" : ", B is from elsewhere (label 1)";
}

static void print_example(const vocab *v, const shard_rows *r, const shard_info *info, const shard_manifest *m, uint64_t row, uint16_t length) {
    uint32_t cut = 1, P = 0;
    while (cut < length && r->segment_ids[cut] == 0) cut++;
    while (P < info->max_predictions && r->positions[P]) P++;
    printf("row %llu: %u tokens, %u masked%s\n", (unsigned long long)row, length, P, relation(info, m, info->has_nsp && r->next_sentence[0]));
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
    shard_manifest m = {0};
    if (shard_folder_open(&f, path, e)) return e->code;
    const shard_info *info = shard_folder_info(f);
    enum shard_split split = info->rows[SHARD_TRAINING] ? SHARD_TRAINING : SHARD_TEST;
    char *name = files_join(path, MANIFEST_VOCAB);
    shard_rows *r = shard_rows_new(f, 1);
    int code = vocab_load(&v, name, e);
    if (!code) code = shard_manifest_read(&m, path, e);
    if (!code && row >= info->rows[split])
        code = error_set(e, EXIT_USAGE, "--example: row %llu is not there; %s has rows 0 to %llu", (unsigned long long)row, path,
                         (unsigned long long)info->rows[split] - 1);
    if (!code) code = shard_read_rows(f, split, row, 1, r, e);
    if (!code && vocab_size(v) < info->vocab_size) code = error_set(e, EXIT_USAGE, "%s: has fewer tokens than the manifest says", name);
    if (!code) print_example(v, r, info, &m, row, shard_lengths(f, split)[row]);
    shard_rows_free(r);
    free(name);
    vocab_free(v);
    shard_manifest_free(&m);
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
