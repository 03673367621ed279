/* datagen/shard_file.c - see shard_file.h. Only calls that HDF5 1.10 and 1.14 both have. */
#include <hdf5.h>
#include <stdlib.h>
#include <string.h>
#include "base/sha256.h"
#include "datagen/shard_file.h"

static const uint64_t most_rows = (uint64_t)1 << 40;
static const uint64_t most_chunk_bytes = (uint64_t)256 << 20;
enum { LONGEST_ROW = 65535, HASH_BYTES = 4 << 20 };

struct shard_file {
    char *path;
    hid_t file, data[SHARD_DATASETS];
    shard_shape shape;
};

const char *shard_dataset_name(enum shard_dataset d) {
    static const char *const names[SHARD_DATASETS] =
        { "input_ids", "input_mask", "segment_ids", "masked_lm_positions", "masked_lm_ids", "next_sentence_labels" };
    return names[d];
}

size_t shard_dataset_width(enum shard_dataset d) { return d == DATA_INPUT_IDS || d == DATA_POSITIONS || d == DATA_LABELS ? 4 : 1; }

size_t shard_dataset_columns(enum shard_dataset d, const shard_shape *s) {
    return d == DATA_NEXT ? 1 : d == DATA_POSITIONS || d == DATA_LABELS ? s->max_predictions : s->seq_length;
}

void shard_file_start(void) {
    static bool started;
    if (started) return;
    started = true;
    setenv("HDF5_USE_FILE_LOCKING", "FALSE", 0);   /* read by libhdf5 whenever it opens a file; a user's own setting stays */
    H5dont_atexit();                               /* after a failed write 1.10 crashes when it cleans up at exit; we close all that can be closed */
    H5open();
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    H5PLset_loading_state(0);
}

static int refuse(const shard_file *f, enum shard_dataset d, const char *what, error *e) {
    return error_set(e, EXIT_USAGE, "%s: %s: %s; not a shard in NVIDIA's format", f->path, shard_dataset_name(d), what);
}

/* Storage of a dataset: layout, chunk size, filters. NULL when all is well, else what is wrong. */
static const char *storage_fault(hid_t data, int rank) {
    hid_t list = H5Dget_create_plist(data);
    if (list < 0) return "its storage cannot be read";
    const char *fault = NULL;
    H5D_layout_t layout = H5Pget_layout(list);
    if (layout != H5D_CHUNKED && layout != H5D_CONTIGUOUS && layout != H5D_COMPACT) fault = "its layout is virtual or unknown";
    if (!fault && H5Pget_external_count(list) != 0) fault = "its content is in an external file";
    if (!fault && layout == H5D_CHUNKED) {
        hsize_t chunk[2] = { 1, 1 };
        if (H5Pget_chunk(list, rank, chunk) != rank || chunk[0] > most_chunk_bytes / 8 || chunk[1] > most_chunk_bytes / 8
            || chunk[0] * chunk[1] > most_chunk_bytes / 8) fault = "its chunks are larger than 256 MiB";
    }
    int filters = fault ? 0 : H5Pget_nfilters(list);
    if (filters < 0) fault = "its filters cannot be read";
    for (int i = 0; i < filters && !fault; i++) {
        unsigned flags, config;
        size_t values = 0;
        H5Z_filter_t id = H5Pget_filter2(list, (unsigned)i, &flags, &values, NULL, 0, NULL, &config);
        if (id != H5Z_FILTER_DEFLATE && id != H5Z_FILTER_SHUFFLE && id != H5Z_FILTER_FLETCHER32)
            fault = "it has a filter other than deflate, shuffle, fletcher32";
    }
    H5Pclose(list);
    return fault;
}

/* Type and dimensions; dims[1] is 1 for a vector. */
static const char *shape_fault(hid_t data, int rank, hsize_t dims[2]) {
    hid_t type = H5Dget_type(data), space = H5Dget_space(data);
    const char *fault = NULL;
    dims[1] = 1;
    if (type < 0 || H5Tget_class(type) != H5T_INTEGER || H5Tget_size(type) > 8) fault = "its values are no integers";
    else if (space < 0 || H5Sget_simple_extent_type(space) != H5S_SIMPLE || H5Sget_simple_extent_ndims(space) != rank)
        fault = rank == 2 ? "it is not two-dimensional" : "it is not one-dimensional";
    else if (H5Sget_simple_extent_dims(space, dims, NULL) != rank || dims[0] > most_rows || dims[0] == 0 || dims[1] > LONGEST_ROW || dims[1] == 0)
        fault = "its size is out of bounds";
    if (type >= 0) H5Tclose(type);
    if (space >= 0) H5Sclose(space);
    return fault;
}

static int open_dataset(shard_file *f, enum shard_dataset d, error *e) {
    const char *name = shard_dataset_name(d);
    H5L_info_t link;
    if (H5Lexists(f->file, name, H5P_DEFAULT) <= 0) {
        if (d != DATA_NEXT) return refuse(f, d, "the dataset is missing", e);
        f->shape.has_nsp = false;
        return 0;
    }
    if (H5Lget_info(f->file, name, &link, H5P_DEFAULT) < 0 || link.type != H5L_TYPE_HARD) return refuse(f, d, "it is a link to elsewhere", e);
    if ((f->data[d] = H5Dopen2(f->file, name, H5P_DEFAULT)) < 0) return refuse(f, d, "it cannot be opened as a dataset", e);
    int rank = d == DATA_NEXT ? 1 : 2;
    hsize_t dims[2];
    const char *fault = shape_fault(f->data[d], rank, dims);
    if (!fault) fault = storage_fault(f->data[d], rank);
    if (fault) return refuse(f, d, fault, e);
    shard_shape *s = &f->shape;
    if (d == DATA_INPUT_IDS) {
        s->rows = dims[0];
        s->seq_length = (uint32_t)dims[1];
    }
    if (d == DATA_POSITIONS) s->max_predictions = (uint32_t)dims[1];
    if (d == DATA_NEXT) s->has_nsp = true;
    if (dims[0] != s->rows || dims[1] != shard_dataset_columns(d, s)) return refuse(f, d, "its size disagrees with the other datasets", e);
    return 0;
}

int shard_file_open(shard_file **out, const char *path, error *e) {
    shard_file_start();
    *out = NULL;
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    if (file < 0) return error_set(e, EXIT_USAGE, "%s: not a readable HDF5 file", path);
    shard_file *f = must_zalloc(1, sizeof *f);
    f->path = must_strdup(path);
    f->file = file;
    for (int d = 0; d < SHARD_DATASETS; d++) f->data[d] = -1;
    for (int d = 0; d < SHARD_DATASETS; d++) {
        if (open_dataset(f, (enum shard_dataset)d, e)) {
            shard_file_close(f);
            return e->code;
        }
    }
    *out = f;
    return 0;
}

void shard_file_close(shard_file *f) {
    if (!f) return;
    for (int d = 0; d < SHARD_DATASETS; d++) if (f->data[d] >= 0) H5Dclose(f->data[d]);
    H5Fclose(f->file);
    free(f->path);
    free(f);
}

const shard_shape *shard_file_shape(const shard_file *f) { return &f->shape; }

int shard_file_read(shard_file *f, enum shard_dataset d, uint64_t first, size_t n, void *out, error *e) {
    hsize_t start[2] = { first, 0 }, count[2] = { n, shard_dataset_columns(d, &f->shape) };
    int rank = d == DATA_NEXT ? 1 : 2;
    hid_t disk = H5Dget_space(f->data[d]), memory = H5Screate_simple(rank, count, NULL);
    herr_t bad = disk < 0 || memory < 0 || H5Sselect_hyperslab(disk, H5S_SELECT_SET, start, NULL, count, NULL) < 0
              || H5Dread(f->data[d], shard_dataset_width(d) == 4 ? H5T_NATIVE_INT32 : H5T_NATIVE_INT8, memory, disk, H5P_DEFAULT, out) < 0;
    if (disk >= 0) H5Sclose(disk);
    if (memory >= 0) H5Sclose(memory);
    if (!bad) return 0;
    return error_set(e, EXIT_USAGE, "%s: %s: rows %llu to %llu cannot be read: the file is damaged", f->path, shard_dataset_name(d),
                     (unsigned long long)first, (unsigned long long)(first + n - 1));
}

int shard_file_read_rows(shard_file *f, uint64_t first, size_t n, shard_rows *r, error *e) {
    void *const into[SHARD_DATASETS] = { r->input_ids, r->input_mask, r->segment_ids, r->positions, r->labels, r->next_sentence };
    for (int d = 0; d < SHARD_DATASETS; d++) {
        if (d == DATA_NEXT && !f->shape.has_nsp) memset(r->next_sentence, 0, n);
        else if (shard_file_read(f, (enum shard_dataset)d, first, n, into[d], e)) return e->code;
    }
    r->count = n;
    return 0;
}

int shard_file_content_hash(shard_file *f, char hex[65], error *e) {
    sha256 hash;
    sha256_init(&hash);
    int code = 0;
    for (int i = 0; i < SHARD_DATASETS && !code; i++) {
        enum shard_dataset d = (enum shard_dataset)i;
        if (d == DATA_NEXT && !f->shape.has_nsp) break;
        size_t row = shard_dataset_columns(d, &f->shape) * shard_dataset_width(d);
        size_t most = HASH_BYTES / row;                        /* at least 16, since a row has at most 65,535 values */
        char *block = must_alloc(most, row);
        for (uint64_t at = 0; at < f->shape.rows && !code; at += most) {
            size_t n = f->shape.rows - at < most ? (size_t)(f->shape.rows - at) : most;
            code = shard_file_read(f, d, at, n, block, e);
            sha256_add(&hash, block, n * row);
        }
        free(block);
    }
    sha256_end_hex(&hash, hex);
    return code;
}
