/* datagen/tokenizer.c - text to ids: special tokens first, then normaliser, cache and WordPiece. */
#include "datagen/tokenizer.h"
#include <stdlib.h>
#include <string.h>
#include "datagen/normalizer.h"
#include "datagen/vocab_table.h"
#include "datagen/word_cache.h"
#include "datagen/wordpiece.h"

struct tokenizer {
    const vocab *vocab;
    bool keep_specials;
    normalizer normalizer;
    word_cache cache;
    token_list *out;               /* of the call under way */
};

static int32_t *room_for(token_list *l, size_t more) {
    if (l->count + more > l->capacity) {
        l->capacity = 2 * l->capacity > l->count + more ? 2 * l->capacity : l->count + more + 256;
        l->id = must_realloc(l->id, l->capacity, sizeof *l->id);
    }
    return l->id + l->count;
}

static void encode_word(void *context, const char *word, size_t bytes, size_t characters) {
    tokenizer *t = context;
    token_list *out = t->out;
    int32_t *id = room_for(out, WORD_CHARACTERS);
    if (characters > WORD_CHARACTERS) {
        id[0] = t->vocab->unk;
        out->count++;
        return;
    }
    uint64_t hash = word_hash_padded(word, bytes);
    const word_entry *known = word_cache_find(&t->cache, hash, word, bytes);
    if (!known) {
        size_t count = wordpiece_split(t->vocab, word, bytes, id);
        word_cache_keep(&t->cache, hash, word, bytes, id, count);
        out->count += count;
    } else {
        const int32_t *ids = word_cache_ids(&t->cache, known);
        id[0] = ids[0];
        if (known->count > 1) memcpy(id + 1, ids + 1, (known->count - 1u) * sizeof *id);
        out->count += known->count;
    }
}

tokenizer *tokenizer_new(const vocab *v, tokenizer_settings settings) {
    tokenizer *t = must_zalloc(1, sizeof *t);
    bool strip = settings.strip_accents == STRIP_AUTO ? settings.lowercase : settings.strip_accents == STRIP_YES;
    t->vocab = v;
    t->keep_specials = settings.specials == SPECIALS_KEEP;
    normalizer_init(&t->normalizer, settings.lowercase, strip, encode_word, t);
    word_cache_init(&t->cache);
    return t;
}

void tokenizer_free(tokenizer *t) {
    if (!t) return;
    normalizer_free(&t->normalizer);
    word_cache_free(&t->cache);
    free(t);
}

/* The special token that stands at text, or -1. No special token is the beginning of another. */
static int32_t special_at(const vocab *v, const char *text, size_t bytes, size_t *length) {
    const int32_t id[] = {VOCAB_PAD, v->unk, v->cls, v->sep, v->mask_id};
    for (size_t i = 0; i < sizeof id / sizeof *id; i++) {
        const char *token = vocab_token(v, id[i]);
        *length = v->start[id[i] + 1] - v->start[id[i]] - 1;
        if (*length <= bytes && !memcmp(text, token, *length)) return id[i];
    }
    return -1;
}

void tokenizer_encode(tokenizer *t, const char *text, size_t bytes, token_list *out) {
    const char *end = text + bytes;
    t->out = out;
    for (const char *p = text; t->keep_specials && p < end && (p = memchr(p, '[', (size_t)(end - p)));) {
        size_t length;
        int32_t id = special_at(t->vocab, p, (size_t)(end - p), &length);
        if (id < 0) { p++; continue; }
        normalizer_text(&t->normalizer, text, (size_t)(p - text));
        *room_for(out, 1) = id;
        out->count++;
        text = p += length;
    }
    normalizer_text(&t->normalizer, text, (size_t)(end - text));
}
