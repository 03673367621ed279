/* datagen/shard_writer_file.c - packed chunks to an HDF5 file; see shard_writer.h. */
#include <hdf5.h>
#include <stdlib.h>
#include <string.h>
#include "datagen/shard_writer_parts.h"

static pthread_mutex_t library = PTHREAD_MUTEX_INITIALIZER;   /* libhdf5 is not for several threads */

static int write_dataset(shard_writer *w, hid_t file, int d, error *e) {
    enum shard_dataset which = (enum shard_dataset)d;
    int rank = which == DATA_NEXT ? 1 : 2;
    hsize_t columns = shard_dataset_columns(which, &w->shape), dims[2] = { w->shape.rows, columns }, part[2] = { w->chunk_rows, columns };
    hid_t list = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(rank, dims, NULL), data = -1;
    int bad = list < 0 || space < 0 || H5Pset_chunk(list, rank, part) < 0 || H5Pset_deflate(list, SHARD_DEFLATE_LEVEL) < 0 || H5Pset_fletcher32(list) < 0
           || H5Pset_obj_track_times(list, false) < 0 || H5Pset_fill_time(list, H5D_FILL_TIME_NEVER) < 0
           || (data = H5Dcreate2(file, shard_dataset_name(which), shard_dataset_width(which) == 4 ? H5T_STD_I32LE : H5T_STD_I8LE, space, H5P_DEFAULT, list,
                                 H5P_DEFAULT)) < 0;
    store_scratch scratch = {0};
    for (uint64_t i = 0; i < w->chunks && !bad; i++) {
        hsize_t at[2] = { i * w->chunk_rows, 0 };
        const void *packed = writer_packed(w, d, i, &scratch, e);
        bad = !packed || H5Dwrite_chunk(data, H5P_DEFAULT, 0, at, (size_t)w->chunk[i].packed[d], packed) < 0;
    }
    free(scratch.data);
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

int writer_place(shard_writer *w, const char *path, error *e) {
    pthread_mutex_lock(&library);
    shard_file_start();
    hid_t file = create_file(path);
    int bad = file < 0;
    for (int d = 0; d < writer_datasets(w) && !bad; d++) bad = write_dataset(w, file, d, e);
    if (!bad) bad = write_attributes(w, file) || H5Fflush(file, H5F_SCOPE_LOCAL) < 0 || attribute(file, "complete", NULL, 1);
    if (file >= 0) bad |= H5Fclose(file) < 0;
    pthread_mutex_unlock(&library);
    if (bad && !e->code) error_set(e, EXIT_MACHINE, "%s: writing failed; is the file system full?", path);
    return bad ? e->code : 0;
}
