/* datagen/row_stats.c - see row_stats.h. */
#include "datagen/row_stats.h"
#include <string.h>
#include "base/sha256.h"

row_words row_words_of(const vocab *v) {
    return v ? (row_words){vocab_unk(v), vocab_cls(v), vocab_sep(v), vocab_mask(v)} : (row_words){-1, -1, -1, -1};
}

static uint32_t tokens_of(const shard_rows *r, size_t row, uint32_t S) {
    uint32_t n = 0;
    while (n < S && r->input_mask[row * S + n]) n++;
    return n;
}

static uint32_t predictions_of(const shard_rows *r, size_t row, uint32_t P) {
    uint32_t n = 0;
    while (n < P && r->positions[row * P + n]) n++;
    return n;
}

void row_stats_add(row_stats *s, const shard_rows *r, uint32_t S, uint32_t P, const row_words *words) {
    for (size_t row = 0; row < r->count; row++) {
        const int32_t *id = r->input_ids + row * S, *position = r->positions + row * P, *label = r->labels + row * P;
        uint32_t length = tokens_of(r, row, S), masked = predictions_of(r, row, P);
        s->rows++;
        s->tokens += length;
        s->masked += masked;
        s->label[r->next_sentence[row]]++;
        for (uint32_t i = 0, p = 0; i < length; i++) {
            bool here = p < masked && (uint32_t)position[p] == i;
            int32_t was = here ? label[p++] : id[i];
            if (here) {
                s->as_mask += id[i] == words->mask;
                s->as_itself += id[i] == was;
            }
            s->words += was != words->cls && was != words->sep;
            s->unknown += was == words->unk;
        }
    }
}

void row_repeats_init(row_repeats *d) {
    digests_init(&d->rows, 0);
    digests_init(&d->texts, 0);
}

void row_repeats_free(row_repeats *d) {
    digests_free(&d->rows);
    digests_free(&d->texts);
}

int row_repeats_add(row_repeats *d, const shard_rows *r, uint32_t S, uint32_t P, enum shard_split split, error *e) {
    for (size_t row = 0; row < r->count; row++) {
        const int32_t *id = r->input_ids + row * S, *position = r->positions + row * P, *label = r->labels + row * P;
        uint32_t length = tokens_of(r, row, S), masked = predictions_of(r, row, P);
        unsigned char hash[SHA256_BYTES];
        sha256 text, whole;
        sha256_init(&text);
        for (uint32_t i = 0, p = 0, from = 0; i <= length; i++) {       /* stretches between predictions as they are, then what stood there */
            bool here = p < masked && (uint32_t)position[p] == i;
            if (!here && i < length) continue;
            sha256_add(&text, id + from, (i - from) * sizeof *id);
            if (here) sha256_add(&text, &label[p++], sizeof *label);
            from = i + 1;
        }
        sha256_add(&text, r->segment_ids + row * S, length);
        whole = text;
        sha256_end(&text, hash);
        if (digests_add(&d->texts, hash, split, e)) return e->code;
        sha256_add(&whole, id, length * sizeof *id);
        sha256_add(&whole, position, masked * sizeof *position);
        sha256_add(&whole, &r->next_sentence[row], 1);
        sha256_end(&whole, hash);
        if (digests_add(&d->rows, hash, split, e)) return e->code;
    }
    return 0;
}

int row_repeats_count(row_repeats *d, row_repeat_counts *out, error *e) {
    return digests_count(&d->rows, &out->rows, e) || digests_count(&d->texts, &out->texts, e) ? e->code : 0;
}
