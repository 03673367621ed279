/* datagen/text_stream.c, text_paths.c, sentences.c: every dress of a text gives the same segments. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>
#include <zstd.h>
#include "base/files.h"
#include "base/text.h"
#include "datagen/sentences.h"
#include "datagen/text_stream.h"
#include <cmocka.h>   /* last: its macro fail() must not meet ours */

static char folder[512];

static char *in_folder(const char *name) {
    static char path[4][1024];
    static int next;
    char *p = path[next++ % 4];
    snprintf(p, sizeof *path, "%s/%s", folder, name);
    return p;
}

static void put(const char *name, const void *data, size_t bytes) {
    error e = {0};
    if (files_write_synced(in_folder(name), data, bytes, &e)) fail_msg("%s", e.text);
}

static void put_text(const char *name, const char *words) { put(name, words, strlen(words)); }

/* Segments as "a|b||c|": a bar after each, another after the last of a document; or the error's text. */
static char *read_all(const text_settings *settings, size_t count, char *const *paths) {
    text out = {0};
    text_stream *t;
    error e = {0};
    const char *line;
    size_t bytes;
    bool last;
    int got = -1;
    if (!text_stream_open(&t, paths, count, settings, &e)) {
        while ((got = text_stream_line(t, &line, &bytes, &last, &e)) > 0) {
            text_add(&out, line, bytes);
            text_format(&out, last ? "||" : "|");
        }
        text_stream_close(t);
    }
    if (got < 0) text_format(&out, "error %d", e.code);
    return text_take(&out);
}

static void expect(const text_settings *settings, const char *name, const char *want) {
    char *got = read_all(settings, 1, (char *[]){ in_folder(name) });
    if (strcmp(got, want)) fail_msg("%s: '%s', expected '%s'", name, got, want);
    free(got);
}

static const text_settings plain = {0};

static int setup(void **state) {
    (void)state;
    const char *base = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/text-XXXXXX", base ? base : "/tmp");
    return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    error e = {0};
    return files_remove_tree(folder, &e);
}

static void test_lines_and_documents(void **state) {
    (void)state;
    const struct { const char *text, *want; } cases[] = {
        { "a\nb\n\nc\n", "a|b||c||" }, { "a\nb\n\nc", "a|b||c||" }, { "", "" }, { "\n\n \t\n", "" }, { "\n\na\n\n\n\nb\n\n", "a||b||" },
        { "a\r\nb\r\n\r\nc\r\n", "a|b||c||" }, { "a\rb\n", "a\rb||" }, { "a\vb\xE2\x80\xA8" "c\n", "a\vb\xE2\x80\xA8" "c||" }, { "\xEF\xBB\xBF" "a\n", "a||" },
        { "a\xFF\n", "a\xFF||" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put_text("t.txt", cases[i].text);
        expect(&plain, "t.txt", cases[i].want);
    }
}

static void test_folders_in_order(void **state) {
    (void)state;
    mkdir(in_folder("d"), 0777);
    mkdir(in_folder("d/b"), 0777);
    put_text("d/a.txt", "1");
    put_text("d/b/x", "2");
    put_text("d/b/Y", "3");
    put_text("d/c", "4");
    put_text("d/.hidden", "5");
    put_text("d/B", "6\n");
    expect(&plain, "d", "6||1||3||2||4||");
    char *got = read_all(&plain, 2, (char *[]){ in_folder("d/c"), in_folder("missing") });
    assert_string_equal(got, "error 2");                     /* before the first segment */
    free(got);
    mkdir(in_folder("empty"), 0777);
    expect(&plain, "empty", "error 2");
}

static size_t gzip_member(char *out, size_t room, const char *words) {
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (Bytef *)(uintptr_t)words;
    z.avail_in = (uInt)strlen(words);
    z.next_out = (Bytef *)out;
    z.avail_out = (uInt)room;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    size_t bytes = room - z.avail_out;
    deflateEnd(&z);
    return bytes;
}

static void test_compressed(void **state) {
    (void)state;
    char data[4096];
    size_t n = gzip_member(data, sizeof data, "a\nb"), one = n;
    n += gzip_member(data + n, sizeof data - n, "c\n\nd\n");
    put("t.gz", data, n);
    expect(&plain, "t.gz", "a|bc||d||");
    put("t.gz", data, n - 5);
    expect(&plain, "t.gz", "a|bc||error 2");
    put("t.gz", data, one);
    expect(&plain, "t.gz", "a|b||");
    memcpy(data + n, "junk", 4);
    put("t.gz", data, n + 4);
    expect(&plain, "t.gz", "a|bc||error 2");
    n = one = ZSTD_compress(data, sizeof data, "a\nb", 3, 3);
    n += ZSTD_compress(data + n, sizeof data - n, "c\n\nd\n", 5, 3);
    put("named-without-ending", data, n);
    expect(&plain, "named-without-ending", "a|bc||d||");
    put("t.zst", data, n - 2);
    expect(&plain, "t.zst", "a|bc||error 2");
    data[one + 6] ^= 0x55;
    put("t.zst", data, n);
    char *got = read_all(&plain, 1, (char *[]){ in_folder("t.zst") });
    assert_non_null(strstr(got, "error 2"));
    free(got);
}

/* Lines longer than any buffer, compressed and not. */
static void test_long_lines(void **state) {
    (void)state;
    size_t n = 3000001;
    char *big = must_alloc(n + 1, 1), *packed = must_alloc(ZSTD_compressBound(n), 1);
    for (size_t i = 0; i < n; i++) big[i] = i % 1000003 == 1000002 ? '\n' : (char)('a' + i % 26);
    big[n] = '\0';
    put("big", big, n);
    put("big.zst", packed, ZSTD_compress(packed, ZSTD_compressBound(n), big, n, 1));
    for (int k = 0; k < 2; k++) {
        text_stream *t;
        error e = {0};
        const char *line;
        size_t bytes, at = 0;
        bool last;
        assert_int_equal(text_stream_open(&t, (char *[]){ in_folder(k ? "big.zst" : "big") }, 1, &plain, &e), 0);
        for (size_t i = 1; text_stream_line(t, &line, &bytes, &last, &e) > 0; i++) {
            assert_memory_equal(line, big + at, bytes);
            assert_int_equal(text_stream_line_number(t), i);
            at += bytes + 1;
        }
        assert_int_equal(e.code, 0);
        assert_int_equal(at, n + 1);
        text_stream_close(t);
    }
    free(big);
    free(packed);
}

static void test_json_lines(void **state) {
    (void)state;
    put_text("t.jsonl", "{\"text\": \"a\\nb\\n\\nc\", \"body\": \"x\"}\n\n{\"body\": \"y. Z.\", \"text\": \"\"}\n");
    expect(&plain, "t.jsonl", "a|b|c||");
    expect(&(text_settings){ .json_key = "body" }, "t.jsonl", "x||y. Z.||");
    expect(&(text_settings){ .json_key = "body", .split_sentences = true }, "t.jsonl", "x||y.|Z.||");
    expect(&(text_settings){ .json_key = "none" }, "t.jsonl", "error 2");
    put_text("t.jsonl", "{\"text\": \"a\"}\n[1]\n");
    expect(&plain, "t.jsonl", "a||error 2");
    put_text("t.jsonl", "{\"text\": 3}\n");
    expect(&plain, "t.jsonl", "error 2");
}

static void test_raw_lines(void **state) {
    (void)state;
    put_text("t.txt", "a\r\n\n \nb");
    text_stream *t;
    error e = {0};
    const char *line;
    size_t bytes;
    text out = {0};
    assert_int_equal(text_stream_open(&t, (char *[]){ in_folder("t.txt") }, 1, &plain, &e), 0);
    while (text_stream_raw(t, &line, &bytes, &e) > 0) {
        text_add(&out, line, bytes);
        text_format(&out, "|");
    }
    text_stream_close(t);
    char *got = text_take(&out);
    assert_string_equal(got, "a\r|| |b|");
    free(got);
}

static void test_sentences(void **state) {
    (void)state;
    const struct { const char *text, *want; } cases[] = {
        { "He came. She went.", "He came.|She went.||" },
        { "Mr. Smith met Dr. J. R. Brown at 3 p.m. in the U.S. Senate. It rained!",
          "Mr. Smith met Dr. J. R. Brown at 3 p.m. in the U.S. Senate.|It rained!||" },
        { "\"Go!\" he said. \"Why?\" (No. 7 was his.) Then No. He left.", "\"Go!\" he said.|\"Why?\"|(No. 7 was his.)|Then No.|He left.||" },
        { "See p. 12 and vol. 3, e.g. this. And so did I. We met.", "See p. 12 and vol. 3, e.g. this.|And so did I.|We met.||" },
        { "Pi is 3.14 or so... and on. What?! Yes", "Pi is 3.14 or so... and on.|What?!|Yes||" },
        { "\xE2\x80\x9CStop.\xE2\x80\x9D  \xE2\x80\x9CNo.\xE2\x80\x9D", "\xE2\x80\x9CStop.\xE2\x80\x9D|\xE2\x80\x9CNo.\xE2\x80\x9D||" },
        { "\xE4\xBD\xA0\xE3\x80\x82\xE6\x88\x91\xE3\x80\x82", "\xE4\xBD\xA0\xE3\x80\x82|\xE6\x88\x91\xE3\x80\x82||" },
        { "  One.  \n\nTwo.   Three.  ", "One.||Two.|Three.||" },
        { "영화가 좋다. 또 보고 싶어요! 정말?", "영화가 좋다.|또 보고 싶어요!|정말?||" },
        { "재밌다.그런데 길어요!하지만 좋음...추천", "재밌다.|그런데 길어요!|하지만 좋음...|추천||" },
        { "별점 3.5다. 네이버.컴 가나.다라", "별점 3.5다.|네이버.컴 가나.다라||" },
        { "2002. 7. 1. 서울에서 열렸다. 1. 사과는 빨갛다.", "2002. 7. 1. 서울에서 열렸다.|1. 사과는 빨갛다.||" },
        { "가. 첫째 항목이다. 나. 둘째", "가. 첫째 항목이다.|나. 둘째||" },
        { "It was 1850. 12 men came. 3. Then", "It was 1850.|12 men came.|3.|Then||" },
        { "『그는 갔다.』 Mr. 김은 남았다.", "『그는 갔다.』|Mr. 김은 남았다.||" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put_text("s.txt", cases[i].text);
        expect(&(text_settings){ .split_sentences = true }, "s.txt", cases[i].want);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_and_documents), cmocka_unit_test(test_folders_in_order), cmocka_unit_test(test_compressed),
        cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_json_lines), cmocka_unit_test(test_raw_lines), cmocka_unit_test(test_sentences),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
