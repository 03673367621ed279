/* datagen/shard*.c: what is written is read again, equal rows give equal bytes, and damage is found before libhdf5 sees it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/files.h"
#include "base/rng.h"
#include "datagen/shard_manifest.h"
#include "datagen/shard_rows.h"
#include "datagen/shard_writer.h"
#include <cmocka.h>   /* last: its macro fail() must not meet ours */

enum { S = 16, P = 3, FILES = 2 };
static const uint64_t file_rows[FILES] = { 257, 600 };
static char folder[512];

static void fill_row(shard_rows *r, size_t i, uint64_t row) {
    rng_key k = rng_open(1, RNG_INIT, row, 0, 0);
    int length = 5 + (int)rng_below(k, 0, S - 4);
    for (int t = 0; t < S; t++) {
        r->input_ids[i * S + (size_t)t] = t < length ? 5 + (int32_t)rng_below(k, 10 + (uint64_t)t, 5) : 0;
        r->input_mask[i * S + (size_t)t] = t < length;
        r->segment_ids[i * S + (size_t)t] = t >= 3 && t < length;
    }
    for (int p = 0; p < P; p++) {
        r->positions[i * P + (size_t)p] = p < 2 ? p + 1 : 0;
        r->labels[i * P + (size_t)p] = p < 2 ? 5 + p : 0;
    }
    r->next_sentence[i] = (int8_t)(row % 2);
}

static void write_shard(const char *path, uint64_t first, uint64_t rows, int32_t bad_id, shard_manifest_file *f, uint16_t *lengths) {
    char hash[SHA256_HEX];
    memset(hash, 'a', sizeof hash - 1);
    hash[SHA256_HEX - 1] = '\0';
    shard_writer_settings settings = { S, P, true, true, STRIP_AUTO, hash, 7, 2 };
    shard_writer *w = shard_writer_new(&settings, rows, NULL);
    shard_rows *r = shard_rows_make(S, P, SHARD_CHUNK_ROWS);
    error e = {0};
    for (uint64_t at = 0; at < rows; at += r->count) {
        r->count = rows - at < SHARD_CHUNK_ROWS ? (size_t)(rows - at) : SHARD_CHUNK_ROWS;
        for (size_t i = 0; i < r->count; i++) {
            fill_row(r, i, first + at + i);
            if (bad_id && at + i == 5) r->input_ids[i * S + 1] = bad_id;
            uint16_t n = 0;
            while (n < S && r->input_mask[i * S + n]) n++;
            if (lengths) lengths[first + at + i] = n;
        }
        shard_writer_add(w, r);
    }
    char again[SHA256_HEX];
    if (shard_writer_finish(w, path, f->content, f->sha256, &f->bytes, &e) || sha256_file(path, again, NULL, &e)) fail_msg("%s", e.text);
    assert_string_equal(f->sha256, again);
    f->rows = rows;
    shard_rows_free(r);
    shard_writer_free(w);
}

static char *in_folder(const char *name) {
    static char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

/* A folder of two files; bad_id (0 = none) stands in row 5 of the second. */
static void make_folder(int32_t bad_id) {
    static const char words[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\nc\nd\ne\n";
    error e = {0};
    vocab *v;
    const char *base = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/shard-XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(folder));
    if (vocab_parse(&v, words, strlen(words), "words", &e)) fail_msg("%s", e.text);
    shard_manifest m = { .seq_length = S, .max_predictions = P, .has_nsp = true, .lowercase = true, .max_id = 9, .seed = 7 };
    uint16_t *lengths = must_alloc(file_rows[0] + file_rows[1], sizeof *lengths);
    shard_manifest_add_file(&m, "training_00000.hdf5", SHARD_TRAINING);
    shard_manifest_add_file(&m, "training_00001.hdf5", SHARD_TRAINING);
    write_shard(in_folder("training_00000.hdf5"), 0, file_rows[0], 0, &m.file[0], lengths);
    write_shard(in_folder("training_00001.hdf5"), file_rows[0], file_rows[1], bad_id, &m.file[1], lengths);
    if (shard_manifest_write_parts(&m, folder, (const uint16_t *const[2]){ lengths, NULL }, v, &e)
        || shard_manifest_write(&m, folder, &e)) fail_msg("%s", e.text);
    free(lengths);
    shard_manifest_free(&m);
    vocab_free(v);
}

static void remove_folder(void) {
    error e = {0};
    assert_int_equal(files_remove_tree(folder, &e), 0);
}

static void flip(const char *name, long at) {
    FILE *f = fopen(in_folder(name), "r+b");
    fseek(f, at, at < 0 ? SEEK_END : SEEK_SET);
    int c = fgetc(f);
    fseek(f, -1, SEEK_CUR);
    fputc(c ^ 1, f);
    fclose(f);
}

static void test_rows_come_back(void **state) {
    (void)state;
    make_folder(0);
    shard_folder *f;
    error e = {0};
    if (shard_folder_open(&f, folder, &e)) fail_msg("%s", e.text);
    const shard_info *info = shard_folder_info(f);
    assert_int_equal(info->rows[SHARD_TRAINING], 857);
    assert_int_equal(info->rows[SHARD_TEST], 0);
    assert_int_equal(info->vocab_size, 10);
    assert_int_equal(info->max_id, 9);
    assert_true(info->has_nsp && info->lowercase);
    shard_rows *r = shard_rows_new(f, 857), *want = shard_rows_make(S, P, 857);
    const uint64_t ranges[][2] = { { 0, 1 }, { 255, 2 }, { 256, 1 }, { 250, 20 }, { 0, 857 }, { 856, 1 }, { 513, 300 }, { 857, 0 } };
    for (size_t k = 0; k < sizeof ranges / sizeof *ranges; k++) {
        uint64_t first = ranges[k][0], n = ranges[k][1];
        if (shard_read_rows(f, SHARD_TRAINING, first, n, r, &e)) fail_msg("%s", e.text);
        assert_int_equal(r->count, n);
        for (size_t i = 0; i < n; i++) fill_row(want, i, first + i);
        assert_memory_equal(r->input_ids, want->input_ids, n * S * 4);
        assert_memory_equal(r->input_mask, want->input_mask, n * S);
        assert_memory_equal(r->segment_ids, want->segment_ids, n * S);
        assert_memory_equal(r->positions, want->positions, n * P * 4);
        assert_memory_equal(r->labels, want->labels, n * P * 4);
        assert_memory_equal(r->next_sentence, want->next_sentence, n);
        for (size_t i = 0; i < n; i++) assert_int_equal(r->input_mask[i * S + shard_lengths(f, SHARD_TRAINING)[first + i] - 1], 1);
    }
    assert_int_equal(shard_read_rows(f, SHARD_TRAINING, 850, 8, r, &e), EXIT_USAGE);
    shard_rows_free(r);
    shard_rows_free(want);
    shard_folder_free(f);
    remove_folder();
}

static void test_equal_rows_give_equal_bytes(void **state) {
    (void)state;
    make_folder(0);
    shard_manifest_file a = {0}, b = {0};
    write_shard(in_folder("x.hdf5"), 0, 300, 0, &a, NULL);
    sleep(1);                                              /* a time in the file would show */
    write_shard(in_folder("y.hdf5"), 0, 300, 0, &b, NULL);
    assert_string_equal(a.sha256, b.sha256);
    error e = {0};
    shard_file *f;
    char hex[SHA256_HEX];
    if (shard_file_open(&f, in_folder("x.hdf5"), &e) || shard_file_content_hash(f, hex, &e)) fail_msg("%s", e.text);
    assert_string_equal(hex, a.content);                   /* as libhdf5 decodes it, checksums checked */
    shard_file_close(f);
    remove_folder();
}

static void expect(int code, int want, const error *e, const char *what, const char *word) {
    if (code != want || !strstr(e->text, word)) fail_msg("%s: code %d, expected %d; text '%s' should hold '%s'", what, code, want, e->text, word);
}

static void test_damage_is_found(void **state) {
    (void)state;
    static const struct { const char *name; long at; int code; } flips[] = {
        { "training_00000.hdf5", 3000, EXIT_CORRUPT }, { "training_00001.hdf5", -1, EXIT_CORRUPT },
        { "lengths.u16", 10, EXIT_CORRUPT }, { "vocab.txt", 40, EXIT_CORRUPT }, { "manifest.json", 69, EXIT_CORRUPT }, { "manifest.json", 0, EXIT_USAGE } };
    for (size_t i = 0; i < sizeof flips / sizeof *flips; i++) {
        shard_folder *f = NULL;
        error e = {0};
        make_folder(0);
        flip(flips[i].name, flips[i].at);
        int code = shard_folder_open(&f, folder, &e);
        for (size_t k = 0; k < 2 && !code; k++) code = shard_folder_verify(f, k, &e);
        expect(code, flips[i].code, &e, flips[i].name, flips[i].name);
        shard_folder_free(f);
        remove_folder();
    }
}

static void test_missing_and_truncated(void **state) {
    (void)state;
    static const struct { const char *name; int code; } gone[] = {
        { "manifest.json", EXIT_USAGE }, { "training_00001.hdf5", EXIT_USAGE }, { "lengths.u16", EXIT_USAGE } };
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++) {
        shard_folder *f;
        error e = {0};
        make_folder(0);
        unlink(in_folder(gone[i].name));
        expect(shard_folder_open(&f, folder, &e), gone[i].code, &e, gone[i].name, i ? gone[i].name : "--adopt");
        remove_folder();
    }
    shard_folder *f;
    error e = {0};
    make_folder(0);
    assert_int_equal(truncate(in_folder("training_00000.hdf5"), 1000), 0);
    expect(shard_folder_open(&f, folder, &e), EXIT_CORRUPT, &e, "truncated", "1000");
    remove_folder();
}

static void test_changed_while_read(void **state) {
    (void)state;
    shard_folder *f;
    error e = {0};
    make_folder(0);
    if (shard_folder_open(&f, folder, &e)) fail_msg("%s", e.text);
    shard_rows *r = shard_rows_new(f, 10);
    assert_int_equal(shard_read_rows(f, SHARD_TRAINING, 0, 10, r, &e), 0);
    flip("training_00000.hdf5", 2000);
    expect(shard_read_rows(f, SHARD_TRAINING, 0, 10, r, &e), EXIT_CORRUPT, &e, "changed", "changed");
    shard_folder_trust(f, 1);                              /* another rank has hashed it: not hashed again, still looked at */
    assert_int_equal(shard_read_rows(f, SHARD_TRAINING, 300, 10, r, &e), 0);
    shard_rows_free(r);
    shard_folder_free(f);
    remove_folder();
}

static void test_values_out_of_range(void **state) {
    (void)state;
    shard_folder *f;
    error e = {0};
    make_folder(10);                                       /* the vocabulary has ids 0..9 */
    if (shard_folder_open(&f, folder, &e)) fail_msg("%s", e.text);
    shard_rows *r = shard_rows_new(f, 100);
    assert_int_equal(shard_read_rows(f, SHARD_TRAINING, 0, 100, r, &e), 0);
    expect(shard_read_rows(f, SHARD_TRAINING, 257, 100, r, &e), EXIT_USAGE, &e, "id 10", "training_00001.hdf5: row 5: input_ids");
    shard_rows_free(r);
    shard_folder_free(f);
    remove_folder();
}

/* Each impossible row and the word that its message must hold. */
static void test_row_check(void **state) {
    (void)state;
    shard_rows *r = shard_rows_make(S, P, 1);
    shard_rows_limits limits = { S, P, S, 10, NULL };
    r->count = 1;
    for (int k = 0; k < 9; k++) {
        static const char *const words[] =
            { "", "input_ids", "input_mask", "input_mask", "segment_ids", "outside the tokens", "ascending", "masked_lm_ids", "next_sentence" };
        error e = {0};
        fill_row(r, 0, 1);
        if (k == 1) r->input_ids[2] = -1;
        if (k == 2) r->input_mask[0] = 0;
        if (k == 3) r->input_mask[1] = 2;
        if (k == 4) r->segment_ids[S - 1] = 3;
        if (k == 5) r->positions[2] = S;
        if (k == 6) r->positions[1] = 1;
        if (k == 7) r->labels[0] = 10;
        if (k == 8) r->next_sentence[0] = 2;
        expect(shard_rows_check(r, &limits, NULL, "file", 0, &e), k ? EXIT_USAGE : 0, &e, words[k], words[k]);
    }
    shard_rows_free(r);
}

/* An independent form: sums modulo 65535 of big-endian words. Where that is 0, HDF5's end-around carry leaves 65535 unless all was 0. */
static uint32_t slow_fletcher32(const unsigned char *p, size_t bytes) {
    uint64_t a = 0, b = 0;
    for (size_t i = 0; i < bytes; i += 2) {
        a = (a + ((unsigned)p[i] << 8 | (i + 1 < bytes ? p[i + 1] : 0u))) % 65535;
        b = (b + a) % 65535;
    }
    return (uint32_t)((b ? b : 65535) << 16 | (a ? a : 65535));
}

static void test_fletcher32(void **state) {
    (void)state;
    unsigned char data[3000];
    for (size_t i = 0; i < sizeof data; i++) data[i] = (unsigned char)(i * i * 7 + 1);
    for (size_t n = 2; n < sizeof data; n += 37) assert_int_equal(shard_fletcher32(data, n), slow_fletcher32(data, n));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_come_back), cmocka_unit_test(test_equal_rows_give_equal_bytes), cmocka_unit_test(test_damage_is_found),
        cmocka_unit_test(test_missing_and_truncated), cmocka_unit_test(test_changed_while_read), cmocka_unit_test(test_values_out_of_range),
        cmocka_unit_test(test_row_check), cmocka_unit_test(test_fletcher32),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
