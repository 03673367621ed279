/* tests/tools/tokenize_speed.c - the tokenizer alone, one thread, for tests/bench/datagen.py.
 *
 *     tokenize_speed VOCAB cased|uncased TEXT...      prints "BYTES TOKENS SECONDS": all lines once, by a new tokenizer, text in memory */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/files.h"
#include "base/timer.h"
#include "datagen/tokenizer.h"

int main(int argc, char **argv) {
    error e = {0};
    vocab *v;
    char **text = must_alloc((size_t)argc, sizeof *text);
    size_t *bytes = must_alloc((size_t)argc, sizeof *bytes), all = 0, tokens = 0;
    fail_init("tokenize_speed");
    if (argc < 4) fail(EXIT_USAGE, "usage: tokenize_speed VOCAB cased|uncased TEXT...");
    if (vocab_load(&v, argv[1], &e)) return error_print(&e);
    for (int i = 3; i < argc; i++) if (files_read(argv[i], (size_t)1 << 40, &text[i], &bytes[i], &e)) return error_print(&e);
    tokenizer *t = tokenizer_new(v, (tokenizer_settings){ .lowercase = !strcmp(argv[2], "uncased") });
    token_list ids = {0};
    double began = timer_now();
    for (int i = 3; i < argc; i++) {
        for (const char *line = text[i], *end = line + bytes[i]; line < end; ) {
            const char *stop = memchr(line, '\n', (size_t)(end - line));
            if (!stop) stop = end;
            ids.count = 0;
            tokenizer_encode(t, line, (size_t)(stop - line), &ids);
            tokens += ids.count;
            line = stop + 1;
        }
        all += bytes[i];
    }
    printf("%zu %zu %.6f\n", all, tokens, timer_now() - began);
    free(ids.id);
    for (int i = 3; i < argc; i++) free(text[i]);
    free(text), free(bytes);
    tokenizer_free(t);
    vocab_free(v);
    return fflush(stdout) ? EXIT_MACHINE : EXIT_DONE;
}
