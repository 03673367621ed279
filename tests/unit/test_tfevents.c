/* tests/unit/test_tfevents.c - records as TensorBoard reads them: checksums from RFC 3720, framing and protobuf decoded byte by byte. */
#include <stdlib.h>
#include <string.h>
#include "base/files.h"
#include "trainer/tfevents.h"
#include "tests/check.h"

static char folder[] = "/tmp/test_tfevents.XXXXXX";

/* RFC 3720, B.4. */
static void test_crc32c_vectors(void **state) {
    (void)state;
    unsigned char zeros[32] = {0}, ones[32], rising[32];
    memset(ones, 0xff, sizeof ones);
    for (int i = 0; i < 32; i++) rising[i] = (unsigned char)i;
    assert_int_equal(crc32c(zeros, 32), 0x8a9136aau);
    assert_int_equal(crc32c(ones, 32), 0x62a8ab43u);
    assert_int_equal(crc32c(rising, 32), 0x46dd794eu);
    assert_int_equal(crc32c("123456789", 9), 0xe3069283u);
}

static uint64_t little(const unsigned char *p, int bytes) {
    uint64_t v = 0;
    for (int i = 0; i < bytes; i++) v |= (uint64_t)p[i] << (8 * i);
    return v;
}

static uint32_t masked(const unsigned char *p, size_t n) {
    uint32_t crc = crc32c(p, n);
    return (uint32_t)((((uint64_t)crc << 32 | crc) >> 15) + 0xa282ead8u);
}

/* The next record of the file; checks both checksums. */
static const unsigned char *record(const unsigned char **at, size_t *bytes) {
    *bytes = little(*at, 8);
    assert_int_equal(little(*at + 8, 4), masked(*at, 8));
    const unsigned char *event = *at + 12;
    assert_int_equal(little(event + *bytes, 4), masked(event, *bytes));
    *at = event + *bytes + 4;
    return event;
}

static unsigned char *read_file(size_t *bytes) {
    char **names, *data;
    size_t count;
    error e = {0};
    assert_int_equal(files_list(folder, &names, &count, &e), 0);
    assert_int_equal(count, 1);
    assert_memory_equal(names[0], "events.out.tfevents.", 20);
    char *path = files_join(folder, names[0]);
    assert_int_equal(files_read(path, 1 << 20, &data, bytes, &e), 0);
    free(path);
    files_free_list(names, count);
    return (unsigned char *)data;
}

static void test_events_are_readable(void **state) {
    (void)state;
    error e = {0};
    tfevents *t = tfevents_open(folder, 299, &e);
    assert_non_null(t);
    const tfevents_scalar scalar[] = { { "loss", 1.5 }, { "x", -2 } };
    assert_int_equal(tfevents_add(t, 300, scalar, 2, &e), 0);
    tfevents_close(t);
    size_t bytes, n;
    unsigned char *data = read_file(&bytes);
    const unsigned char *at = data, *event = record(&at, &n);
    assert_int_equal(n, 9 + 2 + 2 + 13);                  /* wall time, step 0, "brain.Event:2" */
    assert_memory_equal(event + 9, "\x10\x00\x1a\x0d" "brain.Event:2", 17);
    event = record(&at, &n);                              /* session START at 300: earlier files' steps from there on are void */
    assert_memory_equal(event + 9, "\x10\xac\x02\x3a\x02\x08\x01", 7);
    event = record(&at, &n);
    assert_int_equal(event[0], 1 << 3 | 1);
    double wall;
    memcpy(&wall, event + 1, sizeof wall);                /* the test machine is little-endian, as all that we build for */
    assert_true(wall > 1.6e9 && wall < 1e10);
    assert_memory_equal(event + 9, "\x10\xac\x02\x2a\x17" "\x0a\x0b\x0a\x04loss\x15\x00\x00\xc0\x3f" "\x0a\x08\x0a\x01x\x15\x00\x00\x00\xc0", n - 9);
    assert_ptr_equal(at, data + bytes);
    free(data);
}

static void test_folder_that_cannot_be_written(void **state) {
    (void)state;
    error e = {0};
    assert_null(tfevents_open("/nonexistent/folder", 0, &e));
    assert_int_equal(e.code, EXIT_MACHINE);
}

static int make_folder(void **state) { return (void)state, mkdtemp(folder) ? 0 : -1; }
static int remove_folder(void **state) { error e = {0}; return (void)state, files_remove_tree(folder, &e); }

int main(void) {
    fail_init("test_tfevents");
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_crc32c_vectors), cmocka_unit_test(test_events_are_readable),
                                        cmocka_unit_test(test_folder_that_cannot_be_written) };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
