/* datagen/wordpiece_train.c - see wordpiece_train.h.
 *
 *     low x5, lower x2:   l ##o ##w, l ##o ##w ##e ##r     (l, ##o) 7 times -> lo;  (lo, ##w) 7 times -> low;  ... */
#include "datagen/wordpiece_train.h"
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include "datagen/pair_table.h"
#include "datagen/unicode_tables.h"
#include "datagen/utf8.h"
#include "datagen/word_cache.h"

static const char specials[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n";
enum { SPECIALS = 5 };

typedef struct piece { size_t at; uint32_t bytes; bool continues; } piece;     /* without its "##" */

typedef struct learner {
    const word_counts *counts;
    size_t *start;             /* of each word's symbols */
    uint32_t *symbol;          /* of all words; a word's symbols are followed by unused room once some have merged */
    uint8_t *length;           /* symbols of each word, at most WORD_CHARACTERS */
    piece *piece;              /* by symbol */
    size_t pieces, piece_room;
    char *text;                /* of the pieces */
    size_t text_used, text_room;
    uint32_t *slot;            /* open addressing by text: symbol + 1 */
    size_t slots;
    pair_table pairs;
} learner;

static uint64_t piece_hash(const char *spelling, size_t bytes, bool continues) { return word_hash(spelling, bytes) ^ (continues ? UINT64_C(0x5bd1e995) : 0); }

static size_t piece_slot(const learner *l, const char *spelling, size_t bytes, bool continues) {
    size_t i = piece_hash(spelling, bytes, continues) & (l->slots - 1);
    for (; l->slot[i]; i = (i + 1) & (l->slots - 1)) {
        const piece *p = &l->piece[l->slot[i] - 1];
        if (p->bytes == bytes && p->continues == continues && !memcmp(l->text + p->at, spelling, bytes)) break;
    }
    return i;
}

/* The symbol of a piece, made when it is new. Different merges can lead to the same piece. */
static uint32_t piece_of(learner *l, const char *spelling, size_t bytes, bool continues) {
    if (2 * l->pieces >= l->slots) {
        free(l->slot);
        l->slot = must_zalloc(l->slots *= 2, sizeof *l->slot);
        for (size_t k = 0; k < l->pieces; k++)
            l->slot[piece_slot(l, l->text + l->piece[k].at, l->piece[k].bytes, l->piece[k].continues)] = (uint32_t)k + 1;
    }
    size_t i = piece_slot(l, spelling, bytes, continues);
    if (l->slot[i]) return l->slot[i] - 1;
    while (l->text_used + bytes > l->text_room) l->text = must_realloc(l->text, l->text_room *= 2, 1);
    if (l->pieces == l->piece_room) l->piece = must_realloc(l->piece, l->piece_room *= 2, sizeof *l->piece);
    memcpy(l->text + l->text_used, spelling, bytes);
    l->piece[l->pieces] = (piece){l->text_used, (uint32_t)bytes, continues};
    l->text_used += bytes;
    l->slot[i] = (uint32_t)l->pieces + 1;
    return (uint32_t)l->pieces++;
}

typedef struct character { uint32_t code; uint64_t count; } character;

static int by_frequency(const void *a, const void *b) {
    const character *x = a, *y = b;
    return x->count != y->count ? (x->count < y->count) - (x->count > y->count) : (x->code > y->code) - (x->code < y->code);
}

/* allowed[c] = 1 for the `limit` most frequent characters (0: for all). */
static unsigned char *choose_characters(const word_counts *counts, size_t limit) {
    uint64_t *seen = must_zalloc(UNICODE_END, sizeof *seen);
    unsigned char *allowed = must_zalloc(UNICODE_END, 1);
    size_t used = 0;
    for (size_t w = 0; w < counts->count; w++) {
        const unsigned char *p = (const unsigned char *)counts->text + counts->word[w].text, *end = p + counts->word[w].bytes;
        while (p < end) {
            uint64_t *n = &seen[utf8_next(&p, end)];
            used += !*n;
            *n += counts->word[w].count;
        }
    }
    character *all = must_alloc(used, sizeof *all);
    used = 0;
    for (uint32_t c = 0; c < UNICODE_END; c++) if (seen[c]) all[used++] = (character){c, seen[c]};
    if (limit && limit < used) {
        qsort(all, used, sizeof *all, by_frequency);
        used = limit;
    }
    for (size_t i = 0; i < used; i++) allowed[all[i].code] = 1;
    free(all);
    free(seen);
    return allowed;
}

static bool can_be_spelled(const word_counts *counts, size_t w, const unsigned char *allowed) {
    const unsigned char *p = (const unsigned char *)counts->text + counts->word[w].text, *end = p + counts->word[w].bytes;
    while (p < end) if (!allowed[utf8_next(&p, end)]) return false;
    return true;
}

/* The alphabet in order of code points, first as beginnings, then as continuations. table: by code point * 2 + continues -> symbol + 1.
 * length[w] becomes 1 for words that the alphabet can spell, 0 for the others. */
static uint32_t *make_alphabet(learner *l, size_t limit, uint64_t *left_out) {
    unsigned char *allowed = choose_characters(l->counts, limit);
    uint32_t *table = must_zalloc(2 * UNICODE_END, sizeof *table);
    for (size_t w = 0; w < l->counts->count; w++) {
        const unsigned char *p = (const unsigned char *)l->counts->text + l->counts->word[w].text, *end = p + l->counts->word[w].bytes;
        l->length[w] = can_be_spelled(l->counts, w, allowed);
        if (!l->length[w]) *left_out += l->counts->word[w].count;
        for (bool first = true; l->length[w] && p < end; first = false) table[2 * utf8_next(&p, end) + !first] = 1;
    }
    for (uint32_t c = 0; c < UNICODE_END; c++) table[2 * c] = allowed[c];
    for (uint32_t continues = 0; continues < 2; continues++)
        for (uint32_t c = 0; c < UNICODE_END; c++) {
            char out[4];
            if (table[2 * c + continues]) table[2 * c + continues] = piece_of(l, out, utf8_put(out, c), continues) + 1;
        }
    free(allowed);
    return table;
}

static void cut_words(learner *l, const uint32_t *alphabet) {
    size_t used = 0;
    for (size_t w = 0; w < l->counts->count; w++) {
        const unsigned char *p = (const unsigned char *)l->counts->text + l->counts->word[w].text, *end = p + l->counts->word[w].bytes;
        l->start[w] = used;
        while (l->length[w] && p < end) {
            uint32_t c = utf8_next(&p, end);
            l->symbol[used] = alphabet[2 * c + (used > l->start[w])] - 1;
            used++;
        }
        l->length[w] = (uint8_t)(used - l->start[w]);
        for (size_t i = l->start[w]; i + 1 < used; i++)
            pair_table_add(&l->pairs, l->symbol[i], l->symbol[i + 1], (int64_t)l->counts->word[w].count, (uint32_t)w);
    }
}

/* In word w every (left, right) becomes `merged`; the counts of the pairs at its sides follow. */
static void merge_in_word(learner *l, uint32_t w, uint32_t left, uint32_t right, uint32_t merged) {
    uint32_t *s = l->symbol + l->start[w];
    int64_t n = (int64_t)l->counts->word[w].count;
    size_t length = l->length[w], kept = 0;
    for (size_t i = 0; i < length; i++) {
        if (i + 1 == length || s[i] != left || s[i + 1] != right) {
            s[kept++] = s[i];
            continue;
        }
        if (kept) {
            pair_table_add(&l->pairs, s[kept - 1], left, -n, w);
            pair_table_add(&l->pairs, s[kept - 1], merged, n, w);
        }
        if (i + 2 < length) {
            pair_table_add(&l->pairs, right, s[i + 2], -n, w);
            pair_table_add(&l->pairs, merged, s[i + 2], n, w);
        }
        s[kept++] = merged;
        i++;
    }
    l->length[w] = (uint8_t)kept;
}

static void merge(learner *l, size_t pair) {
    uint32_t left = (uint32_t)(l->pairs.pair[pair].key >> 32), right = (uint32_t)l->pairs.pair[pair].key;
    char joined[4 * 256];
    const piece a = l->piece[left], b = l->piece[right];
    memcpy(joined, l->text + a.at, a.bytes);
    memcpy(joined + a.bytes, l->text + b.at, b.bytes);
    uint32_t merged = piece_of(l, joined, a.bytes + b.bytes, a.continues), first = pair_table_places(&l->pairs, pair);
    for (uint32_t list = first; list; list = l->pairs.places[list].next)
        for (uint32_t i = 0; i < l->pairs.places[list].used; i++) merge_in_word(l, l->pairs.places[list].word[i], left, right, merged);
    pair_table_release(&l->pairs, first);
    l->pairs.pair[pair].count = 0;
    pair_table_settle(&l->pairs);
}

static void learner_init(learner *l, const word_counts *counts) {
    *l = (learner){.counts = counts, .piece_room = 1 << 12, .text_room = 1 << 15, .slots = 1 << 13};
    l->start = must_alloc(counts->count, sizeof *l->start);
    l->symbol = must_alloc(counts->text_used, sizeof *l->symbol);
    l->length = must_alloc(counts->count, 1);
    l->piece = must_alloc(l->piece_room, sizeof *l->piece);
    l->text = must_alloc(l->text_room, 1);
    l->slot = must_zalloc(l->slots, sizeof *l->slot);
    pair_table_init(&l->pairs);
}

static void learner_free(learner *l) {
    free(l->start);
    free(l->symbol);
    free(l->length);
    free(l->piece);
    free(l->text);
    free(l->slot);
    pair_table_free(&l->pairs);
}

static void print_vocab(const learner *l, wordpiece_result *out) {
    out->vocab = (text){0};
    text_add(&out->vocab, specials, strlen(specials));
    for (size_t k = 0; k < l->pieces; k++) {
        if (l->piece[k].continues) text_add(&out->vocab, "##", 2);
        text_add(&out->vocab, l->text + l->piece[k].at, l->piece[k].bytes);
        text_add(&out->vocab, "\n", 1);
    }
    out->tokens = SPECIALS + l->pieces;
}

int wordpiece_train(const word_counts *counts, const wordpiece_settings *settings, wordpiece_result *out, error *e) {
    if (!counts->count) return error_set(e, EXIT_USAGE, "the text holds no word to learn from");
    learner l;
    learner_init(&l, counts);
    out->left_out = 0;
    uint32_t *alphabet = make_alphabet(&l, settings->limit_alphabet, &out->left_out);
    int code = 0;
    out->alphabet = l.pieces;
    if (SPECIALS + l.pieces > settings->size) {
        code = error_set(e, EXIT_USAGE, "size %zu is too small: the special tokens and the characters of the text need %zu; "
                         "or keep fewer characters with --limit-alphabet", settings->size, SPECIALS + l.pieces);
    } else {
        cut_words(&l, alphabet);
        pair_table_settle(&l.pairs);
        int64_t least = settings->min_frequency > 1 ? settings->min_frequency : 1;
        for (int64_t best; SPECIALS + l.pieces < settings->size && (best = pair_table_take(&l.pairs, least)) >= 0;) merge(&l, (size_t)best);
        print_vocab(&l, out);
    }
    free(alphabet);
    learner_free(&l);
    return code;
}
