/* SHA-256: FIPS 180-4 examples, every split, both implementations, sha256sum. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/files.h"
#include "base/rng.h"
#include "base/sha256.h"
#include "tests/check.h"

static const char *const implementations[] = {"portable", "sha-ni"};

static void hash(const void *data, size_t bytes, char hex[SHA256_HEX]) {
    sha256 s;
    sha256_init(&s);
    sha256_add(&s, data, bytes);
    sha256_end_hex(&s, hex);
}

static void fips(void **state) {
    (void)state;
    static const char *const kat[][2] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
        {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
         "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
    };
    for (int which = 0; which < 2; which++) {
        if (!sha256_use(implementations[which])) { print_message("%s: not on this CPU\n", implementations[which]); continue; }
        assert_string_equal(sha256_implementation(), implementations[which]);
        char hex[SHA256_HEX];
        for (size_t i = 0; i < sizeof kat / sizeof *kat; i++) {
            hash(kat[i][0], strlen(kat[i][0]), hex);
            assert_string_equal(hex, kat[i][1]);
        }
        sha256 s;
        sha256_init(&s);
        for (int i = 0; i < 1000; i++) {          /* a million times "a" */
            char a[1000];
            memset(a, 'a', sizeof a);
            sha256_add(&s, a, sizeof a);
        }
        sha256_end_hex(&s, hex);
        assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    }
    assert_false(sha256_use("md5"));
}

/* Lengths around each edge of padding, in one piece, split, and by the other implementation. */
static void pieces_and_implementations_agree(void **state) {
    (void)state;
    unsigned char data[300];
    rng_key k = rng_open(1, RNG_INIT, 0, 0, 0);
    for (size_t i = 0; i < sizeof data; i++) data[i] = (unsigned char)rng_u64(k, i);
    for (size_t n = 0; n <= sizeof data; n++) {
        char want[SHA256_HEX], hex[SHA256_HEX];
        assert_true(sha256_use("portable"));
        hash(data, n, want);
        for (size_t cut = 0; cut <= n; cut += 13) {
            sha256 s;
            sha256_init(&s);
            sha256_add(&s, data, cut);
            sha256_add(&s, data + cut, n - cut);
            sha256_end_hex(&s, hex);
            assert_string_equal(hex, want);
        }
        if (sha256_use("sha-ni")) {
            hash(data, n, hex);
            assert_string_equal(hex, want);
        }
    }
}

static void files_as_sha256sum(void **state) {
    (void)state;
    const char *folder = getenv("TMPDIR");
    error e = {0};
    for (size_t bytes = 1; bytes < 3000000; bytes = bytes * 37 + 11) {
        unsigned char *data = malloc(bytes);
        for (size_t i = 0; i < bytes; i++) data[i] = (unsigned char)(i * i >> 5);
        char *path = files_join(folder ? folder : "/tmp", "test_sha256.bin"), hex[SHA256_HEX], want[SHA256_HEX] = "";
        assert_int_equal(files_write_synced(path, data, bytes, &e), 0);
        uint64_t counted = 0;
        assert_int_equal(sha256_file(path, hex, &counted, &e), 0);
        assert_int_equal(counted, bytes);
        char *command = must_format("sha256sum '%s'", path);
        FILE *p = popen(command, "r");
        assert_non_null(p);
        assert_non_null(fgets(want, sizeof want, p));
        pclose(p);
        assert_string_equal(hex, want);
        unlink(path);
        free(command), free(path), free(data);
    }
}

static void refusals(void **state) {
    (void)state;
    char hex[SHA256_HEX];
    error e = {0};
    assert_int_equal(sha256_file("/nowhere/x", hex, NULL, &e), EXIT_USAGE);
    assert_non_null(strstr(e.text, "/nowhere/x"));
    assert_int_equal(sha256_file("/dev/null", hex, NULL, &e), EXIT_USAGE);
    assert_int_equal(sha256_file("/", hex, NULL, &e), EXIT_USAGE);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(fips), cmocka_unit_test(pieces_and_implementations_agree),
                                       cmocka_unit_test(files_as_sha256sum), cmocka_unit_test(refusals)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
