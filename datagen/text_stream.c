/* datagen/text_stream.c - see text_stream.h. Bytes come up through three steps: file (fill), content (pull: plain, gzip, zstd), line (next_line);
 * documents() makes segments of lines, one ahead, so that a segment can say whether it is its document's last. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>
#include "base/json.h"
#include "datagen/json_text.h"
#include "datagen/sentences.h"
#include "datagen/text_paths.h"
#include "datagen/text_stream.h"

enum { INPUT_BYTES = 1 << 18, OUTPUT_BYTES = 1 << 18 };
static const size_t longest_line = (size_t)256 << 20;

enum content { CONTENT_PLAIN, CONTENT_GZIP, CONTENT_ZSTD };
typedef struct buffer { char *data; size_t bytes, capacity; } buffer;

struct text_stream {
    text_settings settings;
    text_paths paths;
    size_t next_path;
    int fd;                               /* -1 = no file open */
    const char *name;                     /* of the file open last */
    size_t line_number;
    bool json, file_end;                  /* file_end: content is at its end */
    enum content content;
    z_stream gzip;
    ZSTD_DStream *zstd;
    bool inside;                          /* in the middle of a gzip member or a zstd frame */
    unsigned char *input;                 /* from disk */
    size_t input_at, input_bytes;
    char *output;                         /* decompressed; plain content is handed from `input` */
    const char *at, *at_end;              /* content not yet taken */
    buffer line;                          /* a line that spans two pulls */
    uint64_t bytes_read;
    const char *rest, *rest_end;          /* of the paragraph (or JSON text) being cut */
    uint64_t left_out;
    json *object;                         /* owner of the text being cut, or NULL */
    buffer ahead, given;                  /* the segment read ahead and the one returned */
    bool have_ahead;
    size_t ahead_line, given_line;
    const char *ahead_file, *given_file;
};

static void keep(buffer *b, const char *data, size_t bytes) {
    if (b->bytes + bytes > b->capacity) b->data = must_realloc(b->data, b->capacity = 2 * (b->bytes + bytes) + 256, 1);
    memcpy(b->data + b->bytes, data, bytes);
    b->bytes += bytes;
}

int text_stream_open(text_stream **out, char *const *paths, size_t count, const text_settings *settings, error *e) {
    text_paths found;
    *out = NULL;
    if (text_paths_find(&found, paths, count, e)) return e->code;
    text_stream *t = must_zalloc(1, sizeof *t);
    t->settings = *settings;
    t->paths = found;
    t->fd = -1;
    t->input = must_alloc(INPUT_BYTES, 1);
    t->output = must_alloc(OUTPUT_BYTES, 1);
    *out = t;
    return 0;
}

static void close_file(text_stream *t) {
    if (t->content == CONTENT_GZIP) inflateEnd(&t->gzip);
    t->content = CONTENT_PLAIN;
    if (t->fd > 0) close(t->fd);
    t->fd = -1;
}

void text_stream_close(text_stream *t) {
    if (!t) return;
    close_file(t);
    ZSTD_freeDStream(t->zstd);
    json_free(t->object);
    text_paths_free(&t->paths);
    free(t->input);
    free(t->output);
    free(t->line.data);
    free(t->ahead.data);
    free(t->given.data);
    free(t);
}

/* Reads on from disk behind what is there; 0 with no new bytes = end of file. */
static int fill(text_stream *t, error *e) {
    if (t->input_at == t->input_bytes) t->input_at = t->input_bytes = 0;
    while (t->input_bytes < INPUT_BYTES) {
        if (t->settings.stop && *t->settings.stop) return error_set(e, EXIT_MACHINE, "%s: reading was interrupted", t->name);
        ssize_t n = read(t->fd, t->input + t->input_bytes, INPUT_BYTES - t->input_bytes);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return error_set(e, EXIT_MACHINE, "%s: reading failed: %s", t->name, strerror(errno));
        if (n == 0) break;
        t->input_bytes += (size_t)n;
        t->bytes_read += (uint64_t)n;
    }
    return 0;
}

static int damaged(const text_stream *t, const char *what, error *e) {
    return error_set(e, EXIT_USAGE, "%s: compressed text is damaged near its line %zu: %s; fetch or compress it again", t->name, t->line_number + 1, what);
}

static bool ends_with(const char *name, const char *end) {
    size_t a = strlen(name), b = strlen(end);
    return a >= b && !strcmp(name + a - b, end);
}

/* What is no text and often met: better said than read. */
static int refuse_other(const text_stream *t, error *e) {
    static const struct { const char *what, *use; size_t at; const char *magic; } known[] = {
        { "xz", "xz -dc", 0, "\xFD" "7zXZ" }, { "bzip2", "bzip2 -dc", 4, "1AY&SY" }, { "zip", "unzip -p", 0, "PK\003\004" },
        { "Parquet", NULL, 0, "PAR1\x15" }, { "HDF5", NULL, 0, "\211HDF" },
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        size_t n = strlen(known[i].magic);
        if (t->input_bytes < known[i].at + n || memcmp(t->input + known[i].at, known[i].magic, n)) continue;
        const char *what = known[i].what;
        if (known[i].use)
            return error_set(e, EXIT_USAGE, "%s: is compressed with %s, which is not read; pipe its text in: %s FILE | ... -", t->name, what, known[i].use);
        return error_set(e, EXIT_USAGE, "%s: is a %s file, no text; docs/data-format.md tells how to pipe its text in", t->name, what);
    }
    return 0;
}

/* Opens the next file and tells its content by its first bytes. */
static int open_next(text_stream *t, error *e) {
    t->name = t->paths.name[t->next_path++];
    bool standard = !strcmp(t->name, "-");
    t->fd = standard ? 0 : open(t->name, O_RDONLY | O_CLOEXEC);
    if (t->fd < 0) return error_set(e, EXIT_USAGE, "%s: cannot be read: %s", t->name, strerror(errno));
    t->line_number = 0;
    t->file_end = t->inside = false;
    t->at = t->at_end = NULL;
    t->input_at = t->input_bytes = 0;
    t->json = standard ? t->settings.json_key != NULL
                       : ends_with(t->name, ".jsonl") || ends_with(t->name, ".jsonl.gz") || ends_with(t->name, ".jsonl.zst");
    if (standard) t->name = "standard input";
    if (fill(t, e)) return e->code;
    const unsigned char *b = t->input;
    if (t->input_bytes >= 2 && b[0] == 0x1F && b[1] == 0x8B) {
        memset(&t->gzip, 0, sizeof t->gzip);
        if (inflateInit2(&t->gzip, 15 + 16) != Z_OK) return error_set(e, EXIT_MACHINE, "%s: no memory to decompress", t->name);
        t->content = CONTENT_GZIP;
        t->inside = true;
    } else if (t->input_bytes >= 4 && ((b[0] == 0x28 && b[1] == 0xB5 && b[2] == 0x2F && b[3] == 0xFD)
                                       || ((b[0] & 0xF0) == 0x50 && b[1] == 0x2A && b[2] == 0x4D && b[3] == 0x18))) {
        if (!t->zstd) t->zstd = ZSTD_createDStream();
        if (!t->zstd || ZSTD_isError(ZSTD_initDStream(t->zstd))) return error_set(e, EXIT_MACHINE, "%s: no memory to decompress", t->name);
        t->content = CONTENT_ZSTD;
    } else return refuse_other(t, e);
    return 0;
}

/* One step of gzip: output bytes into *made. Between members only a new member or zero padding may stand. */
static int pull_gzip(text_stream *t, size_t *made, error *e) {
    while (!t->inside && t->input_at < t->input_bytes) {
        if (t->input[t->input_at] == 0) { t->input_at++; continue; }
        if (inflateReset(&t->gzip) != Z_OK) return damaged(t, "no new member can begin", e);
        t->inside = true;
    }
    if (!t->inside) return 0;
    t->gzip.next_in = t->input + t->input_at;
    t->gzip.avail_in = (uInt)(t->input_bytes - t->input_at);
    t->gzip.next_out = (Bytef *)t->output;
    t->gzip.avail_out = OUTPUT_BYTES;
    int got = inflate(&t->gzip, Z_NO_FLUSH);
    t->input_at = t->input_bytes - t->gzip.avail_in;
    *made = OUTPUT_BYTES - t->gzip.avail_out;
    if (got == Z_STREAM_END) t->inside = false;
    else if (got != Z_OK && got != Z_BUF_ERROR) return damaged(t, t->gzip.msg ? t->gzip.msg : "not gzip", e);
    return 0;
}

static int pull_zstd(text_stream *t, size_t *made, error *e) {
    ZSTD_inBuffer in = { t->input, t->input_bytes, t->input_at };
    ZSTD_outBuffer out = { t->output, OUTPUT_BYTES, 0 };
    if (in.pos == in.size && !t->inside) return 0;
    size_t got = ZSTD_decompressStream(t->zstd, &out, &in);
    if (ZSTD_isError(got)) return damaged(t, ZSTD_getErrorName(got), e);
    t->input_at = in.pos;
    t->inside = got != 0;
    *made = out.pos;
    return 0;
}

/* Makes [at, at_end) non-empty or sets file_end. */
static int pull(text_stream *t, error *e) {
    while (t->at == t->at_end && !t->file_end) {
        bool dry = t->input_at == t->input_bytes;
        if (dry && fill(t, e)) return e->code;
        bool ended = dry && t->input_at == t->input_bytes;
        if (t->content == CONTENT_PLAIN) {
            t->at = (const char *)t->input + t->input_at;
            t->at_end = (const char *)t->input + t->input_bytes;
            t->input_at = t->input_bytes;
            t->file_end = ended;
            continue;
        }
        size_t made = 0;
        if (t->content == CONTENT_GZIP ? pull_gzip(t, &made, e) : pull_zstd(t, &made, e)) return e->code;
        t->at = t->output;
        t->at_end = t->output + made;
        if (ended && !made) {
            if (t->inside) return damaged(t, "it ends too early", e);
            t->file_end = true;
        }
    }
    return 0;
}

/* 1 = a line without its \n, 0 = the file's end. Borrowed until the next call. */
static int next_line(text_stream *t, const char **line, size_t *bytes, error *e) {
    t->line.bytes = 0;
    for (;;) {
        if (pull(t, e)) return -1;
        if (t->at == t->at_end) {                                 /* the file's end: a last line may lack its \n */
            if (!t->line.bytes) return 0;
            break;
        }
        const char *end = memchr(t->at, '\n', (size_t)(t->at_end - t->at));
        size_t n = (size_t)((end ? end : t->at_end) - t->at);
        if (t->line.bytes + n > longest_line) {
            error_set(e, EXIT_USAGE, "%s:%zu: a line of more than %zu MiB; put one sentence or paragraph on a line", t->name, t->line_number + 1,
                      longest_line >> 20);
            return -1;
        }
        if (end && !t->line.bytes) {
            *line = t->at;
            *bytes = n;
            t->at = end + 1;
            t->line_number++;
            return 1;
        }
        keep(&t->line, t->at, n);
        t->at += n + (end != NULL);
        if (end) break;
    }
    t->line_number++;
    *line = t->line.data;
    *bytes = t->line.bytes;
    return 1;
}

int text_stream_raw(text_stream *t, const char **line, size_t *bytes, error *e) {
    for (;;) {
        if (t->fd < 0) {
            if (t->next_path == t->paths.count) return 0;
            if (open_next(t, e)) return -1;
        }
        int got = next_line(t, line, bytes, e);
        t->given_file = t->name;
        t->given_line = t->line_number;
        if (got) return got;
        close_file(t);
    }
}

static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

int text_invalid(const char *file, size_t line_number, char byte, error *e) {
    if (byte == '\\')
        return error_set(e, EXIT_USAGE, "%s:%zu: \\u0000 or half a surrogate pair in JSON text; mend it, or use --invalid-utf8 replace or skip", file,
                         line_number);
    return error_set(e, EXIT_USAGE, "%s:%zu: invalid UTF-8 (byte 0x%02X); convert the text, or use --invalid-utf8 replace or skip", file, line_number,
                     (unsigned char)byte);
}

/* The text of a JSON line, to be cut into segments; none when the line is left out. */
static int open_json(text_stream *t, const char *line, size_t bytes, error *e) {
    size_t bad;
    char *repaired = NULL;
    if (!json_text_valid(line, bytes, &bad)) {
        if (t->settings.invalid == INVALID_FAIL) return text_invalid(t->name, t->line_number, line[bad], e);
        if (t->settings.invalid == INVALID_SKIP) {
            t->left_out++;
            return 0;
        }
        line = repaired = json_text_repair(line, bytes, &bytes);
    }
    const char *text, *key = t->settings.json_key ? t->settings.json_key : "text";
    char *where = must_format("%s:%zu", t->name, t->line_number);
    int code = json_parse(&t->object, line, bytes, where, e);
    if (code) t->object = NULL;
    if (!code && json_kind_of(t->object) != JSON_KIND_OBJECT) code = error_set(e, EXIT_USAGE, "%s: not a JSON object; one per line is needed", where);
    if (!code) code = json_need_string(t->object, key, where, &text, e);
    if (!code) {
        t->rest = text;
        t->rest_end = text + strlen(text);
    }
    free(where);
    free(repaired);
    return code;
}

enum event { EVENT_ERROR = -1, EVENT_END, EVENT_SEGMENT, EVENT_BOUNDARY };

/* Next piece of [rest, rest_end): a line of it, or with split_sentences a sentence of a line. False when nothing is left. */
static bool cut(text_stream *t, const char **segment, size_t *bytes) {
    while (t->rest < t->rest_end && is_space(*t->rest)) t->rest++;
    if (t->rest == t->rest_end) return false;
    const char *end = memchr(t->rest, '\n', (size_t)(t->rest_end - t->rest));
    if (!end) end = t->rest_end;
    size_t n = (size_t)(end - t->rest);
    if (t->settings.split_sentences) n = sentence_bytes(t->rest, n);
    *segment = t->rest;
    t->rest += n;
    if (n && (*segment)[n - 1] == '\r' && t->rest == end) n--;
    *bytes = n;
    return true;
}

static enum event next_event(text_stream *t, const char **segment, size_t *bytes, error *e) {
    for (;;) {
        if (t->rest) {
            if (cut(t, segment, bytes)) return EVENT_SEGMENT;
            t->rest = NULL;
            if (t->object) {
                json_free(t->object);
                t->object = NULL;
                return EVENT_BOUNDARY;
            }
        }
        if (t->fd < 0) {
            if (t->next_path == t->paths.count) return EVENT_END;
            if (open_next(t, e)) return EVENT_ERROR;
        }
        const char *line;
        size_t n;
        int got = next_line(t, &line, &n, e);
        if (got < 0) return EVENT_ERROR;
        if (!got) {
            close_file(t);
            return EVENT_BOUNDARY;
        }
        size_t blank = 0;
        if (t->line_number == 1 && n >= 3 && !memcmp(line, "\xEF\xBB\xBF", 3)) {      /* a byte order mark */
            line += 3;
            n -= 3;
        }
        while (blank < n && is_space(line[blank])) blank++;
        if (t->json) {
            if (blank < n && open_json(t, line, n, e)) return EVENT_ERROR;
        } else {
            if (blank == n) return EVENT_BOUNDARY;
            t->rest = line;
            t->rest_end = line + n;
        }
    }
}

int text_stream_line(text_stream *t, const char **line, size_t *bytes, bool *document_end, error *e) {
    for (;;) {
        const char *segment;
        size_t n;
        enum event got = next_event(t, &segment, &n, e);
        if (got == EVENT_ERROR) return -1;
        if (got != EVENT_SEGMENT && !t->have_ahead) {
            if (got == EVENT_END) return 0;
            continue;
        }
        bool had = t->have_ahead;
        buffer old = t->given;
        t->given = t->ahead;
        t->given_line = t->ahead_line;
        t->given_file = t->ahead_file;
        t->ahead = old;
        t->ahead.bytes = 0;
        t->have_ahead = got == EVENT_SEGMENT;
        if (t->have_ahead) {
            keep(&t->ahead, segment, n);
            t->ahead_line = t->line_number;
            t->ahead_file = t->name;
        }
        if (!had) continue;
        *line = t->given.data;
        *bytes = t->given.bytes;
        *document_end = got != EVENT_SEGMENT;
        return 1;
    }
}

const char *text_stream_file(const text_stream *t) { return t->given_file ? t->given_file : "no file"; }
size_t text_stream_line_number(const text_stream *t) { return t->given_line; }
uint64_t text_stream_left_out(const text_stream *t) { return t->left_out; }
bool text_stream_is_json(const text_stream *t) { return t->json; }
uint64_t text_stream_bytes_read(const text_stream *t) { return t->bytes_read; }
uint64_t text_stream_bytes_total(const text_stream *t) { return t->paths.bytes; }
