/* trainer/loader.c - the rows of a micro-batch, packed. See loader.h. */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "trainer/loader.h"

typedef struct slot {                    /* the current block of one leaf */
    int64_t number;                      /* of the run; -1 = none */
    uint64_t epoch, first;               /* first row of the block */
    uint64_t *rows;                      /* dealt, part after part */
    shard_rows *data;                    /* NULL until loader_batch() wants this leaf */
    bool loaded;                         /* data holds this block */
} slot;

struct loader {
    shard_folder *folder;
    const order *order;
    const shard_info *info;
    uint64_t block_rows;                 /* K * micro_batch */
    slot *slot;                          /* [M] */
    order_card *cards;                   /* scratch of a deal */
    uint64_t *permutation[2];            /* of the even and odd epochs: a step sees at most two */
    int64_t epoch[2];                    /* which epoch each holds; -1 = none */
    shard_rows *wrapped;                 /* rows from 0 that complete the last block; NULL when N divides */
    uint64_t *line;                      /* rows of one micro-batch, for loader_dump() */
};

loader *loader_new(shard_folder *f, const order *o) {
    loader *l = must_zalloc(1, sizeof *l);
    l->folder = f;
    l->order = o;
    l->info = shard_folder_info(f);
    l->block_rows = (uint64_t)(o->parts * o->micro_batch);
    l->slot = must_zalloc((size_t)o->leaves, sizeof *l->slot);
    for (int64_t m = 0; m < o->leaves; m++) l->slot[m].number = -1;
    l->cards = must_alloc(l->block_rows, sizeof *l->cards);
    l->line = must_alloc((size_t)o->micro_batch, sizeof *l->line);
    for (int i = 0; i < 2; i++) {
        l->permutation[i] = must_alloc(o->blocks, sizeof *l->permutation[i]);
        l->epoch[i] = -1;
    }
    if (o->blocks * l->block_rows > o->rows) l->wrapped = shard_rows_new(f, l->block_rows);
    return l;
}

void loader_free(loader *l) {
    if (!l) return;
    for (int64_t m = 0; m < l->order->leaves; m++) {
        free(l->slot[m].rows);
        shard_rows_free(l->slot[m].data);
    }
    free(l->slot);
    free(l->cards);
    free(l->line);
    for (int i = 0; i < 2; i++) free(l->permutation[i]);
    shard_rows_free(l->wrapped);
    free(l);
}

/* The block that leaf m trains on at this step, dealt. */
static slot *slot_at(loader *l, int64_t step, int64_t m) {
    const order *o = l->order;
    assert(step >= 0 && m >= 0 && m < o->leaves);
    slot *s = &l->slot[m];
    int64_t number = m + o->leaves * (step / o->parts);
    if (s->number == number) return s;
    uint64_t epoch = (uint64_t)number / o->blocks;
    int side = (int)(epoch % 2);
    if (l->epoch[side] != (int64_t)epoch) {
        order_permutation(o, epoch, l->permutation[side]);
        l->epoch[side] = (int64_t)epoch;
    }
    if (!s->rows) s->rows = must_alloc(l->block_rows, sizeof *s->rows);
    uint64_t block = l->permutation[side][(uint64_t)number % o->blocks];
    order_deal(o, epoch, block, s->rows, l->cards);
    s->number = number;
    s->epoch = epoch;
    s->first = block * l->block_rows;
    s->loaded = false;
    return s;
}

static const uint64_t *part_of(const loader *l, const slot *s, int64_t step) {
    return s->rows + (step % l->order->parts) * l->order->micro_batch;
}

void loader_rows(loader *l, int64_t step, int64_t m, uint64_t *rows, uint64_t *epoch) {
    const slot *s = slot_at(l, step, m);
    memcpy(rows, part_of(l, s, step), (size_t)l->order->micro_batch * sizeof *rows);
    *epoch = s->epoch;
}

static void append_rows(shard_rows *to, const shard_rows *from, const shard_info *info) {
    size_t tokens = info->seq_length, predictions = info->max_predictions, n = from->count, at = to->count;
    assert(at + n <= to->capacity);
    memcpy(to->input_ids + at * tokens, from->input_ids, n * tokens * sizeof *to->input_ids);
    memcpy(to->input_mask + at * tokens, from->input_mask, n * tokens * sizeof *to->input_mask);
    memcpy(to->segment_ids + at * tokens, from->segment_ids, n * tokens * sizeof *to->segment_ids);
    memcpy(to->positions + at * predictions, from->positions, n * predictions * sizeof *to->positions);
    memcpy(to->labels + at * predictions, from->labels, n * predictions * sizeof *to->labels);
    memcpy(to->next_sentence + at, from->next_sentence, n * sizeof *to->next_sentence);
    to->count = at + n;
}

static int read_block(loader *l, slot *s, error *e) {
    if (s->loaded) return 0;
    if (!s->data) s->data = shard_rows_new(l->folder, l->block_rows);
    uint64_t here = l->order->rows - s->first, rest = 0;
    if (here < l->block_rows) rest = l->block_rows - here;
    else here = l->block_rows;
    int code = shard_read_rows(l->folder, SHARD_TRAINING, s->first, here, s->data, e);
    if (code) return code;
    if (rest > 0) {
        code = shard_read_rows(l->folder, SHARD_TRAINING, 0, rest, l->wrapped, e);
        if (code) return code;
        append_rows(s->data, l->wrapped, l->info);
    }
    s->loaded = true;
    return 0;
}

/* Appends row i of data to the batch. */
static int pack_row(const loader *l, const shard_rows *data, size_t i, uint64_t row, uint64_t epoch, batch *b, error *e) {
    size_t width = l->info->seq_length, most = l->info->max_predictions, length = l->order->lengths[row];
    const int8_t *mask = data->input_mask + i * width;
    bool agrees = length >= 1 && length <= width && mask[length - 1] == 1 && (length == width || mask[length] == 0);
    if (!agrees)
        return error_set(e, EXIT_USAGE, "data: training row %" PRIu64 ": input_mask contradicts the recorded length %zu; make the shards again",
                         row, length);
    const int32_t *ids = data->input_ids + i * width;
    const int8_t *segments = data->segment_ids + i * width;
    for (size_t t = 0; t < length; t++) {
        b->token[b->tokens + t] = ids[t];
        b->segment[b->tokens + t] = segments[t];
        b->position[b->tokens + t] = (int32_t)t;
    }
    const int32_t *positions = data->positions + i * most, *labels = data->labels + i * most;
    for (size_t p = 0; p < most && positions[p] > 0; p++) {       /* position 0 is [CLS]: the first zero ends the list */
        if ((size_t)positions[p] >= length)
            return error_set(e, EXIT_USAGE, "data: training row %" PRIu64 ": masked position %d lies behind its %zu tokens; make the shards again",
                             row, positions[p], length);
        b->masked_row[b->masked] = (int32_t)b->tokens + positions[p];
        b->label[b->masked] = labels[p];
        b->masked++;
    }
    b->next_sentence[b->sequences] = l->info->has_nsp ? data->next_sentence[i] : (int8_t)-1;
    b->epoch[b->sequences] = epoch;
    b->row[b->sequences] = row;
    b->first[b->sequences] = (int32_t)b->tokens;
    b->sequences++;
    b->tokens += length;
    b->first[b->sequences] = (int32_t)b->tokens;
    return 0;
}

int loader_batch(loader *l, int64_t step, int64_t m, batch *b, error *e) {
    slot *s = slot_at(l, step, m);
    int code = read_block(l, s, e);
    const uint64_t *rows = part_of(l, s, step);
    b->sequences = b->tokens = b->masked = 0;
    b->seq_length = l->info->seq_length;
    for (int64_t i = 0; i < l->order->micro_batch && !code; i++) {
        uint64_t at = (rows[i] + l->order->rows - s->first) % l->order->rows;     /* wraps with the last block */
        code = pack_row(l, s->data, at, rows[i], s->epoch, b, e);
    }
    return code;
}

void loader_dump(loader *l, int64_t step, FILE *out) {
    fprintf(out, "%" PRId64 ":", step);
    for (int64_t m = 0; m < l->order->leaves; m++) {
        uint64_t epoch;
        loader_rows(l, step, m, l->line, &epoch);
        for (int64_t i = 0; i < l->order->micro_batch; i++) fprintf(out, " %" PRIu64, l->line[i]);
    }
    fputc('\n', out);
}
