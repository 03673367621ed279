/* datagen/digests.c - see digests.h. Sorted runs, merged by a heap of their heads. */
#include "datagen/digests.h"
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/files.h"

enum { MOST_HELD = 1 << 21, HEAD_DIGESTS = 1 << 10, HASH_BYTES = 15 };

typedef struct head { digest *buffer; size_t at, count; uint64_t next, end; } head;   /* of a run: digests read, then where the rest lies */

void digests_init(digests *d, size_t most) {
    *d = (digests){.most = most ? most : MOST_HELD};
    d->held = must_alloc(d->most, sizeof *d->held);
}

void digests_free(digests *d) {
    free(d->held);
    if (d->file) fclose(d->file);
    *d = (digests){0};
}

static int in_order(const void *a, const void *b) { return memcmp(a, b, sizeof(digest)); }

static int no_room(error *e) {
    const char *folder = getenv("TMPDIR");
    return error_set(e, EXIT_MACHINE, "%s: no temporary file can be used: %s; name another folder in TMPDIR", folder ? folder : "/tmp", strerror(errno));
}

static FILE *temporary(void) {
    const char *folder = getenv("TMPDIR");
    char *path = files_join(folder && *folder ? folder : "/tmp", "bert-inspect.XXXXXX");
    int fd = mkstemp(path);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "w+b");
    if (fd >= 0) unlink(path);
    if (fd >= 0 && !f) close(fd);
    free(path);
    return f;
}

static int write_run(digests *d, error *e) {
    qsort(d->held, d->count, sizeof *d->held, in_order);
    if (!d->file && !(d->file = temporary())) return no_room(e);
    if (fwrite(d->held, sizeof *d->held, d->count, d->file) != d->count) return no_room(e);
    d->spilled += d->count;
    d->count = 0;
    return 0;
}

int digests_add(digests *d, const unsigned char *hash, int side, error *e) {
    if (d->count == d->most && write_run(d, e)) return e->code;
    digest *new = &d->held[d->count++];
    memcpy(new->byte, hash, HASH_BYTES);
    new->byte[HASH_BYTES] = (unsigned char)side;
    return 0;
}

/* Counts digests that come in order. */
typedef struct tally { digest_counts counts; digest last; bool any, side0; } tally;

static void tell(tally *t, const digest *d) {
    bool again = t->any && !memcmp(t->last.byte, d->byte, HASH_BYTES);
    if (!again) t->side0 = false;
    if (!d->byte[HASH_BYTES]) t->side0 = true;       /* side 0 sorts first */
    t->counts.repeated += again;
    t->counts.shared += d->byte[HASH_BYTES] && t->side0;
    t->last = *d;
    t->any = true;
}

static int refill(digests *d, head *h, error *e) {
    size_t n = h->end - h->next < HEAD_DIGESTS ? (size_t)(h->end - h->next) : HEAD_DIGESTS;
    h->at = h->count = 0;
    if (!n) return 0;
    if (fseeko(d->file, (off_t)(h->next * sizeof(digest)), SEEK_SET) || fread(h->buffer, sizeof(digest), n, d->file) != n) return no_room(e);
    h->next += n;
    h->count = n;
    return 0;
}

/* Lets the head at `at` of a heap sink to its place. */
static void sink(head **heap, size_t count, size_t at) {
    head *moving = heap[at];
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && in_order(&heap[child + 1]->buffer[heap[child + 1]->at], &heap[child]->buffer[heap[child]->at]) < 0) child++;
        if (in_order(&moving->buffer[moving->at], &heap[child]->buffer[heap[child]->at]) <= 0) break;
        heap[at] = heap[child];
    }
    heap[at] = moving;
}

static int merge(digests *d, tally *t, error *e) {
    size_t runs = (size_t)((d->spilled + d->most - 1) / d->most), count = runs;
    head *all = must_zalloc(runs, sizeof *all), **heap = must_alloc(runs, sizeof *heap);
    int code = 0;
    for (size_t i = 0; i < runs && !code; i++) {
        all[i] = (head){.buffer = must_alloc(HEAD_DIGESTS, sizeof(digest)), .next = (uint64_t)i * d->most};
        all[i].end = d->spilled - all[i].next < d->most ? d->spilled : all[i].next + d->most;
        code = refill(d, &all[i], e);
        heap[i] = &all[i];
    }
    for (size_t i = count / 2; i-- > 0 && !code;) sink(heap, count, i);
    while (count && !code) {
        head *first = heap[0];
        tell(t, &first->buffer[first->at++]);
        if (first->at == first->count) code = refill(d, first, e);
        if (!first->count) heap[0] = heap[--count];
        if (count) sink(heap, count, 0);
    }
    for (size_t i = 0; i < runs; i++) free(all[i].buffer);
    free(all);
    free(heap);
    return code;
}

int digests_count(digests *d, digest_counts *out, error *e) {
    tally t = {0};
    if (d->file) {
        if (write_run(d, e)) return e->code;
        if (fflush(d->file)) return no_room(e);
        if (merge(d, &t, e)) return e->code;
    } else {
        qsort(d->held, d->count, sizeof *d->held, in_order);
        for (size_t i = 0; i < d->count; i++) tell(&t, &d->held[i]);
    }
    *out = t.counts;
    return 0;
}
