/* datagen/shard_writer.c - see shard_writer.h. Compressed chunks wait in memory, since a file holds dataset after dataset while examples
 * come row after row; the content hash is taken from the chunks inflated again, which also proves that they can be. */
#include <assert.h>
#include <hdf5.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include "base/files.h"
#include "datagen/shard_writer.h"

typedef struct chunk { unsigned char *data; size_t bytes; } chunk;

struct shard_writer {
    shard_writer_settings settings;
    shard_shape shape;
    char vocab_hash[SHA256_HEX];
    uint64_t chunk_rows, chunks, added;     /* added: chunks */
    chunk *chunk[SHARD_DATASETS];
    unsigned char *scratch;                 /* one chunk of raw rows, zero-filled at the end */
    int64_t max_id;
};

uint32_t shard_fletcher32(const void *data, size_t bytes) {
    const unsigned char *p = data;
    uint32_t sum1 = 0, sum2 = 0;
    for (size_t words = bytes / 2; words > 0; ) {
        size_t part = words > 360 ? 360 : words;          /* before the sums can overflow */
        words -= part;
        for (; part > 0; part--, p += 2) {
            sum1 += (uint32_t)p[0] << 8 | p[1];
            sum2 += sum1;
        }
        sum1 = (sum1 & 0xFFFF) + (sum1 >> 16);
        sum2 = (sum2 & 0xFFFF) + (sum2 >> 16);
    }
    if (bytes % 2) {
        sum1 += (uint32_t)*p << 8;
        sum2 += sum1;
        sum1 = (sum1 & 0xFFFF) + (sum1 >> 16);
        sum2 = (sum2 & 0xFFFF) + (sum2 >> 16);
    }
    sum1 = (sum1 & 0xFFFF) + (sum1 >> 16);
    sum2 = (sum2 & 0xFFFF) + (sum2 >> 16);
    return sum2 << 16 | sum1;
}

static size_t row_bytes(const shard_writer *w, int d) {
    return shard_dataset_columns((enum shard_dataset)d, &w->shape) * shard_dataset_width((enum shard_dataset)d);
}

static int datasets(const shard_writer *w) { return w->shape.has_nsp ? SHARD_DATASETS : SHARD_DATASETS - 1; }

shard_writer *shard_writer_new(const shard_writer_settings *settings, uint64_t rows) {
    shard_writer *w = must_zalloc(1, sizeof *w);
    w->settings = *settings;
    w->shape = (shard_shape){ rows, settings->seq_length, settings->max_predictions, settings->has_nsp };
    memcpy(w->vocab_hash, settings->vocab_hash, SHA256_HEX);
    w->chunk_rows = rows < SHARD_CHUNK_ROWS ? rows : SHARD_CHUNK_ROWS;
    w->chunks = (rows + w->chunk_rows - 1) / w->chunk_rows;
    for (int d = 0; d < datasets(w); d++) w->chunk[d] = must_zalloc(w->chunks, sizeof *w->chunk[d]);
    w->scratch = must_alloc(w->chunk_rows * (settings->seq_length > settings->max_predictions ? settings->seq_length : settings->max_predictions), 4);
    return w;
}

void shard_writer_free(shard_writer *w) {
    if (!w) return;
    for (int d = 0; d < datasets(w); d++) {
        for (uint64_t i = 0; i < w->chunks; i++) free(w->chunk[d][i].data);
        free(w->chunk[d]);
    }
    free(w->scratch);
    free(w);
}

static void squeeze(shard_writer *w, int d, const void *rows, size_t count) {
    size_t raw = w->chunk_rows * row_bytes(w, d), used = count * row_bytes(w, d);
    memcpy(w->scratch, rows, used);
    memset(w->scratch + used, 0, raw - used);
    uLongf bytes = compressBound((uLong)raw);
    unsigned char *packed = must_alloc(bytes + 4, 1);
    int got = compress2(packed, &bytes, w->scratch, (uLong)raw, SHARD_DEFLATE_LEVEL);
    if (got != Z_OK) fail(EXIT_MACHINE, "zlib cannot compress %zu bytes: code %d", raw, got);
    uint32_t sum = shard_fletcher32(packed, bytes);
    for (int i = 0; i < 4; i++) packed[bytes + (size_t)i] = (unsigned char)(sum >> 8 * i);
    w->chunk[d][w->added] = (chunk){ must_realloc(packed, bytes + 4, 1), bytes + 4 };
}

void shard_writer_add(shard_writer *w, const shard_rows *r) {
    assert(w->added < w->chunks && r->count > 0);
    assert(r->count == w->chunk_rows || w->added * w->chunk_rows + r->count == w->shape.rows);
    const void *const data[SHARD_DATASETS] = { r->input_ids, r->input_mask, r->segment_ids, r->positions, r->labels, r->next_sentence };
    for (int d = 0; d < datasets(w); d++) squeeze(w, d, data[d], r->count);
    for (size_t i = 0; i < r->count * w->shape.seq_length; i++) if (r->input_ids[i] > w->max_id) w->max_id = r->input_ids[i];
    for (size_t i = 0; i < r->count * w->shape.max_predictions; i++) if (r->labels[i] > w->max_id) w->max_id = r->labels[i];
    w->added++;
}

int64_t shard_writer_max_id(const shard_writer *w) { return w->max_id; }

static void content_hash(shard_writer *w, char hex[SHA256_HEX]) {
    sha256 hash;
    sha256_init(&hash);
    for (int d = 0; d < datasets(w); d++) {
        for (uint64_t i = 0; i < w->chunks; i++) {
            uint64_t rows = i + 1 < w->chunks ? w->chunk_rows : w->shape.rows - i * w->chunk_rows;
            uLongf bytes = (uLongf)(w->chunk_rows * row_bytes(w, d));
            if (uncompress(w->scratch, &bytes, w->chunk[d][i].data, (uLong)w->chunk[d][i].bytes - 4) != Z_OK)
                fail(EXIT_MACHINE, "zlib cannot read its own output: check this machine's memory");
            sha256_add(&hash, w->scratch, rows * row_bytes(w, d));
        }
    }
    sha256_end_hex(&hash, hex);
}

static int write_dataset(shard_writer *w, hid_t file, int d) {
    enum shard_dataset which = (enum shard_dataset)d;
    int rank = which == DATA_NEXT ? 1 : 2;
    hsize_t columns = shard_dataset_columns(which, &w->shape), dims[2] = { w->shape.rows, columns }, part[2] = { w->chunk_rows, columns };
    hid_t list = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(rank, dims, NULL), data = -1;
    int bad = list < 0 || space < 0 || H5Pset_chunk(list, rank, part) < 0 || H5Pset_deflate(list, SHARD_DEFLATE_LEVEL) < 0 || H5Pset_fletcher32(list) < 0
           || H5Pset_obj_track_times(list, false) < 0 || H5Pset_fill_time(list, H5D_FILL_TIME_NEVER) < 0
           || (data = H5Dcreate2(file, shard_dataset_name(which), shard_dataset_width(which) == 4 ? H5T_STD_I32LE : H5T_STD_I8LE, space, H5P_DEFAULT, list,
                                 H5P_DEFAULT)) < 0;
    for (uint64_t i = 0; i < w->chunks && !bad; i++) {
        hsize_t at[2] = { i * w->chunk_rows, 0 };
        bad = H5Dwrite_chunk(data, H5P_DEFAULT, 0, at, w->chunk[d][i].bytes, w->chunk[d][i].data) < 0;
    }
    if (data >= 0) bad |= H5Dclose(data) < 0;
    if (space >= 0) H5Sclose(space);
    if (list >= 0) H5Pclose(list);
    return bad;
}

/* A scalar attribute of the root: text when `text` is given, else the number. */
static int attribute(hid_t file, const char *name, const char *text, int64_t number) {
    hid_t type = text ? H5Tcopy(H5T_C_S1) : H5Tcopy(H5T_STD_I64LE), space = H5Screate(H5S_SCALAR), a = -1;
    int bad = type < 0 || space < 0 || (text && H5Tset_size(type, strlen(text) + 1) < 0)
           || (a = H5Acreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT)) < 0
           || H5Awrite(a, text ? type : H5T_NATIVE_INT64, text ? (const void *)text : (const void *)&number) < 0;
    if (a >= 0) H5Aclose(a);
    if (space >= 0) H5Sclose(space);
    if (type >= 0) H5Tclose(type);
    return bad;
}

static int write_attributes(const shard_writer *w, hid_t file) {
    static const char *const strip[] = { "auto", "yes", "no" };
    const shard_writer_settings *s = &w->settings;
    return attribute(file, "format_version", NULL, SHARD_FORMAT_VERSION) || attribute(file, "seq_length", NULL, s->seq_length)
        || attribute(file, "max_predictions", NULL, s->max_predictions) || attribute(file, "vocab_sha256", w->vocab_hash, 0)
        || attribute(file, "lowercase", NULL, s->lowercase) || attribute(file, "strip_accents", strip[s->strip_accents], 0)
        || attribute(file, "seed", NULL, (int64_t)s->seed) || attribute(file, "max_id", NULL, w->max_id);
}

/* Attributes stay in the root's header whatever their number; nothing in the file tells when it was written. */
static hid_t create_file(const char *path) {
    hid_t access = H5Pcreate(H5P_FILE_ACCESS), create = H5Pcreate(H5P_FILE_CREATE), file = -1;
    if (access >= 0 && create >= 0 && H5Pset_libver_bounds(access, H5F_LIBVER_V18, H5F_LIBVER_V18) >= 0 && H5Pset_obj_track_times(create, false) >= 0
        && H5Pset_attr_phase_change(create, 32, 16) >= 0) file = H5Fcreate(path, H5F_ACC_EXCL, create, access);
    if (access >= 0) H5Pclose(access);
    if (create >= 0) H5Pclose(create);
    return file;
}

int shard_writer_finish(shard_writer *w, const char *path, char hex[SHA256_HEX], error *e) {
    assert(w->added == w->chunks);
    shard_file_start();
    content_hash(w, hex);
    hid_t file = create_file(path);
    int bad = file < 0;
    for (int d = 0; d < datasets(w) && !bad; d++) bad = write_dataset(w, file, d);
    if (!bad) bad = write_attributes(w, file) || H5Fflush(file, H5F_SCOPE_LOCAL) < 0 || attribute(file, "complete", NULL, 1);
    if (file >= 0) bad |= H5Fclose(file) < 0;
    if (bad) return error_set(e, EXIT_MACHINE, "%s: writing failed; is the file system full?", path);
    return files_sync(path, e);
}
