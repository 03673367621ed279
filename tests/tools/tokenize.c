/* tests/tools/tokenize.c - the tokenizer on records that may hold any byte.
 *
 *     tokenize VOCAB cased|uncased auto|yes|no keep|split < records > ids
 *     tokenize VOCAB cased|uncased google < records > ids                    by the rules of google-research/bert
 *
 * A record is its bytes' number (4 bytes, little-endian) and the bytes; the answer the ids' number and the ids, 4 bytes each. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "datagen/google_tokenizer.h"
#include "datagen/tokenizer.h"

int main(int argc, char **argv) {
    error e = {0};
    vocab *v;
    fail_init("tokenize");
    bool google = argc == 4 && !strcmp(argv[3], "google");
    if (argc != 5 && !google) fail(EXIT_USAGE, "usage: tokenize VOCAB cased|uncased google | auto|yes|no keep|split");
    if (vocab_load(&v, argv[1], &e)) return error_print(&e);
    tokenizer_settings s = {!strcmp(argv[2], "uncased"), !strcmp(argv[3], "yes") ? STRIP_YES : !strcmp(argv[3], "no") ? STRIP_NO : STRIP_AUTO,
                            !google && !strcmp(argv[4], "keep") ? SPECIALS_KEEP : SPECIALS_SPLIT};
    tokenizer *t = tokenizer_new(v, s);
    google_tokenizer *g = google_tokenizer_new(v, s.lowercase);
    token_list ids = {0};
    char *text = NULL;
    for (uint32_t bytes; fread(&bytes, sizeof bytes, 1, stdin) == 1;) {
        text = must_realloc(text, (size_t)bytes + 1, 1);
        if (fread(text, 1, bytes, stdin) != bytes) fail(EXIT_USAGE, "a record is cut off");
        ids.count = 0;
        if (google) google_tokenizer_encode(g, text, bytes, &ids);
        else tokenizer_encode(t, text, bytes, &ids);
        uint32_t count = (uint32_t)ids.count;
        fwrite(&count, sizeof count, 1, stdout);
        fwrite(ids.id, sizeof *ids.id, ids.count, stdout);
    }
    free(ids.id);
    free(text);
    tokenizer_free(t);
    google_tokenizer_free(g);
    vocab_free(v);
    return fflush(stdout) || ferror(stdout) ? EXIT_MACHINE : EXIT_DONE;
}
