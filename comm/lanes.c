/* comm/lanes.c - see lanes.h; the groups and their order are drawn in exchange.c.
 *
 * A round of halving is a direct exchange among two, so there is one routine for both. A part travels in messages through two sets of
 * slots: while one message is being added the next is under way.
 *
 *     lane 0   bucket 4: halving 0 . halving 1 . direct       each arrow a message: post, test, add, post next
 *     lane 1   bucket 5: halving 0 . halving 1 ...            buckets do not wait for each other: tags are theirs */
#include "comm/lanes.h"
#include <assert.h>
#include <limits.h>
#include <mpi.h>
#include <stdlib.h>
#include <string.h>
#include "comm/floats.h"

enum { SETS = 2, LANES = 2 };

typedef struct group {            /* ranks that hold sums over different ranks of one range; member j gets part j of it */
    int n, me;                    /* members, my index */
    int *rank;                    /* [n] */
    int round;                    /* part j = plan_half_of(rank[j], bucket, round), or slice_of when round > k */
    add_pair *pairs;              /* [n - 1] T(n), ending in mine */
    size_t message;               /* elements: shorter where many arrive at once, so that slots stay few */
} group;

typedef struct lane {
    bool busy, gather, entered;   /* entered: its first group has begun */
    const wire *wire;             /* how messages are packed; NULL: sent as they stand */
    int bucket, group, end;       /* what is under way; the group to stop before */
    float *array;
    size_t messages, posted, done;        /* of this group */
    range *part;                  /* [widest group] */
    float *in, *out;              /* [SETS][members - 1] slots; out: packed ones */
    MPI_Request *request[SETS];   /* [2 * (widest group - 1)] */
    int requests[SETS];
} lane;

struct lanes {
    lanes_setup setup;
    wire dense;                   /* of all buckets but row_bucket, when rounded */
    MPI_Comm world;               /* of its own: no message of another part can slip in */
    int rank, groups;
    group *group;                 /* k halvings, then the direct exchange when q > 1 */
    size_t widest, slot;          /* members of the widest group; floats of a slot */
    float *wide;                  /* [widest - 1] slots of unpacked values; only where many packed ones are added */
    float **source;               /* [widest group] operands of an addition */
    lane lane[LANES];
    MPI_Request *waiting;         /* [LANES * SETS * 2 * (widest group - 1)] scratch of lanes_wait() */
    int *arrived;                 /* [the same] */
    lanes_count counted;
};

static range part_of_member(const lanes *l, const group *g, int member, int bucket) {
    int r = g->rank[member];
    return g->round <= l->setup.plan->k ? plan_half_of(l->setup.plan, r, bucket, g->round) : plan_slice_of(l->setup.plan, r, bucket);
}

static void group_init(group *g, int n, int me, int first_rank, int stride, int round) {
    *g = (group){.n = n, .me = me, .round = round};
    g->rank = must_alloc((size_t)n, sizeof *g->rank);
    for (int j = 0; j < n; j++) g->rank[j] = first_rank + j * stride;
    g->pairs = must_alloc((size_t)n, sizeof *g->pairs);
    floats_tree_pairs(g->pairs, n, me);
}

static void groups_init(lanes *l) {
    int k = l->setup.plan->k, q = l->setup.plan->q, r = l->rank;
    l->groups = k + (q > 1);
    l->group = must_zalloc((size_t)l->groups + 1, sizeof *l->group);
    for (int s = 0; s < k; s++) group_init(&l->group[s], 2, r >> s & 1, r & ~(1 << s), 1 << s, s + 1);
    if (q > 1) group_init(&l->group[k], q, r >> k, r & ((1 << k) - 1), 1 << k, k + 1);
}

static void groups_free(lanes *l) {
    for (int i = 0; i < l->groups; i++) {
        free(l->group[i].rank);
        free(l->group[i].pairs);
    }
    free(l->group);
}

static bool packing(const lanes *l) { return l->dense.bf16 || l->setup.row_bucket >= 0; }

/* Slots for the longest messages of any group. */
static void size_slots(lanes *l) {
    size_t longest = 0;
    l->widest = 1;
    for (int i = 0; i < l->groups; i++) {
        group *g = &l->group[i];
        size_t others = (size_t)g->n - 1;
        g->message = l->setup.message / others > 0 ? l->setup.message / others : 1;
        if ((size_t)g->n > l->widest) l->widest = (size_t)g->n;
        for (int b = 0; b < l->setup.plan->buckets; b++)
            for (int j = 0; j < g->n; j++) {
                range part = part_of_member(l, g, j, b);
                size_t length = part.end - part.begin < g->message ? part.end - part.begin : g->message;
                if (length > longest) longest = length;
            }
    }
    l->slot = (wire_room(longest) + 15) / 16 * 16;
}

static size_t slots_of_lane(const lanes *l) { return SETS * (l->widest - 1) * l->slot; }
static size_t slots_unpacked(const lanes *l) { return packing(l) && l->widest > 2 ? (l->widest - 1) * l->slot : 0; }

size_t lanes_bytes(const lanes_setup *s, int rank) {
    lanes l = { .setup = *s, .dense.bf16 = s->bf16, .rank = rank };
    groups_init(&l);
    size_slots(&l);
    groups_free(&l);
    return (LANES * slots_of_lane(&l) * (packing(&l) ? 2 : 1) + slots_unpacked(&l)) * sizeof(float);
}

static void slots_init(lanes *l) {
    size_t widest = l->widest, floats = slots_of_lane(l);
    l->source = must_alloc(widest, sizeof *l->source);
    l->waiting = must_alloc(LANES * SETS * 2 * widest, sizeof *l->waiting);
    l->arrived = must_alloc(LANES * SETS * 2 * widest, sizeof *l->arrived);
    if (slots_unpacked(l)) l->wide = floats_new(slots_unpacked(l));
    for (int i = 0; i < LANES; i++) {
        lane *a = &l->lane[i];
        a->in = floats_new(floats);
        if (packing(l)) a->out = floats_new(floats);
        a->part = must_alloc(widest, sizeof *a->part);
        for (int s = 0; s < SETS; s++) a->request[s] = must_alloc(2 * widest, sizeof *a->request[s]);
    }
}

lanes *lanes_new(comm *c, const lanes_setup *s) {
    assert(s->message >= 1 && s->message < INT_MAX);
    lanes *l = must_zalloc(1, sizeof *l);
    l->setup = *s;
    l->dense.bf16 = s->bf16;
    l->rank = c->rank;
    MPI_Comm_split(MPI_COMM_WORLD, 0, c->rank, &l->world);
    groups_init(l);
    size_slots(l);
    slots_init(l);
    return l;
}

void lanes_free(lanes *l) {
    if (!l) return;
    groups_free(l);
    for (int i = 0; i < LANES; i++) {
        free(l->lane[i].in);
        free(l->lane[i].out);
        free(l->lane[i].part);
        for (int s = 0; s < SETS; s++) free(l->lane[i].request[s]);
    }
    free(l->source);
    free(l->wide);
    free(l->waiting);
    free(l->arrived);
    MPI_Comm_free(&l->world);
    free(l);
}

/* Message i of a range: empty beyond its end. */
static range message_of(const group *g, range r, size_t i) {
    size_t length = r.end - r.begin, begin = i * g->message;
    if (begin >= length) return (range){r.end, r.end};
    size_t end = length - begin < g->message ? length : begin + g->message;
    return (range){r.begin + begin, r.begin + end};
}

/* Slot of another member. */
static size_t slot_of(const lanes *l, const group *g, int set, int member) {
    return (size_t)(set * (g->n - 1) + (member < g->me ? member : member - 1)) * l->slot;
}

static int tag_of(const lane *a) { return 2 * a->bucket + a->gather; }

static void send(lanes *l, lane *a, const group *g, int set, int to, range r) {
    const float *data = a->array + r.begin;
    size_t count = r.end - r.begin;
    if (a->wire) {
        float *out = a->out + slot_of(l, g, set, to);
        count = wire_pack(a->wire, a->array, r, out);
        data = out;
    }
    MPI_Isend(data, (int)count, MPI_FLOAT, g->rank[to], tag_of(a), l->world, &a->request[set][a->requests[set]++]);
    *(a->wire == l->setup.rows && a->wire ? &l->counted.row_bytes : &l->counted.bytes) += count * sizeof *data;
}

/* Starts the next message of everybody in this group. gather: finished values of my part go to all, those of others come to their place.
 * Else: the others' parts go to their owners, and what they have of mine comes into slots. Member m sends to m + 1 first, m + 2 next. */
static void post(lanes *l, lane *a) {
    const group *g = &l->group[a->group];
    int n = g->n, set = (int)(a->posted % SETS);
    a->requests[set] = 0;
    for (int d = 1; d < n; d++) {
        int from = (g->me - d + n) % n;
        range in = message_of(g, a->part[a->gather ? from : g->me], a->posted);
        if (in.begin == in.end) continue;
        float *at = a->gather ? a->array + in.begin : a->in + slot_of(l, g, set, from);
        size_t room = a->wire ? wire_room(in.end - in.begin) : in.end - in.begin;
        MPI_Irecv(at, (int)room, MPI_FLOAT, g->rank[from], tag_of(a), l->world, &a->request[set][a->requests[set]++]);
    }
    for (int d = 1; d < n; d++) {
        int to = (g->me + d) % n;
        range out = message_of(g, a->part[a->gather ? g->me : to], a->posted);
        if (out.begin < out.end) send(l, a, g, set, to, out);
    }
    a->posted++;
}

/* The oldest message of my part is here from all members: T(n), into the array. */
static void add_message(lanes *l, lane *a) {
    const group *g = &l->group[a->group];
    int set = (int)(a->done % SETS);
    range mine = message_of(g, a->part[g->me], a->done);
    if (mine.begin == mine.end) return;
    if (a->wire && g->n == 2) {
        wire_add(a->wire, a->in + slot_of(l, g, set, 1 - g->me), a->array, mine);
        return;
    }
    for (int j = 0; j < g->n; j++) {
        float *in = j == g->me ? a->array + mine.begin : a->in + slot_of(l, g, set, j);
        if (a->wire && j != g->me) {
            float *wide = l->wide + slot_of(l, g, 0, j);
            wire_unpack(a->wire, in, wide, mine);
            in = wide;
        }
        l->source[j] = in;
    }
    floats_add_pairs(l->source, g->pairs, g->n - 1, mine.end - mine.begin);
}

/* Begins the group at hand, or the next that has anything to do. False: there is none left. */
static bool enter_group(lanes *l, lane *a) {
    for (; a->group != a->end; a->group += a->gather ? -1 : 1) {
        const group *g = &l->group[a->group];
        size_t longest = 0;
        for (int j = 0; j < g->n; j++) {
            a->part[j] = part_of_member(l, g, j, a->bucket);
            if (a->part[j].end - a->part[j].begin > longest) longest = a->part[j].end - a->part[j].begin;
        }
        a->messages = (longest + g->message - 1) / g->message;
        a->posted = a->done = 0;
        while (a->posted < SETS && a->posted < a->messages) post(l, a);
        if (a->messages) return true;
    }
    return false;
}

bool lanes_start(lanes *l, int bucket, bool gather, float *array, int skip) {
    for (int i = 0; i < LANES; i++) {
        lane *a = &l->lane[i];
        if (a->busy) continue;
        a->busy = true;
        a->gather = gather;
        a->bucket = bucket;
        a->array = array;
        a->group = gather ? l->groups - 1 : skip;
        a->end = gather ? skip - 1 : l->groups;
        a->wire = gather ? NULL : bucket == l->setup.row_bucket ? l->setup.rows : l->dense.bf16 ? &l->dense : NULL;
        a->messages = a->done = 0;
        a->entered = false;
        return true;
    }
    return false;
}

/* One step of a lane. *finished: it has reached the end. */
static bool lane_poll(lanes *l, lane *a, bool *finished) {
    if (!a->entered) {
        a->entered = true;
        *finished = !enter_group(l, a);
        return true;
    }
    int here, set = (int)(a->done % SETS);
    MPI_Testall(a->requests[set], a->request[set], &here, MPI_STATUSES_IGNORE);
    if (!here) return false;
    if (!a->gather) add_message(l, a);
    a->done++;
    if (a->posted < a->messages) post(l, a);
    if (a->done < a->messages) return true;
    a->group += a->gather ? -1 : 1;
    *finished = !enter_group(l, a);
    return true;
}

bool lanes_poll(lanes *l, int *finished) {
    bool moved = false;
    *finished = -1;
    for (int i = 0; i < LANES && *finished < 0; i++) {
        lane *a = &l->lane[i];
        bool end = false;
        if (!a->busy) continue;
        moved |= lane_poll(l, a, &end);
        if (!end) continue;
        a->busy = false;
        *finished = a->bucket;
    }
    return moved;
}

/* Copies the requests that are under way out, or back. */
static int copy_requests(lanes *l, bool back) {
    int count = 0;
    for (int i = 0; i < LANES; i++) {
        lane *a = &l->lane[i];
        for (size_t m = a->done; a->busy && a->entered && m < a->posted; m++) {
            int set = (int)(m % SETS);
            for (int r = 0; r < a->requests[set]; r++, count++) {
                if (back) a->request[set][r] = l->waiting[count];
                else l->waiting[count] = a->request[set][r];
            }
        }
    }
    return count;
}

void lanes_wait(lanes *l) {
    int here, count = copy_requests(l, false);
    MPI_Waitsome(count, l->waiting, &here, l->arrived, MPI_STATUSES_IGNORE);
    (void)copy_requests(l, true);
}

void lanes_nudge(lanes *l) {
    int any;
    MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, l->world, &any, MPI_STATUS_IGNORE);
}

void lanes_gather_doubles(lanes *l, double *all, const int *rank_count, const int *rank_start) {
    MPI_Allgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, all, rank_count, rank_start, MPI_DOUBLE, l->world);
}

lanes_count lanes_counted(lanes *l) {
    lanes_count counted = l->counted;
    l->counted = (lanes_count){0};
    return counted;
}
