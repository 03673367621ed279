/* datagen/shard_finish.c - what stands beside the shards, made from the records of the finished ones: it does not matter which run, rank or
 * thread finished them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/files.h"
#include "datagen/shard_journal.h"
#include "datagen/shard_stage.h"

typedef struct lengths_file { FILE *out; char *path; sha256 hash; } lengths_file;

static int open_lengths(lengths_file *l, const char *folder, enum shard_split split, error *e) {
    sha256_init(&l->hash);
    l->path = files_join(folder, shard_manifest_lengths_name(split));
    l->out = fopen(l->path, "wb");
    return l->out ? 0 : error_set(e, EXIT_MACHINE, "%s: cannot be made", l->path);
}

static int add_lengths(lengths_file *l, const finished_shard *r, error *e) {
    unsigned char *bytes = must_alloc(r->rows, 2);
    for (uint64_t i = 0; i < r->rows; i++) {
        bytes[2 * i] = (unsigned char)(r->lengths[i] & 0xFF);
        bytes[2 * i + 1] = (unsigned char)(r->lengths[i] >> 8);
    }
    sha256_add(&l->hash, bytes, 2 * r->rows);
    bool bad = fwrite(bytes, 2, r->rows, l->out) != r->rows;
    free(bytes);
    return bad ? error_set(e, EXIT_MACHINE, "%s: cannot be written; is the file system full?", l->path) : 0;
}

static int close_lengths(lengths_file *l, char hex[SHA256_HEX], error *e) {
    int code = e->code;
    if (l->out && fclose(l->out) && !code) code = error_set(e, EXIT_MACHINE, "%s: cannot be written; is the file system full?", l->path);
    if (l->out && !code) {
        sha256_end_hex(&l->hash, hex);
        code = files_sync(l->path, e);
    }
    free(l->path);
    return code;
}

static int take_record(stage *g, shard_manifest *m, const char *name, lengths_file l[2], error *e) {
    finished_shard r;
    enum shard_split split = shard_manifest_split_of(name);
    if (shard_journal_read(g->folder, name, g->identity, &r, e)) return e->code;
    shard_manifest_add_file(m, name, split);
    shard_manifest_file *f = m->file;
    while (strcmp(f->name, name)) f++;
    f->rows = r.rows;
    f->bytes = r.bytes;
    memcpy(f->sha256, r.sha256, SHA256_HEX);
    memcpy(f->content, r.content, SHA256_HEX);
    if (r.max_id > m->max_id) m->max_id = r.max_id;
    int code = l[split].out ? 0 : open_lengths(&l[split], g->folder, split, e);
    if (!code) code = add_lengths(&l[split], &r, e);
    free(r.lengths);
    return code;
}

int stage_manifest(stage *g, const char *const *names, size_t files, error *e) {
    const example_settings *x = &g->s.example;
    shard_manifest m = { .seq_length = x->seq_length, .max_predictions = x->max_predictions, .has_nsp = x->next_sentence,
                         .lowercase = g->s.words.lowercase, .strip_accents = g->s.words.strip_accents, .specials = g->s.words.specials, .seed = x->seed };
    lengths_file l[2] = {0};
    int code = 0;
    for (size_t i = 0; i < files && !code; i++) code = take_record(g, &m, names[i], l, e);
    for (int s = 0; s < 2; s++) code = close_lengths(&l[s], m.lengths_hash[s], e);
    m.options = build_options(&g->s);
    m.summary = build_summary_numbers(&g->s, g->sum);
    if (!code) code = shard_manifest_write_parts(&m, g->folder, (const uint16_t *const[2]){ NULL, NULL }, g->v, e);
    if (!code) code = shard_manifest_write(&m, g->folder, e);
    shard_manifest_free(&m);
    return code;
}
