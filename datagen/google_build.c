/* datagen/google_build.c - see google_build.h. */
#include "datagen/google_build.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/files.h"
#include "base/timer.h"
#include "datagen/corpus.h"
#include "datagen/google_examples.h"
#include "datagen/google_tokenizer.h"
#include "datagen/live_line.h"
#include "datagen/shard_rows.h"
#include "datagen/shard_writer.h"

enum { OTHER_BYTES = 48 << 20 };   /* the program, the vocabulary, a file on its way */

typedef struct job {
    const build_settings *settings;
    const vocab *vocab;
    const char *folder;
    const volatile sig_atomic_t *stop;
    build_summary *sum;
    corpus corpus;
    google_examples *examples;
    live_line *live;
} job;

static int stopped(const job *j, error *e) { return *j->stop ? error_set(e, EXIT_MACHINE, "interrupted") : 0; }

static uint64_t text_bytes(const corpus *c) {
    return c->token.capacity * sizeof *c->token.id + (c->segment_capacity + c->document_capacity) * sizeof *c->segment;
}

static int too_large(const job *j, error *e) {
    return error_set(e, EXIT_USAGE, "--memory: %llu MiB are too few; --compat google holds text and rows in memory: give more, or less text or --duplicates",
                     (unsigned long long)(j->settings->memory >> 20));
}

/* One line of the text. */
static int take_line(job *j, google_tokenizer *k, const text_stream *t, const char *line, size_t bytes, error *e) {
    corpus *c = &j->corpus;
    size_t from = c->token.count, bad;
    if (text_stream_is_json(t))
        return error_set(e, EXIT_USAGE, "%s: --compat google reads plain text as Google's script does, no JSON lines", text_stream_file(t));
    if (j->settings->invalid != INVALID_REPLACE && !utf8_valid(line, bytes, &bad)) {
        if (j->settings->invalid == INVALID_FAIL) return text_invalid(text_stream_file(t), text_stream_line_number(t), line[bad], e);
        c->skipped++;
        return 0;
    }
    if (google_blank(line, bytes)) {
        corpus_end_document(c);
        return 0;
    }
    google_tokenizer_encode(k, line, bytes, &c->token);
    for (size_t i = from; i < c->token.count; i++) c->unknown += c->token.id[i] == vocab_unk(j->vocab);
    c->text_segments++;
    c->text_bytes += bytes;
    corpus_add_segment(c, from, SIZE_MAX);
    return 0;
}

static int read_text(job *j, char *const *paths, size_t count, error *e) {
    text_stream *t;
    text_settings settings = { .stop = j->stop };
    const char *line;
    size_t bytes;
    int got, code = 0;
    if (text_stream_open(&t, paths, count, &settings, e)) return e->code;
    google_tokenizer *k = google_tokenizer_new(j->vocab, j->settings->words.lowercase);
    live_line_stage(j->live, "reading", "MB", 1e6, text_stream_bytes_total(t));
    while (!code && (got = text_stream_raw(t, &line, &bytes, e)) != 0) {
        code = got < 0 ? e->code : take_line(j, k, t, line, bytes, e);
        if (!code && text_bytes(&j->corpus) + OTHER_BYTES > j->settings->memory) code = too_large(j, e);
        live_line_show(j->live, text_stream_bytes_read(t));
    }
    corpus_end_document(&j->corpus);
    google_tokenizer_free(k);
    text_stream_close(t);
    if (!code && !j->corpus.documents) code = error_set(e, EXIT_USAGE, "the text is empty; nothing to make shards of");
    if (!code && j->corpus.documents == 1)
        warn("the text is a single document: as in Google's script, random pairs are then from that document too; put blank lines between documents");
    return code;
}

static int make_examples(job *j, error *e) {
    const build_settings *s = j->settings;
    const vocab *v = j->vocab;
    uint64_t held = text_bytes(&j->corpus) + OTHER_BYTES;
    google_settings g = { s->example.seq_length, s->example.max_predictions, s->duplicates, s->example.mask_prob, s->example.short_seq_prob,
                          s->example.whole_words, s->example.seed, s->memory > held ? s->memory - held : 0 };
    example_words w = { vocab_cls(v), vocab_sep(v), vocab_mask(v), (int32_t)vocab_size(v), j->corpus.continues };
    j->examples = google_examples_make(&j->corpus, &g, &w, j->stop);
    if (stopped(j, e)) return e->code;
    if (j->examples->too_many) return too_large(j, e);
    build_summary *b = j->sum;
    for (size_t i = 0; i < j->examples->count; i++) {
        const google_example *x = &j->examples->item[i];
        b->random_next += x->random_next;
        b->used += x->a_count + (x->random_next ? 0u : x->b_count);
        b->filled += 3u + x->a_count + x->b_count;
    }
    b->documents = j->corpus.documents;
    b->segments = j->corpus.text_segments;
    b->bytes = j->corpus.text_bytes;
    b->tokens = j->corpus.token.count;
    b->unknown = j->corpus.unknown;
    b->skipped = j->corpus.skipped;
    b->rows = j->examples->count;
    b->files = (uint32_t)((b->rows + SHARD_FILE_ROWS - 1) / SHARD_FILE_ROWS);
    return 0;
}

/* Rows [first, first + the file's rows). */
static int write_file(const job *j, shard_manifest *m, shard_manifest_file *f, uint64_t first, uint16_t *lengths, error *e) {
    const example_settings *x = &j->settings->example;
    shard_writer_settings settings = { x->seq_length, x->max_predictions, true, m->lowercase, m->strip_accents, m->vocab_hash, x->seed, j->settings->threads };
    shard_writer *out = shard_writer_new(&settings, f->rows, NULL);
    shard_rows *rows = shard_rows_make(x->seq_length, x->max_predictions, SHARD_CHUNK_ROWS);
    int code = 0;
    for (uint64_t at = 0; at < f->rows && !code; at += rows->count) {
        rows->count = f->rows - at < SHARD_CHUNK_ROWS ? (size_t)(f->rows - at) : SHARD_CHUNK_ROWS;
        for (size_t r = 0; r < rows->count; r++) lengths[first + at + r] = google_example_render(j->examples, first + at + r, rows, r);
        shard_writer_add(out, rows);
        live_line_show(j->live, first + at + rows->count);
        code = stopped(j, e);
    }
    char *path = files_join(j->folder, f->name);
    if (!code) code = shard_writer_finish(out, path, f->content, f->sha256, &f->bytes, e);
    if (shard_writer_max_id(out) > m->max_id) m->max_id = shard_writer_max_id(out);
    free(path);
    shard_rows_free(rows);
    shard_writer_free(out);
    return code;
}

static int write_all(const job *j, error *e) {
    const build_settings *s = j->settings;
    const build_summary *b = j->sum;
    shard_manifest m = { .seq_length = s->example.seq_length, .max_predictions = s->example.max_predictions, .has_nsp = true,
                         .lowercase = s->words.lowercase, .strip_accents = s->words.strip_accents, .specials = SPECIALS_SPLIT, .seed = s->example.seed };
    memcpy(m.vocab_hash, vocab_hash(j->vocab), SHA256_HEX);
    uint16_t *lengths = must_alloc(b->rows, sizeof *lengths);
    int code = 0;
    live_line_stage(j->live, "writing", "examples", 1, j->examples->count);
    for (uint32_t i = 0; i < b->files; i++) {
        char name[32];
        snprintf(name, sizeof name, "training_%05u.hdf5", i);
        shard_manifest_add_file(&m, name, SHARD_TRAINING);
    }
    for (uint32_t i = 0; i < b->files && !code; i++) {
        uint64_t first = build_first_row(b->rows, b->files, i);
        m.file[i].rows = build_first_row(b->rows, b->files, i + 1) - first;
        code = write_file(j, &m, &m.file[i], first, lengths, e);
    }
    m.options = build_options(s);
    m.summary = build_summary_numbers(s, b);
    if (!code) code = shard_manifest_write_parts(&m, j->folder, (const uint16_t *const[2]){ lengths, NULL }, j->vocab, e);
    if (!code) code = shard_manifest_write(&m, j->folder, e);
    free(lengths);
    shard_manifest_free(&m);
    return code;
}

int google_build(const build_settings *s, const vocab *v, char *const *paths, size_t count, const char *folder, const volatile sig_atomic_t *stop,
                 build_summary *out, error *e) {
    double began = timer_now();
    job j = { .settings = s, .vocab = v, .folder = folder, .stop = stop, .sum = out };
    *out = (build_summary){0};
    j.live = live_line_new(s->quiet);
    corpus_init(&j.corpus, corpus_continuations(v));
    int code = read_text(&j, paths, count, e);
    if (!code) code = make_examples(&j, e);
    if (!code) code = write_all(&j, e);
    google_examples_free(j.examples);
    corpus_free(&j.corpus);
    live_line_free(j.live);
    out->seconds = timer_now() - began;
    return code;
}
