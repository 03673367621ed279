/* comm/comm.c - see comm.h.
 *
 * MPI calls are not checked: the default error handler is fatal and ends the job. */
#include <assert.h>
#include <mpi.h>
#include <stdlib.h>
#include <string.h>
#include "comm/comm.h"
#include "comm/exchange.h"   /* tree_sum_f64 */

enum { VALUE_BYTES = 4096, SHOWN_BYTES = 500 };

static MPI_Comm world;             /* all ranks in our order */

static void abort_job(int code) { MPI_Abort(MPI_COMM_WORLD, code); }

bool comm_launched(void) {
    static const char *const variable[] = {
        "OMPI_COMM_WORLD_SIZE",     /* Open MPI's mpirun */
        "PMIX_RANK",                /* prterun; srun --mpi=pmix */
        "PMI_RANK", "PMI_SIZE",     /* MPICH's and Intel's Hydra; srun --mpi=pmi2 */
        "MPI_LOCALNRANKS"           /* MPICH */
    };
    for (size_t i = 0; i < sizeof variable / sizeof *variable; i++) {
        if (getenv(variable[i])) return true;
    }
    return false;
}

/* Ranks of a node stand together whatever way the launcher dealt them out: neighbours in the tree of sums are neighbours in memory. */
static void order_ranks(comm *c) {
    MPI_Comm node;
    int lowest;
    MPI_Comm_rank(MPI_COMM_WORLD, &lowest);
    MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, lowest, MPI_INFO_NULL, &node);
    MPI_Bcast(&lowest, 1, MPI_INT, 0, node);
    MPI_Comm_rank(node, &c->node_rank);
    MPI_Comm_size(node, &c->node_size);
    MPI_Comm_free(&node);
    MPI_Comm_split(MPI_COMM_WORLD, 0, lowest, &world);          /* equal keys keep their order */
    MPI_Comm_rank(world, &c->rank);
    MPI_Comm_size(world, &c->size);
}

comm *comm_start(int *argc, char ***argv) {
    int given, length;
    bool launched = comm_launched();     /* before MPI_Init_thread, which sets such variables itself */
    /* One thread at a time talks. A library that gives SINGLE says the same of one that never calls it but from the main thread. */
    MPI_Init_thread(argc, argv, MPI_THREAD_SERIALIZED, &given);
    if (launched) fail_set_hook(abort_job);       /* alone there is nobody to end, and MPI_Abort prints lines of its own */
    comm *c = must_zalloc(1, sizeof *c);
    c->chunk_bytes = (size_t)1 << 30;
    c->serialized = given >= MPI_THREAD_SERIALIZED;
    order_ranks(c);
    char host[MPI_MAX_PROCESSOR_NAME + 1] = "";
    MPI_Get_processor_name(host, &length);
    memcpy(c->host, host, strlen(host) < sizeof c->host ? strlen(host) : sizeof c->host - 1);
    if (c->size > 1) fail_set_hook(abort_job), fail_set_place(c->rank, c->host);
    int64_t first = c->node_rank == 0;
    comm_sum_i64(c, &first, 1);
    c->nodes = (int)first;
    return c;
}

int comm_agree(comm *c, const error *e) {
    int64_t lowest = e->code ? c->rank : c->size;
    comm_min_i64(c, &lowest, 1);
    if (lowest == c->size) return 0;
    int code = e->code;
    MPI_Bcast(&code, 1, MPI_INT, (int)lowest, world);
    if (lowest == c->rank) error_print(e);
    return code;
}

/* FNV-1a: finds which ranks hold the same, the bytes themselves are compared afterwards. */
static uint64_t hash_of(const char *text) {
    uint64_t h = 0xcbf29ce484222325u;
    for (; *text; text++) h = (h ^ (unsigned char)*text) * 0x100000001b3u;
    return h;
}

/* The lowest rank that holds what most ranks hold. */
static int most_common(const uint64_t *hash, int size) {
    int best = 0, best_count = 0;
    for (int i = 0; i < size; i++) {
        int count = 0;
        for (int j = 0; j < size; j++) count += hash[j] == hash[i];
        if (count > best_count) best = i, best_count = count;
    }
    return best;
}

/* The line of a that holds its first difference to b. */
static int differing_line(const char *a, const char *b, const char **line) {
    size_t at = 0;
    while (a[at] && a[at] == b[at]) at++;
    while (at > 0 && a[at - 1] != '\n') at--;
    *line = a + at;
    size_t length = strcspn(*line, "\n");
    return (int)(length < SHOWN_BYTES ? length : SHOWN_BYTES);
}

void comm_check_equal(comm *c, const char *what, const char *value, error *e) {
    size_t length = strlen(value);
    assert(length < VALUE_BYTES);
    uint64_t mine = hash_of(value), *all = must_alloc((size_t)c->size, sizeof *all);
    comm_gather_u64(c, &mine, 1, all);
    int reference = most_common(all, c->size);
    free(all);
    char other[VALUE_BYTES] = "";
    memcpy(other, value, length);
    MPI_Bcast(other, VALUE_BYTES, MPI_CHAR, reference, world);
    bool odd = strcmp(value, other) != 0;
    int64_t lowest = odd ? c->rank : c->size;
    comm_min_i64(c, &lowest, 1);
    if (lowest != c->rank || e->code) return;
    const char *x, *y;
    int x_length = differing_line(value, other, &x), y_length = differing_line(other, value, &y);
    error_set(e, EXIT_USAGE, "%s differs: rank %d (%s) has %.*s, rank %d has %.*s; start every rank alike", what, c->rank, c->host,
              x_length, x, reference, y_length, y);
}

void comm_barrier(comm *c) {
    (void)c;
    MPI_Barrier(world);
}

void comm_broadcast(comm *c, void *data, size_t bytes, int root) {
    assert(c->chunk_bytes >= 1 && c->chunk_bytes <= (size_t)1 << 30);
    for (size_t at = 0; at < bytes; at += c->chunk_bytes) {
        size_t n = bytes - at < c->chunk_bytes ? bytes - at : c->chunk_bytes;
        MPI_Bcast((char *)data + at, (int)n, MPI_BYTE, root, world);
    }
}

static void combine_i64(int64_t *values, int count, MPI_Op how) {
    MPI_Allreduce(MPI_IN_PLACE, values, count, MPI_INT64_T, how, world);
}

void comm_sum_i64(comm *c, int64_t *values, int count) { (void)c, combine_i64(values, count, MPI_SUM); }
void comm_max_i64(comm *c, int64_t *values, int count) { (void)c, combine_i64(values, count, MPI_MAX); }
void comm_min_i64(comm *c, int64_t *values, int count) { (void)c, combine_i64(values, count, MPI_MIN); }

void comm_gather_f64(comm *c, const double *mine, int count, double *all) {
    (void)c;
    MPI_Allgather(mine, count, MPI_DOUBLE, all, count, MPI_DOUBLE, world);
}

void comm_gather_u64(comm *c, const uint64_t *mine, int count, uint64_t *all) {
    (void)c;
    MPI_Allgather(mine, count, MPI_UINT64_T, all, count, MPI_UINT64_T, world);
}

/* Gathered and added on every rank alike: MPI_Allreduce leaves the order of additions to the library. */
void comm_tree_sum_f64(comm *c, double *values, int count) {
    size_t needed = (size_t)c->size * (size_t)count;
    if (needed > c->scratch_count) {
        c->scratch = must_realloc(c->scratch, needed, sizeof *c->scratch);
        c->scratch_count = needed;
    }
    comm_gather_f64(c, values, count, c->scratch);
    tree_sum_f64(c->scratch, c->size, count);
    if (count) memcpy(values, c->scratch, (size_t)count * sizeof *values);
}

int comm_finish(comm *c, int code) {
    comm_barrier(c);
    MPI_Comm_free(&world);
    MPI_Finalize();
    fail_set_hook(NULL);
    free(c->scratch);
    free(c);
    return code;
}
