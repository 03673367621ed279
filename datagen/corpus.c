/* datagen/corpus.c - see corpus.h. */
#include <stdlib.h>
#include <string.h>
#include "datagen/corpus.h"

unsigned char *corpus_continuations(const vocab *v) {
    unsigned char *continues = must_zalloc(vocab_size(v), 1);
    for (size_t i = 0; i < vocab_size(v); i++) {
        const char *text = vocab_token(v, (int32_t)i);
        continues[i] = text[0] == '#' && text[1] == '#' && text[2] != '\0';
    }
    return continues;
}

static void push(uint64_t **list, size_t *count, size_t *capacity, uint64_t value) {
    if (*count == *capacity) *list = must_realloc(*list, *capacity = *capacity ? 2 * *capacity : 1024, sizeof **list);
    (*list)[(*count)++] = value;
}

/* Both lists keep one entry more than counted: the end of the last. */
static void set_end(uint64_t **list, size_t *count, size_t *capacity, uint64_t value) {
    push(list, count, capacity, value);
    --*count;
}

void corpus_init(corpus *c, unsigned char *continues) {
    *c = (corpus){ .continues = continues };
    set_end(&c->segment, &c->segments, &c->segment_capacity, 0);
    set_end(&c->document, &c->documents, &c->document_capacity, 0);
}

void corpus_free(corpus *c) {
    free(c->token.id);
    free(c->segment);
    free(c->document);
    free(c->continues);
    *c = (corpus){0};
}

document_view corpus_document(const corpus *c, uint64_t d, uint64_t from) {
    size_t first = c->document[d] + from;
    return (document_view){ c->token.id, c->segment + first, c->document[d + 1] - first, true, c->continues };
}

void corpus_add_segment(corpus *c, size_t from, size_t longest) {
    size_t end = c->token.count;
    while (from < end) {
        size_t cut = end;
        if (end - from > longest) {
            document_view d = { .token = c->token.id, .continues = c->continues };
            cut = document_word_start(&d, from, from + longest);
            if (cut == from) cut = from + longest;             /* one word, longer than a segment: cut at its pieces */
        }
        c->segments++;                                         /* its start is the end entry already there */
        set_end(&c->segment, &c->segments, &c->segment_capacity, cut);
        from = cut;
    }
}

void corpus_end_piece(corpus *c) {
    c->documents++;
    set_end(&c->document, &c->documents, &c->document_capacity, c->segments);
}

void corpus_end_document(corpus *c) {
    if (c->document[c->documents] != c->segments) corpus_end_piece(c);
}

void corpus_drop_last(corpus *c) {
    c->segments = (size_t)c->document[c->documents];
    c->token.count = (size_t)c->segment[c->segments];
}

void corpus_clear(corpus *c) {
    c->documents = c->segments = 0;
    c->token.count = 0;
    c->text_segments = c->text_bytes = c->unknown = c->skipped = 0;
}

int corpus_read(corpus *c, text_stream *t, tokenizer *k, int32_t unk, size_t longest, int invalid, corpus_progress *progress, error *e) {
    const char *line;
    size_t bytes, bad;
    bool last;
    int got;
    while ((got = text_stream_line(t, &line, &bytes, &last, e)) > 0) {
        size_t from = c->token.count;
        if (invalid != INVALID_REPLACE && !utf8_valid(line, bytes, &bad)) {
            if (invalid == INVALID_FAIL) return text_invalid(text_stream_file(t), text_stream_line_number(t), line[bad], e);
            c->skipped++;
        } else {
            tokenizer_encode(k, line, bytes, &c->token);
            for (size_t i = from; i < c->token.count; i++) c->unknown += c->token.id[i] == unk;
            c->text_segments++;
            c->text_bytes += bytes;
            corpus_add_segment(c, from, longest);
        }
        if (last) {
            corpus_end_document(c);
            if (progress) progress(c, t);
        }
    }
    c->skipped += text_stream_left_out(t);
    return got < 0 ? e->code : 0;
}
