/* trainer/training_state.c - training.h5 through a file driver of our own. */
#define _XOPEN_SOURCE 700   /* pread, pwrite, ftruncate */
#include "trainer/training_state.h"
#include <errno.h>
#include <fcntl.h>
#include <hdf5.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#if H5_VERSION_GE(1, 13, 0)
#include <H5FDdevelop.h>
#endif

enum { CHUNK_ELEMENTS = 65536 };

struct training_file {
    char *path;
    hid_t driver, access, file;
    bool writes;
};

/* The driver: pread and pwrite on one descriptor. Of writes it keeps the first error and reports success: libhdf5 keeps its books
 * straight and closes cleanly, and training_file_put() and _close() ask for the error. It takes no lock: the run's own lock and the
 * manifest's hash do more, on every file system. */

typedef struct door {
    H5FD_t base;                         /* libhdf5's own part: stays first */
    int fd;
    haddr_t eoa, eof;
    bool writes;
    dev_t device;
    ino_t inode;
} door;

static int first_error;                  /* of the one file being written; errno's values */

static H5FD_t *door_open(const char *name, unsigned flags, hid_t access, haddr_t limit) {
    (void)access, (void)limit;
    bool writes = flags & H5F_ACC_RDWR;
    int fd = open(name, writes ? O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC : O_RDONLY | O_CLOEXEC, 0666);
    struct stat st;
    if (fd < 0 || fstat(fd, &st)) {
        first_error = errno;
        if (fd >= 0) close(fd);
        return NULL;
    }
    door *d = must_zalloc(1, sizeof *d);
    *d = (door){.fd = fd, .eof = (haddr_t)st.st_size, .writes = writes, .device = st.st_dev, .inode = st.st_ino};
    return &d->base;
}

static void keep_error(void) {
    if (!first_error) first_error = errno ? errno : EIO;
}

static herr_t door_close(H5FD_t *file) {
    door *d = (door *)file;
    if (d->writes && !first_error && fsync(d->fd)) keep_error();
    if (close(d->fd) && d->writes) keep_error();
    free(d);
    return 0;
}

static int door_compare(const H5FD_t *a, const H5FD_t *b) {
    const door *x = (const door *)a, *y = (const door *)b;
    if (x->device != y->device) return x->device < y->device ? -1 : 1;
    return (x->inode > y->inode) - (x->inode < y->inode);
}

static herr_t door_query(const H5FD_t *file, unsigned long *flags) {
    (void)file;
    *flags = H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_AGGREGATE_SMALLDATA | H5FD_FEAT_ACCUMULATE_METADATA;
    return 0;
}

static haddr_t door_get_eoa(const H5FD_t *file, H5FD_mem_t type) { (void)type; return ((const door *)file)->eoa; }
static haddr_t door_get_eof(const H5FD_t *file, H5FD_mem_t type) { (void)type; return ((const door *)file)->eof; }
static herr_t door_set_eoa(H5FD_t *file, H5FD_mem_t type, haddr_t at) { (void)type; ((door *)file)->eoa = at; return 0; }

static herr_t door_read(H5FD_t *file, H5FD_mem_t type, hid_t transfer, haddr_t at, size_t bytes, void *out) {
    (void)type, (void)transfer;
    const door *d = (const door *)file;
    char *p = out;
    while (bytes) {
        ssize_t n = pread(d->fd, p, bytes, (off_t)at);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && !d->writes) { keep_error(); return -1; }
        if (n <= 0) { memset(p, 0, bytes); break; }   /* beyond the end: zeros, as libhdf5's own driver does */
        p += n, at += (haddr_t)n, bytes -= (size_t)n;
    }
    return 0;
}

static herr_t door_write(H5FD_t *file, H5FD_mem_t type, hid_t transfer, haddr_t at, size_t bytes, const void *data) {
    (void)type, (void)transfer;
    door *d = (door *)file;
    const char *p = data;
    while (bytes && !first_error) {
        ssize_t n = pwrite(d->fd, p, bytes, (off_t)at);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) { keep_error(); break; }
        p += n, at += (haddr_t)n, bytes -= (size_t)n;
    }
    if (at + bytes > d->eof) d->eof = at + bytes;
    return 0;
}

static herr_t door_truncate(H5FD_t *file, hid_t transfer, hbool_t closing) {
    (void)transfer, (void)closing;
    door *d = (door *)file;
    if (!d->writes || d->eof == d->eoa) return 0;
    if (!first_error && ftruncate(d->fd, (off_t)d->eoa)) keep_error();
    d->eof = d->eoa;
    return 0;
}

static hid_t register_door(void) {
    static H5FD_class_t driver = {
        .name = "bert", .maxaddr = ((haddr_t)1 << 62) - 1, .fc_degree = H5F_CLOSE_STRONG, .open = door_open, .close = door_close,
        .cmp = door_compare, .query = door_query, .get_eoa = door_get_eoa, .set_eoa = door_set_eoa, .get_eof = door_get_eof,
        .read = door_read, .write = door_write, .truncate = door_truncate, .fl_map = H5FD_FLMAP_DICHOTOMY,
    };
#if H5_VERSION_GE(1, 13, 0)
    driver.version = H5FD_CLASS_VERSION;
    driver.value = (H5FD_class_value_t)600;   /* in the range libhdf5 leaves to programs */
#endif
    return H5FDregister(&driver);
}

/* Metadata stays in libhdf5's cache until close: after a failed write it must never be read back. */
static void keep_metadata(hid_t access) {
    H5AC_cache_config_t c = {.version = H5AC__CURR_CACHE_CONFIG_VERSION};
    H5Pget_mdc_config(access, &c);
    c.evictions_enabled = 0;
    c.incr_mode = H5C_incr__off;
    c.flash_incr_mode = H5C_flash_incr__off;
    c.decr_mode = H5C_decr__off;
    H5Pset_mdc_config(access, &c);
}

static training_file *file_new(const char *path, bool writes) {
    training_file *f = must_zalloc(1, sizeof *f);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);   /* one line per error, and it is ours */
    *f = (training_file){.path = must_strdup(path), .driver = register_door(), .access = H5Pcreate(H5P_FILE_ACCESS), .file = -1, .writes = writes};
    H5Pset_driver(f->access, f->driver, NULL);
    H5Pset_libver_bounds(f->access, H5F_LIBVER_V18, H5F_LIBVER_V18);
    if (writes) keep_metadata(f->access);
    first_error = 0;
    return f;
}

static int write_failed(const training_file *f, error *e) {
    return error_set(e, EXIT_MACHINE, "%s: cannot be written: %s", f->path, first_error ? strerror(first_error) : "libhdf5 refused");
}

/* Attributes. */

typedef struct attribute { const char *name; hid_t type; void *value; } attribute;

enum { ATTRIBUTES = 14 };

/* The one list of them, for writing and reading. */
static void list_attributes(attribute a[ATTRIBUTES], training_state *s, int64_t *version, int8_t *bias_correction, int8_t *nsp) {
    hid_t whole = H5T_NATIVE_INT64, real = H5T_NATIVE_DOUBLE, byte = H5T_NATIVE_INT8;
    attribute all[ATTRIBUTES] = {
        {"format_version", whole, version}, {"step", whole, &s->step}, {"next_step", whole, &s->next_step},
        {"adam_step", whole, &s->adam_step}, {"seed", H5T_NATIVE_UINT64, &s->seed}, {"learning_rate", real, &s->learning_rate},
        {"loss", real, &s->loss}, {"beta1", real, &s->settings.beta1}, {"beta2", real, &s->settings.beta2},
        {"epsilon", real, &s->settings.epsilon}, {"weight_decay", real, &s->settings.weight_decay},
        {"clip_norm", real, &s->settings.clip_norm}, {"bias_correction", byte, bias_correction}, {"nsp", byte, nsp},
    };
    memcpy(a, all, sizeof all);
}

static hid_t stored_type(hid_t native) {   /* the same bytes on every machine */
    if (H5Tequal(native, H5T_NATIVE_DOUBLE) > 0) return H5T_IEEE_F64LE;
    if (H5Tequal(native, H5T_NATIVE_UINT64) > 0) return H5T_STD_U64LE;
    return H5Tequal(native, H5T_NATIVE_INT8) > 0 ? H5T_STD_I8LE : H5T_STD_I64LE;
}

static bool put_attribute(hid_t file, const char *name, hid_t native, const void *value) {
    hid_t space = H5Screate(H5S_SCALAR), a = H5Acreate2(file, name, stored_type(native), space, H5P_DEFAULT, H5P_DEFAULT);
    bool done = a >= 0 && H5Awrite(a, native, value) >= 0;
    if (a >= 0) H5Aclose(a);
    H5Sclose(space);
    return done;
}

static bool get_attribute(hid_t file, const char *name, hid_t native, void *value) {
    hid_t a = H5Aexists(file, name) > 0 ? H5Aopen(file, name, H5P_DEFAULT) : -1;
    if (a < 0) return false;
    hid_t space = H5Aget_space(a);
    bool done = H5Sget_simple_extent_npoints(space) == 1 && H5Aread(a, native, value) >= 0;
    H5Sclose(space);
    H5Aclose(a);
    return done;
}

static bool put_config(hid_t file, const char *text) {
    hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR), creation = H5Pcreate(H5P_DATASET_CREATE);
    H5Tset_size(type, strlen(text) + 1);
    H5Pset_obj_track_times(creation, 0);
    hid_t d = H5Dcreate2(file, "config", type, space, H5P_DEFAULT, creation, H5P_DEFAULT);   /* a dataset: attributes end at 64 KiB */
    bool done = d >= 0 && H5Dwrite(d, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, text) >= 0;
    if (d >= 0) H5Dclose(d);
    H5Pclose(creation);
    H5Sclose(space);
    H5Tclose(type);
    return done;
}

int training_file_create(training_file **out, const char *path, const training_state *s, error *e) {
    training_file *f = *out = file_new(path, true);
    hid_t creation = H5Pcreate(H5P_FILE_CREATE);
    H5Pset_obj_track_times(creation, 0);
    f->file = H5Fcreate(path, H5F_ACC_TRUNC, creation, f->access);
    H5Pclose(creation);
    if (f->file < 0 || first_error) return write_failed(f, e);
    training_state copy = *s;
    int64_t version = TRAINING_STATE_VERSION;
    int8_t bias_correction = s->settings.bias_correction, nsp = s->settings.nsp;
    attribute a[ATTRIBUTES];
    list_attributes(a, &copy, &version, &bias_correction, &nsp);
    bool done = put_config(f->file, s->config_yaml ? s->config_yaml : "");
    for (int i = 0; i < ATTRIBUTES; i++) done = done && put_attribute(f->file, a[i].name, a[i].type, a[i].value);
    return done && !first_error ? 0 : write_failed(f, e);
}

static bool put_tensor(hid_t group, const tensor *t, const float *data) {
    hsize_t shape[2] = {t->rows, t->columns}, chunk[2] = {1, t->columns < CHUNK_ELEMENTS ? t->columns : CHUNK_ELEMENTS};
    hsize_t most = CHUNK_ELEMENTS / chunk[1], pieces = (t->rows + most - 1) / most;
    int skip = t->vector ? 1 : 0;
    chunk[0] = (t->rows + pieces - 1) / pieces;   /* equal chunks: the last one pads little */
    hid_t space = H5Screate_simple(2 - skip, shape + skip, NULL), creation = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(creation, 2 - skip, chunk + skip);
    H5Pset_fletcher32(creation);
    H5Pset_obj_track_times(creation, 0);
    H5Pset_fill_time(creation, H5D_FILL_TIME_ALLOC);   /* what a last chunk holds beyond the tensor is 0, not memory's leavings */
    hid_t d = H5Dcreate2(group, t->name, H5T_IEEE_F32LE, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    bool done = d >= 0 && H5Dwrite(d, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0;
    if (d >= 0) H5Dclose(d);
    H5Pclose(creation);
    H5Sclose(space);
    return done;
}

int training_file_put(training_file *f, const model *m, const char *group, const float *flat, error *e) {
    hid_t creation = H5Pcreate(H5P_GROUP_CREATE);
    H5Pset_obj_track_times(creation, 0);
    hid_t g = H5Gcreate2(f->file, group, H5P_DEFAULT, creation, H5P_DEFAULT);
    H5Pclose(creation);
    bool done = g >= 0;
    for (size_t i = 0; done && i < m->tensors && !first_error; i++) done = put_tensor(g, &m->tensor[i], flat + m->tensor[i].offset);
    if (g >= 0) H5Gclose(g);
    return done && !first_error ? 0 : write_failed(f, e);
}

int training_file_close(training_file *f, error *e) {
    if (!f) return 0;
    int8_t complete = 1;
    bool done = f->file >= 0;
    if (done && f->writes && !first_error) done = put_attribute(f->file, "complete", H5T_NATIVE_INT8, &complete);
    if (f->file >= 0 && H5Fclose(f->file) < 0) done = false;
    int code = f->writes && (!done || first_error) ? write_failed(f, e) : 0;
    H5Pclose(f->access);
    H5FDunregister(f->driver);
    free(f->path);
    free(f);
    return code;
}

int training_file_open(training_file **out, const char *path, training_state *s, error *e) {
    training_file *f = *out = file_new(path, false);
    *s = (training_state){0};
    f->file = H5Fopen(path, H5F_ACC_RDONLY, f->access);
    if (f->file < 0)
        return error_set(e, EXIT_USAGE, "%s: cannot be opened%s%s", path, first_error ? ": " : " as HDF5", first_error ? strerror(first_error) : "");
    int64_t version = 0;
    int8_t bias_correction = 0, nsp = 0, complete = 0;
    attribute a[ATTRIBUTES];
    list_attributes(a, s, &version, &bias_correction, &nsp);
    if (!get_attribute(f->file, a[0].name, a[0].type, a[0].value)) return error_set(e, EXIT_USAGE, "%s: no format_version", path);
    if (version > TRAINING_STATE_VERSION)
        return error_set(e, EXIT_USAGE, "%s: format version %lld; this program reads up to %d: use a newer one", path, (long long)version,
                         TRAINING_STATE_VERSION);
    if (!get_attribute(f->file, "complete", H5T_NATIVE_INT8, &complete) || !complete) return error_set(e, EXIT_USAGE, "%s: is not complete", path);
    for (int i = 1; i < ATTRIBUTES; i++)
        if (!get_attribute(f->file, a[i].name, a[i].type, a[i].value)) return error_set(e, EXIT_USAGE, "%s: no attribute %s", path, a[i].name);
    s->settings.bias_correction = bias_correction;
    s->settings.nsp = nsp;
    return 0;
}

static int get_tensor(const training_file *f, const char *group, const tensor *t, float *out, error *e) {
    char name[128];
    (void)snprintf(name, sizeof name, "%s/%s", group, t->name);
    hid_t d = H5Dopen2(f->file, name, H5P_DEFAULT);
    if (d < 0) return error_set(e, EXIT_USAGE, "%s: no %s", f->path, name);
    hid_t space = H5Dget_space(d);
    hsize_t shape[2] = {1, 1};
    int dimensions = H5Sget_simple_extent_ndims(space), code = 0;
    bool fits = dimensions == (t->vector ? 1 : 2) && H5Sget_simple_extent_dims(space, shape + (t->vector ? 1 : 0), NULL) >= 0 &&
                shape[1] == t->columns && (t->vector || shape[0] == t->rows);
    if (!fits) code = error_set(e, EXIT_USAGE, "%s: %s has another shape than the model's", f->path, name);
    else if (H5Dread(d, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, out) < 0)
        code = error_set(e, first_error ? EXIT_MACHINE : EXIT_CORRUPT, "%s: %s cannot be read: %s", f->path, name,
                         first_error ? strerror(first_error) : "its checksum differs");
    H5Sclose(space);
    H5Dclose(d);
    return code;
}

int training_file_get(training_file *f, const model *m, const char *group, float *flat, error *e) {
    int code = 0;
    for (size_t i = 0; !code && i < m->tensors; i++) code = get_tensor(f, group, &m->tensor[i], flat + m->tensor[i].offset, e);
    return code;
}
