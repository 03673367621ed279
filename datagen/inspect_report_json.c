/* datagen/inspect_report_json.c - see inspect_report.h: the JSON. Keys: docs/data-format.md, "bert-inspect --json". */
#include "datagen/inspect_report.h"
#include "base/fail.h"

static const char *const strip_names[] = { "auto", "yes", "no" };
static const char *const split_names[] = { "training", "test" };

static void set_count(json *o, const char *key, uint64_t n) { json_set_int(o, key, (int64_t)n); }

static void set_share(json *o, const char *key, uint64_t part, uint64_t whole) {
    if (whole) json_set_real(o, key, (double)part / (double)whole);
    else json_set_null(o, key);
}

static void add_folder(const shard_report *r, json *out) {
    const shard_manifest *m = r->m;
    json *words = json_new_object(), *files = json_new_array();
    set_count(words, "tokens", m->vocab_size);
    json_set_string(words, "sha256", m->vocab_hash);
    json_set_bool(words, "lowercase", m->lowercase);
    json_set_string(words, "strip_accents", strip_names[m->strip_accents]);
    json_set(out, "vocabulary", words);
    json_set_string(out, "content_sha256", r->content);
    set_count(out, "seed", m->seed);
    json_set_int(out, "max_id", m->max_id);
    if (m->options) json_set(out, "options", json_copy(m->options));
    if (m->summary) json_set(out, "summary", json_copy(m->summary));
    for (size_t i = 0; i < m->files; i++) {
        json *f = json_new_object();
        json_set_string(f, "name", m->file[i].name);
        json_set_string(f, "split", split_names[m->file[i].split]);
        set_count(f, "rows", m->file[i].rows);
        set_count(f, "bytes", m->file[i].bytes);
        json_set_string(f, "sha256", m->file[i].sha256);
        json_append(files, f);
    }
    json_set(out, "files", files);
}

static void add_lengths(json *o, const length_summary *l, uint32_t seq_length) {
    json *lengths = json_new_object(), *bins = json_new_array();
    set_count(lengths, "shortest", l->shortest);
    set_count(lengths, "longest", l->longest);
    set_count(lengths, "median", l->median);
    set_share(lengths, "mean", l->tokens, l->rows);
    for (uint32_t i = 0; i < l->bins; i++) {
        json *bin = json_new_object();
        set_count(bin, "from", i * l->width + 1);
        set_count(bin, "to", (i + 1) * l->width < seq_length ? (i + 1) * l->width : seq_length);
        set_count(bin, "rows", l->bin[i]);
        json_append(bins, bin);
    }
    json_set(lengths, "histogram", bins);
    json_set(o, "lengths", lengths);
}

static void add_masks(json *o, const row_stats *s, bool known) {
    json *masks = json_new_object();
    set_count(masks, "tokens", s->masked);
    set_share(masks, "share", s->masked, s->tokens);
    if (known) set_share(masks, "as_mask", s->as_mask, s->masked);
    set_share(masks, "as_itself", s->as_itself, s->masked);
    if (known) set_share(masks, "as_other", s->masked - s->as_mask - s->as_itself, s->masked);
    json_set(o, "masked", masks);
}

static json *split_of(const shard_report *r, int split) {
    const row_stats *s = &r->stats[split];
    json *o = json_new_object();
    set_count(o, "rows", r->rows[split]);
    if (r->lengths[split]) {
        length_summary l;
        length_summarize(&l, r->lengths[split], r->rows[split], r->shape.seq_length);
        set_count(o, "tokens", l.tokens);
        set_share(o, "filled", l.tokens, l.rows * r->shape.seq_length);
        if (r->detailed) add_lengths(o, &l, r->shape.seq_length);
    }
    if (r->detailed) add_masks(o, s, r->words.mask >= 0);
    if (r->verified && r->shape.has_nsp) {
        json *labels = json_new_array();
        for (int i = 0; i < 2; i++) json_append(labels, json_new_int((int64_t)s->label[i]));
        json_set(o, "labels", labels);
    }
    if (r->verified && r->words.unk >= 0) {
        set_count(o, "unknown_tokens", s->unknown);
        set_share(o, "unknown_share", s->unknown, s->words);
    }
    return o;
}

void shard_report_json(const shard_report *r, json *out) {
    json_set_string(out, "path", r->path);
    json_set_string(out, "kind", r->m ? "shards" : "shard");
    set_count(out, "seq_length", r->shape.seq_length);
    set_count(out, "max_predictions", r->shape.max_predictions);
    json_set_bool(out, "next_sentence", r->shape.has_nsp);
    if (r->m) add_folder(r, out);
    for (int s = 0; s < 2; s++) if (r->rows[s]) json_set(out, split_names[s], split_of(r, s));
    json_set_bool(out, "verified", r->verified);
    if (!r->verified) return;
    set_count(out, "repeated_rows", r->repeats.rows.repeated);
    set_count(out, "repeated_texts", r->repeats.texts.repeated);
    if (r->rows[0] && r->rows[1]) set_count(out, "test_texts_in_training", r->repeats.texts.shared);
}
