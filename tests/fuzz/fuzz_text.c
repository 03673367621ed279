/* tests/fuzz/fuzz_text.c - text streams: plain, gzip, zstd (by their first bytes) and JSON lines. The first byte chooses how the rest is read.
 * Checked: the promises of text_stream.h about segments, and that text gives the same segments when it is compressed. */
#include <string.h>
#include <zlib.h>
#include <zstd.h>
#include "datagen/text_stream.h"
#include "tests/fuzz/fuzz.h"

const char *const fuzz_words[] = {
    "{\"text\": \"", "\"}\n", "\n\n", "\r\n", "\\u0000", "\\ud800", "\xef\xbb\xbf", "\x1f\x8b\x08", "\x28\xb5\x2f\xfd", "Mr. ", ". A",
    "?\" ", "\xe3\x80\x82", NULL
};

typedef struct result { int end; size_t segments, documents, bytes; uint64_t sum; } result;

static result read_segments(const char *path, const text_settings *settings) {
    text_stream *t;
    error e = {0};
    result r = {0};
    const char *line;
    size_t bytes;
    bool last = true;
    if (text_stream_open(&t, (char *const[]){ (char *)path }, 1, settings, &e)) {
        r.end = -e.code;
        return r;
    }
    while ((r.end = text_stream_line(t, &line, &bytes, &last, &e)) > 0) {
        size_t blank = 0;
        while (blank < bytes && (line[blank] == ' ' || (line[blank] >= '\t' && line[blank] <= '\r'))) blank++;
        FUZZ_CHECK(blank < bytes && !memchr(line, '\n', bytes) && text_stream_line_number(t) > 0);
        for (size_t i = 0; i < bytes; i++) r.sum = (r.sum ^ (unsigned char)line[i]) * UINT64_C(0x100000001b3);
        r.sum = (r.sum ^ last) * UINT64_C(0x100000001b3);
        r.segments++;
        r.documents += last;
        r.bytes += bytes;
    }
    FUZZ_CHECK(r.end == 0 ? last : e.code != 0 && e.text[0]);
    text_stream_close(t);
    return r;
}

static const char *gzip(const uint8_t *data, size_t size) {
    static unsigned char out[1 << 18];
    z_stream z = { .next_in = (unsigned char *)data, .avail_in = (uInt)size, .next_out = out, .avail_out = sizeof out };
    FUZZ_CHECK(deflateInit2(&z, 1, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY) == Z_OK && deflate(&z, Z_FINISH) == Z_STREAM_END);
    deflateEnd(&z);
    return fuzz_file("again.gz", out, sizeof out - z.avail_out);
}

static const char *zstd(const uint8_t *data, size_t size) {
    static unsigned char out[1 << 18];
    size_t n = ZSTD_compress(out, sizeof out, data, size, 1);
    FUZZ_CHECK(!ZSTD_isError(n));
    return fuzz_file("again.zst", out, n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    unsigned how = size ? data[0] : 0;
    if (size) data++, size--;
    text_settings settings = { .split_sentences = how & 1, .json_key = how & 2 ? "body" : NULL, .invalid = (int)(how >> 4) % 3 };
    result plain = read_segments(fuzz_file(how & 4 ? "text.jsonl" : "text.txt", data, size), &settings);
    bool compressed = (size >= 2 && !memcmp(data, "\x1f\x8b", 2))
                   || (size >= 4 && (!memcmp(data, "\x28\xb5\x2f\xfd", 4) || !memcmp(data + 1, "\x2a\x4d\x18", 3)));
    bool marked = size >= 3 && !memcmp(data, "\xef\xbb\xbf", 3);
    if (how & 4 || compressed || marked || plain.end) return 0;
    result again = read_segments(how & 8 ? gzip(data, size) : zstd(data, size), &settings);
    FUZZ_CHECK(again.end == 0 && plain.segments == again.segments && plain.documents == again.documents);
    FUZZ_CHECK(plain.bytes == again.bytes && plain.sum == again.sum);
    return 0;
}
