/* datagen/shard_build.c - see shard_build.h. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/files.h"
#include "base/timer.h"
#include "datagen/corpus.h"
#include "datagen/progress.h"
#include "datagen/shard_build.h"
#include "datagen/shard_rows.h"
#include "datagen/shard_writer.h"

static const volatile sig_atomic_t *stop_flag;   /* a signal came */

static void read_progress(const corpus *c, const text_stream *t) {
    (void)c;
    progress_show("reading", (double)text_stream_bytes_read(t), (double)text_stream_bytes_total(t), (double)text_stream_bytes_read(t) / 1e6);
}

uint64_t build_first_row(uint64_t rows, uint64_t files, uint64_t i) { return rows / files * i + (i < rows % files ? i : rows % files); }

static int stopped(error *e) {
    if (!*stop_flag) return 0;
    return error_set(e, EXIT_MACHINE, "interrupted");
}

static int read_corpus(const build_settings *s, const vocab *v, char *const *paths, size_t count, corpus *c, error *e) {
    text_stream *t;
    text_settings settings = s->text;
    settings.stop = stop_flag;
    if (text_stream_open(&t, paths, count, &settings, e)) return e->code;
    tokenizer *k = tokenizer_new(v, s->words);
    progress_start(s->quiet);
    int code = corpus_read(c, t, k, vocab_unk(v), example_longest_segment(s->example.seq_length, s->example.next_sentence), s->invalid, read_progress, e);
    progress_end();
    tokenizer_free(k);
    text_stream_close(t);
    if (!code && !c->documents) code = error_set(e, EXIT_USAGE, "the text is empty; nothing to make shards of");
    if (!code && c->documents == 1 && s->example.next_sentence && !s->example.sentence_order)
        code = error_set(e, EXIT_USAGE, "the text is a single document, but next-sentence pairs need two; put blank lines between documents, or give --no-nsp");
    return code;
}

/* A row to be: an example and where its tokens are. */
typedef struct item { example x; const int32_t *a, *b; } item;
typedef struct item_list { item *item; size_t count, capacity; } item_list;

/* File i of m: rows [first, first + its rows) of the list. */
static int write_file(const build_settings *s, const example_words *w, const item_list *list, uint64_t first, shard_manifest *m, size_t i, const char *folder,
                      uint16_t *lengths, error *e) {
    shard_manifest_file *f = &m->file[i];
    shard_writer_settings settings = { s->example.seq_length, s->example.max_predictions, s->example.next_sentence, s->words.lowercase, s->words.strip_accents,
                                       m->vocab_hash, s->example.seed };
    shard_writer *out = shard_writer_new(&settings, f->rows);
    shard_rows *rows = shard_rows_make(s->example.seq_length, s->example.max_predictions, SHARD_CHUNK_ROWS);
    int code = 0;
    for (uint64_t at = 0; at < f->rows && !code; at += rows->count) {
        rows->count = f->rows - at < SHARD_CHUNK_ROWS ? (size_t)(f->rows - at) : SHARD_CHUNK_ROWS;
        for (size_t r = 0; r < rows->count; r++) {
            const item *t = &list->item[first + at + r];
            lengths[first + at + r] = example_render(&s->example, w, &t->x, t->a, t->b, rows, r);
        }
        shard_writer_add(out, rows);
        progress_show("writing", (double)(first + at + rows->count), (double)list->count, 0);
        code = stopped(e);
    }
    char *path = files_join(folder, f->name);
    if (!code) code = shard_writer_finish(out, path, f->content, e);
    if (!code) code = sha256_file(path, f->sha256, &f->bytes, e);
    if (shard_writer_max_id(out) > m->max_id) m->max_id = shard_writer_max_id(out);
    free(path);
    shard_rows_free(rows);
    shard_writer_free(out);
    return code;
}

static void add_document(const build_settings *s, const corpus *c, uint32_t duplicate, uint64_t number, item_list *list) {
    document_view d = corpus_document(c, number, 0);
    example_walk walk = { .document = number, .duplicate = duplicate, .at = d.segment[0] };
    item t;
    while (example_next(&d, &s->example, &walk, &t.x, &t.a, &t.b)) {
        if (t.x.foreign) {
            uint64_t segments = c->document[t.x.partner + 1] - c->document[t.x.partner];
            document_view other = corpus_document(c, t.x.partner, example_partner_segment(&s->example, &t.x, segments));
            t.b = example_partner(&other, &t.x);
        }
        if (list->count == list->capacity) list->item = must_realloc(list->item, list->capacity = list->capacity ? 2 * list->capacity : 1024, sizeof t);
        list->item[list->count++] = t;
    }
}

/* All examples of all documents, in row order. */
static void make_examples(const build_settings *s, const corpus *c, item_list *list, build_summary *out) {
    for (uint32_t d = 0; d < s->duplicates; d++)
        for (uint64_t i = 0; i < c->documents; i++) add_document(s, c, d, i, list);
    if (list->count) qsort(list->item, list->count, sizeof *list->item, example_compare);
    for (size_t i = 0; i < list->count; i++) {
        const example *x = &list->item[i].x;
        out->random_next += x->label;
        out->used += x->a_count + (x->foreign ? 0u : x->b_count);
        out->filled += (s->example.next_sentence ? 3u : 2u) + x->a_count + x->b_count;
    }
    out->rows = list->count;
    out->files = (uint32_t)((list->count + SHARD_FILE_ROWS - 1) / SHARD_FILE_ROWS);
}

static int write_all(const build_settings *s, const vocab *v, const corpus *c, const item_list *list, const char *folder, build_summary *out, error *e) {
    example_words w = { vocab_cls(v), vocab_sep(v), vocab_mask(v), (int32_t)vocab_size(v), c->continues };
    shard_manifest m = { .seq_length = s->example.seq_length, .max_predictions = s->example.max_predictions, .has_nsp = s->example.next_sentence,
                   .lowercase = s->words.lowercase, .strip_accents = s->words.strip_accents, .specials = s->words.specials, .seed = s->example.seed };
    memcpy(m.vocab_hash, vocab_hash(v), SHA256_HEX);
    uint16_t *lengths = must_alloc(list->count, sizeof *lengths);
    int code = 0;
    progress_start(s->quiet);
    for (uint32_t i = 0; i < out->files; i++) {
        char name[32];
        snprintf(name, sizeof name, "training_%05u.hdf5", i);
        shard_manifest_add_file(&m, name, SHARD_TRAINING);
    }
    for (uint32_t i = 0; i < out->files && !code; i++) {
        uint64_t first = build_first_row(out->rows, out->files, i);
        m.file[i].rows = build_first_row(out->rows, out->files, i + 1) - first;
        code = write_file(s, &w, list, first, &m, i, folder, lengths, e);
    }
    progress_end();
    m.options = build_options(s);
    m.summary = build_summary_numbers(s, out);
    if (!code) code = shard_manifest_write_parts(&m, folder, (const uint16_t *const[2]){ lengths, NULL }, v, e);
    if (!code) code = shard_manifest_write(&m, folder, e);
    free(lengths);
    shard_manifest_free(&m);
    return code;
}

int build_shards(const build_settings *given, const vocab *v, char *const *paths, size_t count, const char *folder, const volatile sig_atomic_t *stop,
                 build_summary *out, error *e) {
    double began = timer_now();
    corpus c;
    item_list list = {0};
    build_settings settings = *given, *s = &settings;
    *out = (build_summary){0};
    stop_flag = stop;
    corpus_init(&c, corpus_continuations(v));
    int code = read_corpus(s, v, paths, count, &c, e);
    if (!code) {
        out->documents = c.documents;
        out->segments = c.text_segments;
        out->bytes = c.text_bytes;
        out->tokens = c.token.count;
        out->unknown = c.unknown;
        out->skipped = c.skipped;
        settings.example.documents = c.documents;
        make_examples(s, &c, &list, out);
        if (!out->rows) code = error_set(e, EXIT_USAGE, "the text is too short: no pair can be made of it; give more text");
        if (!code) code = write_all(s, v, &c, &list, folder, out, e);
    }
    free(list.item);
    corpus_free(&c);
    out->seconds = timer_now() - began;
    return code;
}
