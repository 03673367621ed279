/* datagen/deflate.c: the bytes of zlib at level 4, on what shards hold and on anything else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include "base/fail.h"
#include "base/rng.h"
#include "datagen/deflate.h"
#include <cmocka.h>   /* last: its macro fail() must not meet ours */

enum { MOST = 1 << 18 };
static deflater *d;

static void check(const unsigned char *data, size_t bytes, const char *what) {
    uLongf want_bytes = compressBound((uLong)bytes), back_bytes = (uLongf)bytes + 1;
    unsigned char *want = must_alloc(want_bytes, 1), *got = must_alloc(deflater_bound(bytes), 1), *back = must_alloc(bytes + 1, 1);
    assert_int_equal(compress2(want, &want_bytes, data, (uLong)bytes, 4), Z_OK);
    size_t n = deflater_pack(d, data, bytes, got);
    if (n > deflater_bound(bytes)) fail_msg("%s: %zu bytes became %zu, above the bound", what, bytes, n);
    int code = uncompress(back, &back_bytes, got, (uLong)n);
    if (code != Z_OK || back_bytes != bytes || memcmp(back, data, bytes)) fail_msg("%s: %zu bytes do not come back", what, bytes);
    if (n != want_bytes || memcmp(got, want, n))
        fail_msg("%s: %zu bytes became %zu, zlib %s makes %zu, or others", what, bytes, n, zlibVersion(), (size_t)want_bytes);
    free(want), free(got), free(back);
}

static const char *const kinds[] = { "avx512", "avx2", "portable" };

static void use(int kind) {
    if (!deflater_use(d, kinds[kind % 3])) (void)deflater_use(d, NULL);
}

static void test_any_input(void **state) {
    (void)state;
    unsigned char *data = must_alloc(MOST, 1);
    rng_key k = rng_open(1, RNG_INIT, 0, 0, 0);
    uint64_t draw = 0;
    for (int round = 0; round < 400; round++) {
        use(round % 7);
        size_t bytes = (size_t)rng_below(k, draw++, round % 10 ? 20000 : MOST);
        unsigned kind = (unsigned)(round % 9), alphabet = 1 + (unsigned)rng_below(k, draw++, round % 2 ? 4 : 256);
        for (size_t i = 0; i < bytes; i++) {
            uint64_t r = rng_u64(k, draw++);
            if (kind == 0) data[i] = (unsigned char)(r % alphabet);
            else if (kind == 1) data[i] = (unsigned char)(i % 4 > 1 ? 0 : r >> 40 & r >> 20);          /* ids: two bytes, two zeros */
            else if (kind == 2) data[i] = i % 128 < 100 + i / 128 % 28;                               /* masks */
            else if (kind == 3) data[i] = r % 50 && i > 300 ? data[i - 1 - (r >> 32) % 300] : (unsigned char)r;
            else if (kind == 4) data[i] = r % 3000 && i > 40000 ? data[i - 32400 - (size_t)(round % 200)] : (unsigned char)(r & 31);
            else if (kind == 5) data[i] = (unsigned char)(i / (1 + (size_t)round * 7));
            else if (kind == 6) data[i] = r % 9 && i > 999 ? data[i - 8 * (1 + (r >> 32) % 99)] ^ (r % 5 ? 0 : 0x80) : (unsigned char)(r & 7);   /* high bits */
            else if (kind == 7 && i % 4 == 0) data[i] = r % 6 ? (unsigned char)((r >> 40 & r >> 20 & r >> 8) % alphabet) : 103;       /* ids of words */
            else if (kind == 7) data[i] = i % 4 > 1 ? 0 : data[i - 1] % 7;
            else data[i] = r % (1 + alphabet) && i ? data[i - 1] : (unsigned char)(r >> 60 & 3);      /* runs */
        }
        check(data, bytes, "made-up text");
    }
    free(data);
}

static void test_short(void **state) {
    (void)state;
    unsigned char data[64] = {0};
    for (size_t n = 0; n < 64; n++) check(data, n, "zeros");
    for (size_t n = 0; n < 64; n++) data[n] = (unsigned char)(n * n);
    for (size_t n = 0; n < 64; n++) check(data, n, "squares");
}

/* Places as far as a match may lie, and further; the last of all may lie one byte further than those before it. */
static void test_distance(void **state) {
    (void)state;
    enum { AT = 100, BYTES = 33000 };
    unsigned char *data = must_alloc(BYTES, 1);
    rng_key k = rng_open(2, RNG_INIT, 0, 0, 0);
    uint64_t draw = 0;
    for (int round = 0; round < 6 * 16; round++) {
        size_t distance = 32498 + (size_t)(round / 6);
        use(round);
        for (size_t i = 0; i < BYTES; i++) data[i] = (unsigned char)rng_below(k, draw++, 256);
        memcpy(data + AT + distance, data + AT, 20);
        if (round % 6 > 2) memcpy(data + AT + distance / 2, data + AT, 3);
        check(data, BYTES, "a far match");
    }
    free(data);
}

static void test_largest_sums(void **state) {
    (void)state;
    unsigned char *data = memset(must_alloc(MOST, 1), 255, MOST);
    for (int round = 0; round < 48; round++) {
        use(round);
        check(data, 16 * 5552 - 160 + 16 * (size_t)round, "bytes of 255");
    }
    free(data);
}

static int open_all(void **state) { (void)state; d = deflater_new(); return 0; }
static int close_all(void **state) { (void)state; deflater_free(d); return 0; }

int main(void) {
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_short), cmocka_unit_test(test_any_input), cmocka_unit_test(test_distance),
                                        cmocka_unit_test(test_largest_sums) };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
