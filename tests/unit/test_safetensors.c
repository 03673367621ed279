/* The container: what is written reads back and is laid out as promised; every broken rule is refused by name. */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/files.h"
#include "trainer/safetensors.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>   /* last: it has a macro named fail */

static char *at(const char *name) {
    const char *folder = getenv("TMPDIR");
    return files_join(folder ? folder : "/tmp", name);
}

/* A file from a header and a number of zero bytes of data. length 0: the header's own. */
static char *file_of(uint64_t length, const char *header, size_t header_bytes, size_t data_bytes) {
    char *path = at("hostile.safetensors"), *data = calloc(8 + header_bytes + data_bytes, 1);
    error e = {0};
    if (!length) length = header_bytes;
    memcpy(data, &length, 8);
    memcpy(data + 8, header, header_bytes);
    assert_int_equal(files_write_synced(path, data, 8 + header_bytes + data_bytes, &e), 0);
    free(data);
    return path;
}

static void refused(uint64_t length, const char *header, size_t header_bytes, size_t data_bytes, const char *why) {
    safetensors s;
    error e = {0};
    char *path = file_of(length, header, header_bytes, data_bytes);
    int code = safetensors_open(&s, path, &e);
    if (code != EXIT_USAGE || !strstr(e.text, why)) fail_msg("header %.80s: code %d, \"%s\"; expected 2 and \"%s\"", header, code, e.text, why);
    free(path);
}

#define A(shape, begin, end) "{\"a\":{\"dtype\":\"F32\",\"shape\":" shape ",\"data_offsets\":[" #begin "," #end "]}}"
#define TWO(b1, e1, b2, e2) "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[" #b1 "," #e1 "]}," \
                            "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[" #b2 "," #e2 "]}}"

static void hostile_headers(void **state) {
    (void)state;
    static const struct { const char *header; size_t data; const char *why; } cases[] = {
        {TWO(0, 8, 4, 12), 12, "overlap"},
        {TWO(0, 8, 0, 8), 8, "overlap"},
        {TWO(0, 8, 12, 20), 20, "hole"},
        {TWO(4, 12, 12, 20), 20, "hole"},
        {A("[2]", 0, 8), 4, "truncated"},
        {A("[2]", 0, 8), 9, "trailing bytes"},
        {A("[3]", 0, 8), 8, "need 12 bytes"},
        {A("[2]", 8, 0), 8, "data_offsets"},
        {A("[-1,2]", 0, 8), 8, "whole number"},
        {A("[2.0]", 0, 8), 8, "whole number"},
        {A("[4194305,4194305,211106198978564]", 0, 16), 16, "overflow"},         /* wraps to 4 elements in 64 bits */
        {A("[4611686018427387904]", 0, 16), 16, "overflow"},                     /* the bits wrap, the count does not */
        {A("[18446744073709551617]", 0, 4), 4, "whole number"},
        {A("[1,1,1,1,1,1,1,1,1]", 0, 4), 4, "at most 8"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,16]}}", 16, "duplicate"},
        {"{\"a\":{\"dtype\":\"F31\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "dtype"},
        {"{\"a\":{\"dtype\":7,\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "dtype"},
        {"{\"a\":{\"dtype\":\"F4\",\"shape\":[3],\"data_offsets\":[0,1]}}", 1, "need"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8],\"more\":1}}", 8, "nothing else"},
        {"{\"a\":[]}", 0, "nothing else"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0]}} ", 8, "data_offsets"},
        {"{\"__metadata__\":{\"format\":1}}", 0, "not a string"},
        {"{\"__metadata__\":[]}", 0, "not an object"},
        {"not JSON", 0, "'{'"},
        {" {}", 0, "'{'"},
        {"[]", 0, "'{'"},
        {"{\"a\":", 0, "JSON"},
        {"{} {}", 0, "JSON"},
        {"{\"\xff\":1}", 0, "JSON"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) refused(0, cases[i].header, strlen(cases[i].header), cases[i].data, cases[i].why);
    refused((uint64_t)1 << 63, "{}", 2, 0, "header of 9223372036854775808 bytes");
    refused(UINT64_MAX, "{}", 2, 0, "header of");
    refused(100000001, "{}", 2, 0, "header of");
    refused(3, "{}", 2, 0, "header of");
    refused(1, "{}", 2, 0, "header of");
}

static void many_tensors(void **state) {
    (void)state;
    char *header = malloc(64 * 5000), *p = header;
    for (int i = 0; i < 5000; i++) p += sprintf(p, "%c\"t%d\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}", i ? ',' : '{', i);
    p += sprintf(p, "}");
    refused(0, header, (size_t)(p - header), 0, "5000 tensors");
    free(header);
}

static void short_files(void **state) {
    (void)state;
    safetensors s;
    error e = {0};
    char *path = at("short.safetensors");
    for (size_t n = 0; n < 8; n++) {
        assert_int_equal(files_write_synced(path, "\2\0\0\0\0\0\0\0", n, &e), 0);
        assert_int_equal(safetensors_open(&s, path, &e), EXIT_USAGE);
    }
    assert_int_equal(safetensors_open(&s, "/nowhere/x", &e), EXIT_USAGE);
    assert_non_null(strstr(e.text, "/nowhere/x"));
    assert_int_equal(safetensors_open(&s, "/", &e), EXIT_USAGE);
    free(path);
}

static void zero_sized_and_scalar(void **state) {
    (void)state;
    safetensors s;
    error e = {0};
    const char *header = "{\"e\":{\"dtype\":\"F32\",\"shape\":[0,7],\"data_offsets\":[0,0]},\"s\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}   ";
    char *path = file_of(0, header, strlen(header), 4);
    float one = 7;
    if (safetensors_open(&s, path, &e)) fail_msg("%s", e.text);
    assert_int_equal(s.count, 2);
    assert_int_equal(safetensors_find(&s, "e")->count, 0);
    assert_int_equal(safetensors_read(&s, safetensors_find(&s, "s"), &one, &e), 0);
    assert_true(one == 0.0f);
    safetensors_close(&s);
    free(path);
}

static tensor tensors[] = {
    {.name = "z.weight", .rows = 3, .columns = 2, .offset = 0, .count = 6},
    {.name = "a.bias", .rows = 1, .columns = 3, .vector = true, .offset = 1024, .count = 3},
};
static model two = {.tensor = tensors, .tensors = 2, .weight_elements = 2048};

static void layout(void **state) {
    (void)state;
    static float flat[2048];
    char *path = at("model.safetensors"), hex[SHA256_HEX], read_hex[SHA256_HEX], *data;
    size_t bytes;
    error e = {0};
    for (int i = 0; i < 2048; i++) flat[i] = (float)i;
    assert_int_equal(safetensors_write(path, &two, flat, hex, &e), 0);
    assert_int_equal(sha256_file(path, read_hex, NULL, &e), 0);
    assert_string_equal(hex, read_hex);
    assert_int_equal(files_read(path, 1 << 20, &data, &bytes, &e), 0);
    const char *wanted = "{\"__metadata__\":{\"format\":\"pt\"},\"a.bias\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,12]},"
                         "\"z.weight\":{\"dtype\":\"F32\",\"shape\":[3,2],\"data_offsets\":[12,36]}}";
    uint64_t length;
    memcpy(&length, data, 8);
    assert_int_equal(length % 8, 0);
    assert_int_equal(bytes, 8 + length + 36);
    assert_memory_equal(data + 8, wanted, strlen(wanted));
    for (uint64_t i = strlen(wanted); i < length; i++) assert_int_equal(data[8 + i], ' ');
    safetensors s;
    float back[6];
    assert_int_equal(safetensors_open(&s, path, &e), 0);
    assert_int_equal(safetensors_read(&s, safetensors_find(&s, "a.bias"), back, &e), 0);
    for (int i = 0; i < 3; i++) assert_true(back[i] == (float)(1024 + i));
    safetensors_close(&s);
    free(data), free(path);
}

static void halves(void **state) {
    (void)state;
    assert_true(safetensors_half(0x3c00) == 1.0f);
    assert_true(safetensors_half(0xc000) == -2.0f);
    assert_true(safetensors_half(0x7bff) == 65504.0f);
    assert_true(safetensors_half(0x83ff) == -ldexpf(1023, -24));
    assert_true(isinf(safetensors_half(0x7c00)) && isinf(safetensors_half(0xfc00)) && isnan(safetensors_half(0x7e01)));
    assert_true(signbit(safetensors_half(0x8000)) && safetensors_half(0x8000) == 0.0f);
    for (int bits = 0; bits < 0x7c00; bits++) {   /* each value by the definition */
        float wanted = bits < 1024 ? ldexpf((float)bits, -24) : ldexpf((float)(1024 + bits % 1024), bits / 1024 - 25);
        if (safetensors_half((uint16_t)bits) != wanted)
            fail_msg("half 0x%04x gives %g, expected %g", bits, (double)safetensors_half((uint16_t)bits), (double)wanted);
    }
}

static void a_full_disk_is_an_error(void **state) {
    (void)state;
    static float flat[2048];
    struct rlimit old, low;
    char *path = at("full.safetensors"), hex[SHA256_HEX];
    error e = {0};
    getrlimit(RLIMIT_FSIZE, &old);
    low = (struct rlimit){.rlim_cur = 200, .rlim_max = old.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &low);
    int code = safetensors_write(path, &two, flat, hex, &e);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_int_equal(code, EXIT_MACHINE);
    assert_non_null(strstr(e.text, path));
    free(path);
}

static void index_names(void **state) {
    (void)state;
    safetensors_folder f;
    error e = {0};
    char *folder = at("sharded"), *index = at("sharded/model.safetensors.index.json"), *pickled = at("sharded/pytorch_model.bin");
    mkdir(folder, 0777);
    assert_int_equal(safetensors_folder_open(&f, folder, &e), EXIT_USAGE);
    assert_int_equal(files_write_synced(pickled, "x", 1, &e), 0);
    assert_int_equal(safetensors_folder_open(&f, folder, &e), EXIT_USAGE);
    assert_non_null(strstr(e.text, "save_pretrained"));
    static const char *const bad[] = {"{\"weight_map\":{\"a\":\"../hostile.safetensors\"}}", "{\"weight_map\":{\"a\":\"\"}}",
                                      "{\"weight_map\":{\"a\":\"missing.safetensors\"}}", "{\"weight_map\":[]}", "{}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(files_write_synced(index, bad[i], strlen(bad[i]), &e), 0);
        if (safetensors_folder_open(&f, folder, &e) != EXIT_USAGE) fail_msg("accepted: %s", bad[i]);
    }
    free(folder), free(index), free(pickled);
}

int main(void) {
    const struct CMUnitTest all[] = {
        cmocka_unit_test(hostile_headers), cmocka_unit_test(many_tensors), cmocka_unit_test(short_files), cmocka_unit_test(zero_sized_and_scalar),
        cmocka_unit_test(layout), cmocka_unit_test(halves), cmocka_unit_test(a_full_disk_is_an_error), cmocka_unit_test(index_names),
    };
    return cmocka_run_group_tests(all, NULL, NULL);
}
