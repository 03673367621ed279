/* datagen/shard_record.c - what the manifest says of the making: options that decide the bytes, and numbers of the text. */
#include "datagen/corpus.h"
#include "datagen/shard_build.h"

json *build_options(const build_settings *s) {
    static const char *const invalid[] = { "fail", "replace", "skip" };
    json *o = json_new_object();
    json_set_int(o, "duplicates", s->duplicates);
    json_set_real(o, "mask_prob", s->example.mask_prob);
    json_set_bool(o, "split_sentences", s->text.split_sentences);
    json_set_string(o, "invalid_utf8", invalid[s->invalid]);
    if (s->text.json_key) json_set_string(o, "json_key", s->text.json_key);
    if (s->google) json_set_string(o, "compat", "google");
    if (s->example.sentence_order) json_set_bool(o, "sentence_order", true);
    if (s->example.short_seq_prob > 0) json_set_real(o, "short_seq_prob", s->example.short_seq_prob);
    if (s->example.whole_words) json_set_bool(o, "whole_word_masking", true);
    if (s->shards) json_set_int(o, "shards", s->shards);
    if (s->eval_fraction > 0) json_set_real(o, "eval_fraction", s->eval_fraction);
    if (s->min_tokens) json_set_int(o, "min_tokens", (int64_t)s->min_tokens);
    if (s->deduplicate) json_set_bool(o, "deduplicate", true);
    return o;
}

json *build_summary_numbers(const build_settings *s, const build_summary *b) {
    json *o = json_new_object();
    json_set_int(o, "documents", (int64_t)b->documents);
    json_set_int(o, "segments", (int64_t)b->segments);
    json_set_int(o, "text_bytes", (int64_t)b->bytes);
    json_set_int(o, "tokens", (int64_t)b->tokens);
    json_set_int(o, "unknown_tokens", (int64_t)b->unknown);
    json_set_int(o, "segments_left_out", (int64_t)b->skipped);
    json_set_int(o, "rows", (int64_t)b->rows);
    json_set_int(o, s->example.sentence_order ? "swapped_rows" : "random_next_rows", (int64_t)b->random_next);
    json_set_int(o, "tokens_used", (int64_t)b->used);
    json_set_real(o, "fill", (double)b->filled / ((double)b->rows * s->example.seq_length));
    if (s->eval_fraction > 0) {
        json_set_int(o, "test_documents", (int64_t)b->test_documents);
        json_set_int(o, "test_rows", (int64_t)b->test_rows);
    }
    if (s->min_tokens) json_set_int(o, "short_documents_left_out", (int64_t)b->short_documents);
    if (s->deduplicate) json_set_int(o, "equal_documents_left_out", (int64_t)b->equal_documents);
    if (s->min_tokens || s->deduplicate) json_set_int(o, "tokens_left_out", (int64_t)b->left_out);
    return o;
}
