/* datagen/shard_journal.c - see shard_journal.h. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/files.h"
#include "datagen/shard_journal.h"

static const char format[] = "bert-shard-done %64[0-9a-f] %" SCNu64 " %" SCNu64 " %" SCNd64 " %64[0-9a-f] %64[0-9a-f] %64[0-9a-f]";
enum { LONGEST_HEAD = 512 };

static char *done_path(const char *folder, const char *file) { return must_format("%s/%s" SHARD_JOURNAL_ENDING, folder, file); }

static void hash_of(const void *data, size_t bytes, char hex[SHA256_HEX]) {
    sha256 h;
    sha256_init(&h);
    sha256_add(&h, data, bytes);
    sha256_end_hex(&h, hex);
}

int shard_journal_write(const char *folder, const char *file, const char *identity, const finished_shard *r, error *e) {
    unsigned char *bytes = must_alloc(r->rows, 2);
    char hex[SHA256_HEX];
    for (uint64_t i = 0; i < r->rows; i++) {
        bytes[2 * i] = (unsigned char)(r->lengths[i] & 0xFF);
        bytes[2 * i + 1] = (unsigned char)(r->lengths[i] >> 8);
    }
    hash_of(bytes, 2 * r->rows, hex);
    char *head = must_format("bert-shard-done %s %" PRIu64 " %" PRIu64 " %" PRId64 " %s %s %s\n", identity, r->rows, r->bytes, r->max_id, r->sha256,
                             r->content, hex), *path = done_path(folder, file);
    size_t n = strlen(head);
    char *whole = must_alloc(n + 2 * r->rows, 1);
    memcpy(whole, head, n);
    memcpy(whole + n, bytes, 2 * r->rows);
    int code = files_write_synced(path, whole, n + 2 * r->rows, e);   /* one that is cut short tells by its hash */
    free(whole);
    free(path);
    free(head);
    free(bytes);
    return code;
}

static int parse(const char *data, size_t bytes, const char *path, const char *identity, finished_shard *r, error *e) {
    char who[SHA256_HEX], hex[SHA256_HEX], now[SHA256_HEX], head[LONGEST_HEAD];
    const char *end = memchr(data, '\n', bytes < LONGEST_HEAD ? bytes : LONGEST_HEAD);
    if (!end) return error_set(e, EXIT_MACHINE, "%s: is not whole", path);
    size_t n = (size_t)(end - data);
    memcpy(head, data, n);
    head[n] = '\0';
    if (sscanf(head, format, who, &r->rows, &r->bytes, &r->max_id, r->sha256, r->content, hex) != 7 || strcmp(who, identity))
        return error_set(e, EXIT_MACHINE, "%s: is of other work", path);
    if (r->rows > bytes || bytes - n - 1 != 2 * r->rows) return error_set(e, EXIT_MACHINE, "%s: is not whole", path);
    const unsigned char *lengths = (const unsigned char *)end + 1;
    hash_of(lengths, bytes - n - 1, now);
    if (strcmp(now, hex)) return error_set(e, EXIT_MACHINE, "%s: is not whole", path);
    r->lengths = must_alloc(r->rows, sizeof *r->lengths);
    for (uint64_t i = 0; i < r->rows; i++) r->lengths[i] = (uint16_t)(lengths[2 * i] | lengths[2 * i + 1] << 8);
    return 0;
}

int shard_journal_read(const char *folder, const char *file, const char *identity, finished_shard *r, error *e) {
    char *path = done_path(folder, file), *data = NULL;
    size_t bytes;
    *r = (finished_shard){0};
    int code = files_read(path, SIZE_MAX / 2, &data, &bytes, e);
    if (code) e->code = code = EXIT_MACHINE;
    else code = parse(data, bytes, path, identity, r, e);
    free(data);
    free(path);
    return code;
}

bool shard_journal_holds(const char *folder, const char *file, const char *identity, uint64_t rows) {
    finished_shard r;
    error ignored = {0};
    char *path = files_join(folder, file), hex[SHA256_HEX];
    uint64_t bytes;
    bool holds = !shard_journal_read(folder, file, identity, &r, &ignored);
    if (holds) {
        holds = r.rows == rows && !sha256_file(path, hex, &bytes, &ignored) && bytes == r.bytes && !strcmp(hex, r.sha256);
        free(r.lengths);
    }
    free(path);
    return holds;
}
