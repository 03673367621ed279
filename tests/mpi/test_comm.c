// np: 1 2 3 5
/* Agreement, equality, small sums. Error lines are caught in a file by redirecting stderr. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "comm/comm.h"

static int failures;
static comm *c;

#define CHECK(good, ...) do { if (!(good) && failures++ < 5) { fprintf(stderr, "rank %d of %d, line %d: ", c->rank, c->size, __LINE__); \
    fprintf(stderr, __VA_ARGS__); fprintf(stderr, "\n"); } } while (0)

/* The lines that this rank prints in comm_agree(). */
static int agree_and_catch(const error *e, char *text, size_t room) {
    char path[] = "test_comm.XXXXXX", *folder = getenv("TMPDIR");
    (void)(folder && chdir(folder) == 0);
    int saved = dup(2), file = mkstemp(path);
    dup2(file, 2);
    int code = comm_agree(c, e);
    dup2(saved, 2);
    ssize_t n = pread(file, text, room - 1, 0);
    text[n > 0 ? n : 0] = 0;
    close(file);
    close(saved);
    unlink(path);
    return code;
}

static void agreement(void) {
    char text[4096];
    error none = {0};
    CHECK(agree_and_catch(&none, text, sizeof text) == 0 && !*text, "no error, but: %s", text);
    for (int lowest = 0; lowest < c->size; lowest++) {       /* rank r >= lowest fails with its own code */
        error e = {0};
        if (c->rank >= lowest) error_set(&e, EXIT_USAGE + (c->rank + lowest) % 4, "vocab.txt: line %d is empty; remove it", c->rank);
        int expected = EXIT_USAGE + 2 * lowest % 4, code = agree_and_catch(&e, text, sizeof text);
        CHECK(code == expected, "code %d, not %d of rank %d", code, expected, lowest);
        char line[600] = "";
        if (c->rank == lowest) {
            char place[300] = "";
            if (c->size > 1) snprintf(place, sizeof place, "rank %d (%s): ", c->rank, c->host);
            snprintf(line, sizeof line, "test_comm: %svocab.txt: line %d is empty; remove it\n", place, lowest);
        }
        CHECK(!strcmp(text, line), "printed \"%s\", not \"%s\"", text, line);
    }
}

static void equality(void) {
    char text[4096], expected[600];
    error e = {0};
    comm_check_equal(c, "program version", "0.1.0", &e);
    CHECK(comm_agree(c, &e) == 0, "equal, but: %s", e.text);
    for (int odd = 0; odd < c->size && c->size > 1; odd++) { /* also rank 0; with two ranks rank 0 is taken to be right */
        e = (error){0};
        comm_check_equal(c, "configuration", c->rank == odd ? "steps: 3\nseed: 7\nx: 1" : "steps: 3\nseed: 70\nx: 1", &e);
        int named = c->size == 2 ? 1 : odd, other = named == 0 ? 1 : 0;
        snprintf(expected, sizeof expected, "configuration differs: rank %d (%s) has seed: %s, rank %d has seed: %s;", named, c->host,
                 named == odd ? "7" : "70", other, named == odd ? "70" : "7");
        CHECK(c->rank != named || (e.code == EXIT_USAGE && !strncmp(e.text, expected, strlen(expected))), "\"%s\", not \"%s\"", e.text, expected);
        CHECK(c->rank == named || e.code == 0, "rank %d is odd, but: %s", named, e.text);
        CHECK(agree_and_catch(&e, text, sizeof text) == EXIT_USAGE, "no agreement");
    }
    e = (error){0};
    if (c->rank == c->size - 1) error_set(&e, EXIT_CORRUPT, "earlier");
    comm_check_equal(c, "data", c->rank == c->size - 1 ? "a" : "b", &e);
    CHECK(c->rank != c->size - 1 || !strcmp(e.text, "earlier"), "an earlier error became: %s", e.text);
}

static double T(int lo, int n, int element) {
    if (n == 1) return ((lo * 7 + element) % 5 - 2.2) * (lo % 2 ? 1e9 : 1.0 / 7) / (1 + lo + 3 * element);
    int p = 1;
    while (2 * p < n) p *= 2;
    return T(lo, p, element) + T(lo + p, n - p, element);
}

static void sums(void) {
    enum { N = 24 };
    int linear_differs = 0;
    for (int count = 1; count <= N; count += N - 1) {          /* the scratch grows at the second call */
        double values[N];
        for (int i = 0; i < N; i++) values[i] = T(c->rank, 1, i);
        comm_tree_sum_f64(c, values, count);
        for (int i = 0; i < N; i++) {
            double expected = i < count ? T(0, c->size, i) : T(c->rank, 1, i), linear = 0;
            CHECK(!memcmp(&values[i], &expected, sizeof expected), "tree sum %d of %d: %a, not %a", i, count, values[i], expected);
            for (int r = 0; r < c->size; r++) linear += T(r, 1, i);
            linear_differs += i < count && linear != expected;
        }
    }
    CHECK(c->size < 4 || linear_differs > 0, "the values cannot tell the tree from a sum from left to right");
    int64_t large = (int64_t)1 << 53, n = c->size;
    int64_t sum[2] = {large + c->rank, 1}, most = c->rank, least = -c->rank;
    comm_sum_i64(c, sum, 2);
    comm_max_i64(c, &most, 1);
    comm_min_i64(c, &least, 1);
    CHECK(sum[0] == n * large + n * (n - 1) / 2 && sum[1] == n, "sum %lld", (long long)sum[0]);
    CHECK(most == n - 1 && least == 1 - n, "max %lld min %lld", (long long)most, (long long)least);
    double mine[2] = {c->rank, 0.5}, all[64];
    uint64_t one = (uint64_t)c->rank << 60, each[32];
    comm_gather_f64(c, mine, 2, all);
    comm_gather_u64(c, &one, 1, each);
    for (int r = 0; r < c->size; r++) CHECK(all[2 * r] == r && all[2 * r + 1] == 0.5 && each[r] == (uint64_t)r << 60, "gather of rank %d", r);
}

static void broadcast(void) {
    enum { N = 10007 };
    static unsigned char data[N + 1];
    const size_t chunks[] = {1000, N, N - 1, N + 1, (size_t)1 << 30};
    for (size_t k = 0; k < sizeof chunks / sizeof *chunks; k++) {
        for (int root = 0; root < c->size; root++) {
            c->chunk_bytes = chunks[k];
            for (size_t i = 0; i <= N; i++) data[i] = c->rank == root ? (unsigned char)(i * i + 31 * k) : 0xee;
            data[N] = 0xaa;
            comm_broadcast(c, data, N, root);
            for (size_t i = 0; i < N; i++) CHECK(data[i] == (unsigned char)(i * i + 31 * k), "chunk %zu root %d byte %zu: %d", chunks[k], root, i, data[i]);
            CHECK(data[N] == 0xaa, "written past the end");
        }
    }
    comm_broadcast(c, NULL, 0, 0);
}

int main(int argc, char **argv) {
    fail_init("test_comm");
    bool launched = comm_launched();
    c = comm_start(&argc, &argv);
    CHECK(launched, "mpirun's variables were not seen");
    CHECK(c->nodes == 1 && c->node_size == c->size && c->node_rank == c->rank, "%d nodes, node rank %d of %d", c->nodes, c->node_rank, c->node_size);
    agreement();
    equality();
    sums();
    broadcast();
    int64_t any = failures;
    comm_max_i64(c, &any, 1);
    return comm_finish(c, any > 0);
}
