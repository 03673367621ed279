/* datagen/shard_writer.c - rows to packed chunks, and the hash of what they hold; see shard_writer.h.
 *
 * A file holds dataset after dataset while rows come chunk after chunk, so packed chunks wait. The content hash goes the same way: input_ids
 * are hashed as soon as all chunks before are, masks are made again from the rows' lengths, the rest is small and waits as it is. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "base/files.h"
#include "datagen/deflate.h"
#include "datagen/shard_writer_parts.h"
#include "datagen/workers.h"

struct shard_packer {
    deflater *d;
    unsigned char *raw, *out;          /* one chunk of a dataset, zero-filled at the end; packed datasets, end to end */
    size_t raw_room, out_room;
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

shard_packer *shard_packer_new(void) {
    shard_packer *p = must_zalloc(1, sizeof *p);
    p->d = deflater_new();
    return p;
}

void shard_packer_free(shard_packer *p) {
    if (!p) return;
    deflater_free(p->d);
    free(p->raw);
    free(p->out);
    free(p);
}

shard_writer *shard_writer_new(const shard_writer_settings *settings, uint64_t rows, store *s) {
    shard_writer *w = must_zalloc(1, sizeof *w);
    w->settings = *settings;
    w->shape = (shard_shape){ rows, settings->seq_length, settings->max_predictions, settings->has_nsp };
    memcpy(w->vocab_hash, settings->vocab_hash, SHA256_HEX);
    w->chunk_rows = rows < SHARD_CHUNK_ROWS ? rows : SHARD_CHUNK_ROWS;
    w->chunks = (rows + w->chunk_rows - 1) / w->chunk_rows;
    w->chunk = must_zalloc(w->chunks, sizeof *w->chunk);
    w->length = must_zalloc(rows, sizeof *w->length);
    w->a_end = must_zalloc(rows, sizeof *w->a_end);
    if (!s) {
        memory_budget_init(&w->unlimited, UINT64_MAX);
        s = w->own = store_new(".", "none", 0, &w->unlimited);
    }
    w->store = s;
    pthread_mutex_init(&w->mutex, NULL);
    sha256_init(&w->hash);
    return w;
}

void shard_writer_free(shard_writer *w) {
    if (!w) return;
    for (uint64_t i = 0; i < w->chunks; i++) {
        store_drop(w->store, &w->chunk[i].place);
        free(w->chunk[i].ids);
    }
    store_free(w->own);
    shard_packer_free(w->packer);
    pthread_mutex_destroy(&w->mutex);
    free(w->chunk);
    free(w->length);
    free(w->a_end);
    free(w);
}

uint64_t shard_writer_chunks(const shard_writer *w) { return w->chunks; }
uint64_t shard_writer_chunk_rows(const shard_writer *w) { return w->chunk_rows; }
void shard_writer_keep_raw(shard_writer *w) { w->keep_raw = true; }
int64_t shard_writer_max_id(const shard_writer *w) { return w->max_id; }
const uint16_t *shard_writer_lengths(const shard_writer *w) { return w->length; }

static uint64_t rows_of(const shard_writer *w, uint64_t i) { return i + 1 < w->chunks ? w->chunk_rows : w->shape.rows - i * w->chunk_rows; }

/* Packs one dataset of a chunk at p->out + at, with room for its checksum; returns bytes. */
static size_t squeeze(const shard_writer *w, shard_packer *p, int d, const void *rows, size_t count, size_t at) {
    size_t row = writer_row_bytes(w, d), raw = w->chunk_rows * row, used = count * row, room = deflater_bound(raw) + 4;
    if (used < raw) {
        if (raw > p->raw_room) p->raw = must_realloc(p->raw, p->raw_room = raw, 1);
        memcpy(p->raw, rows, used);
        memset(p->raw + used, 0, raw - used);
        rows = p->raw;
    }
    if (at + room > p->out_room) p->out = must_realloc(p->out, p->out_room = at + room, 1);
    unsigned char *out = p->out + at;
    size_t bytes = deflater_pack(p->d, rows, raw, out);
    uint32_t sum = shard_fletcher32(out, bytes);
    for (int i = 0; i < 4; i++) out[bytes + (size_t)i] = (unsigned char)(sum >> 8 * i);
    return bytes + 4;
}

static int32_t largest(const int32_t *v, size_t n) {
    int32_t most = 0;
    for (size_t i = 0; i < n; i++) most = v[i] > most ? v[i] : most;
    return most;
}

static void note_lengths(shard_writer *w, uint64_t first, const shard_rows *r) {
    uint32_t S = w->shape.seq_length;
    for (size_t i = 0; i < r->count; i++) {
        const int8_t *mask = r->input_mask + i * S, *segment = r->segment_ids + i * S, *end = memchr(mask, 0, S);
        uint32_t n = end ? (uint32_t)(end - mask) : S;
        const int8_t *b = memchr(segment, 1, n);
        w->length[first + i] = (uint16_t)n;
        w->a_end[first + i] = (uint16_t)(b ? (uint32_t)(b - segment) : n);
    }
}

/* Hashes the input_ids of all chunks that are next in order; one thread at a time, others leave theirs to it. */
static void hash_ids(shard_writer *w) {
    pthread_mutex_lock(&w->mutex);
    if (!w->hashing) {
        w->hashing = true;
        while (w->hashed < w->chunks && w->chunk[w->hashed].ids) {
            writer_chunk *k = &w->chunk[w->hashed];
            pthread_mutex_unlock(&w->mutex);
            sha256_add(&w->hash, k->ids, rows_of(w, w->hashed) * writer_row_bytes(w, DATA_INPUT_IDS));
            free(k->ids);
            pthread_mutex_lock(&w->mutex);
            k->ids = NULL;
            w->hashed++;
        }
        w->hashing = false;
    }
    pthread_mutex_unlock(&w->mutex);
}

int shard_writer_put(shard_writer *w, shard_packer *p, uint64_t i, const shard_rows *r, error *e) {
    const void *const data[SHARD_DATASETS] = { r->input_ids, r->input_mask, r->segment_ids, r->positions, r->labels, r->next_sentence };
    writer_chunk *k = &w->chunk[i];
    size_t used = 0, bytes, ids_bytes = r->count * writer_row_bytes(w, DATA_INPUT_IDS);
    assert(i < w->chunks && r->count == rows_of(w, i));
    for (int d = 0; d < writer_datasets(w); d++, used += bytes) k->packed[d] = bytes = squeeze(w, p, d, data[d], r->count, used);
    bytes = used;
    for (int d = DATA_POSITIONS; d < writer_datasets(w); d++) bytes += r->count * writer_row_bytes(w, d);
    char *whole = must_alloc(bytes + (w->keep_raw ? ids_bytes : 0), 1), *at = whole + used;
    memcpy(whole, p->out, used);
    for (int d = DATA_POSITIONS; d < writer_datasets(w); d++) {
        memcpy(at, data[d], r->count * writer_row_bytes(w, d));
        at += r->count * writer_row_bytes(w, d);
    }
    if (w->keep_raw) memcpy(at, r->input_ids, ids_bytes), bytes += ids_bytes;
    note_lengths(w, i * w->chunk_rows, r);
    int32_t most = largest(r->input_ids, r->count * w->shape.seq_length), most_label = largest(r->labels, r->count * w->shape.max_predictions);
    int32_t *ids = w->keep_raw ? NULL : memcpy(must_alloc(ids_bytes, 1), r->input_ids, ids_bytes);
    int code = store_put(w->store, whole, bytes, &k->place, e);
    pthread_mutex_lock(&w->mutex);
    if (most_label > most) most = most_label;
    if (most > w->max_id) w->max_id = most;
    k->ids = ids;
    pthread_mutex_unlock(&w->mutex);
    if (ids) hash_ids(w);
    return code;
}

void shard_writer_add(shard_writer *w, const shard_rows *r) {
    error e = {0};
    if (!w->packer) w->packer = shard_packer_new();
    if (shard_writer_put(w, w->packer, w->added++, r, &e)) fail(e.code, "%s", e.text);
}

/* Part [from, from + bytes) of what waits of chunk i. */
static const void *part(shard_writer *w, uint64_t i, uint64_t from, uint64_t bytes, store_scratch *scratch, error *e) {
    store_place sub = w->chunk[i].place;
    if (sub.data) return (const char *)sub.data + from;
    sub.offset += from;
    sub.bytes = bytes;
    return store_get(w->store, &sub, scratch, e);
}

const void *writer_packed(shard_writer *w, int d, uint64_t i, store_scratch *scratch, error *e) {
    uint64_t from = 0;
    for (int before = 0; before < d; before++) from += w->chunk[i].packed[before];
    return part(w, i, from, w->chunk[i].packed[d], scratch, e);
}

/* Unpacked dataset d (DATA_POSITIONS or later; SHARD_DATASETS: input_ids kept raw) of chunk i. */
static const void *unpacked(shard_writer *w, int d, uint64_t i, store_scratch *scratch, error *e) {
    uint64_t from = 0, bytes = rows_of(w, i) * writer_row_bytes(w, d == SHARD_DATASETS ? DATA_INPUT_IDS : d);
    for (int all = 0; all < writer_datasets(w); all++) from += w->chunk[i].packed[all];
    for (int before = DATA_POSITIONS; before < d && before < writer_datasets(w); before++) from += rows_of(w, i) * writer_row_bytes(w, before);
    return part(w, i, from, bytes, scratch, e);
}

/* The masks of chunk i: ones from `from` (0 or where segment 1 begins) to the row's length. */
static void hash_masks(shard_writer *w, uint64_t i, bool segments, int8_t *row) {
    uint32_t S = w->shape.seq_length;
    for (uint64_t r = i * w->chunk_rows, end = r + rows_of(w, i); r < end; r++) {
        uint32_t from = segments ? w->a_end[r] : 0, to = w->length[r];
        memset(row, 0, S);
        memset(row + from, 1, to - from);
        sha256_add(&w->hash, row, S);
    }
}

static int content_hash(shard_writer *w, char hex[SHA256_HEX], error *e) {
    store_scratch scratch = {0};
    int8_t *row = must_alloc(w->shape.seq_length, 1);
    assert(w->keep_raw || w->hashed == w->chunks);
    for (int d = 0; d < writer_datasets(w); d++) {
        for (uint64_t i = 0; i < w->chunks; i++) {
            if (d == DATA_INPUT_IDS && !w->keep_raw) break;
            if (d == DATA_INPUT_MASK || d == DATA_SEGMENT_IDS) { hash_masks(w, i, d == DATA_SEGMENT_IDS, row); continue; }
            const void *data = unpacked(w, d == DATA_INPUT_IDS ? SHARD_DATASETS : d, i, &scratch, e);
            if (!data) break;
            sha256_add(&w->hash, data, rows_of(w, i) * writer_row_bytes(w, d));
        }
    }
    sha256_end_hex(&w->hash, hex);
    free(scratch.data);
    free(row);
    return e->code;
}

typedef struct finishing { shard_writer *w; const char *path; char *content, *file; uint64_t *bytes; int threads; } finishing;

/* The first thread places, the last hashes. */
static int finish_part(void *job, int number, error *e) {
    finishing *j = job;
    if (number == 0 && writer_place(j->w, j->path, e)) return e->code;
    return number == j->threads - 1 ? content_hash(j->w, j->content, e) : 0;
}

/* The same for the file: it can be read while it is made durable. */
static int settle_part(void *job, int number, error *e) {
    finishing *j = job;
    if (number == 0 && files_sync(j->path, e)) return e->code;
    return number == j->threads - 1 ? sha256_file(j->path, j->file, j->bytes, e) : 0;
}

int shard_writer_finish(shard_writer *w, const char *path, char content_hash[SHA256_HEX], char file_hash[SHA256_HEX], uint64_t *bytes, error *e) {
    finishing j = { w, path, content_hash, file_hash, bytes, w->settings.threads > 1 ? 2 : 1 };
    return workers_run(j.threads, finish_part, &j, e) ? e->code : workers_run(j.threads, settle_part, &j, e);
}

/* Of each chunk: its place and sizes; then lengths of rows, and the largest id. */
static size_t exchange_bytes(const shard_writer *w, uint64_t n) { return n * (sizeof(writer_chunk) + 4 * w->chunk_rows) + sizeof w->max_id; }

int shard_writer_publish(shard_writer *w, uint64_t first, uint64_t n, const char *path, error *e) {
    size_t bytes = exchange_bytes(w, n);
    char *data = must_zalloc(bytes, 1), *at = data;
    int code = 0;
    for (uint64_t i = first; i < first + n && !code; i++) {
        uint64_t row = i * w->chunk_rows, rows = rows_of(w, i);
        code = store_flush(w->store, &w->chunk[i].place, e);
        at = (char *)memcpy(at, &w->chunk[i], sizeof(writer_chunk)) + sizeof(writer_chunk);
        memcpy(at, w->length + row, 2 * rows);
        memcpy(at + 2 * w->chunk_rows, w->a_end + row, 2 * rows);
        at += 4 * w->chunk_rows;
    }
    memcpy(at, &w->max_id, sizeof w->max_id);
    if (!code) code = files_write_synced(path, data, bytes, e);
    free(data);
    return code;
}

int shard_writer_take_in(shard_writer *w, uint64_t first, uint64_t n, const char *path, error *e) {
    char *data, *at;
    size_t bytes;
    int64_t most;
    if (files_read(path, exchange_bytes(w, n), &data, &bytes, e)) return e->code;
    at = data;
    for (uint64_t i = first; i < first + n; i++) {
        uint64_t row = i * w->chunk_rows, rows = rows_of(w, i);
        memcpy(&w->chunk[i], at, sizeof(writer_chunk));
        at += sizeof(writer_chunk);
        memcpy(w->length + row, at, 2 * rows);
        memcpy(w->a_end + row, at + 2 * w->chunk_rows, 2 * rows);
        at += 4 * w->chunk_rows;
    }
    memcpy(&most, at, sizeof most);
    if (most > w->max_id) w->max_id = most;
    free(data);
    return 0;
}
