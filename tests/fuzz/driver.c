/* tests/fuzz/driver.c - a small coverage-guided fuzzer for gcc, which has no libFuzzer: -fsanitize-coverage=trace-pc calls us at every branch.
 *
 *     fuzz_TARGET --runs N | --seconds N [--seed K] [--keep FOLDER] SEEDS...       SEEDS: files and folders of them
 *     fuzz_TARGET --runs 0 FILE                                      runs one input again
 *
 * Every seed is run; then inputs made of them. One that reaches a new branch, or an old one more often, joins the seeds (--keep writes it).
 * The same program, seeds and K give the same inputs in the same order. When the process ends badly, the input is left in ./finding-TARGET. */
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "base/fail.h"
#include "base/files.h"
#include "base/sha256.h"
#include "tests/fuzz/fuzz.h"

enum { MAP = 1 << 16, MOST_BYTES = 1 << 16, SECONDS_PER_INPUT = 10 };
typedef struct input { uint8_t *data; size_t size; } input;

static uint8_t map[MAP], seen[MAP];
static uintptr_t before;
extern const char __executable_start[];

/* Called by instrumented code. The address is taken from the program's start, so that it is the same in every run. */
void __sanitizer_cov_trace_pc(void);
__attribute__((no_sanitize("address", "undefined"))) void __sanitizer_cov_trace_pc(void) {
    uintptr_t here = (uintptr_t)__builtin_return_address(0) - (uintptr_t)__executable_start;
    uint8_t *n = &map[(here * 0x9E3779B1u >> 8 ^ before) & (MAP - 1)];
    *n = (uint8_t)(*n + (*n < 255));
    before = here >> 1;
}

static uint64_t state = 1;
static uint64_t draw(uint64_t n) {       /* splitmix64; below n */
    uint64_t z = (state += 0x9E3779B97F4A7C15u);
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return (z ^ z >> 31) % n;
}

static input *pool;
static size_t pool_count;
static input current;                    /* under way; .data NULL: none */
static char finding[300];

/* The sanitizers' own ways to be told what we want, and to say that the process ends badly. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "detect_leaks=1:allocator_may_return_null=1:max_allocation_size_mb=4096:handle_abort=1"; }
const char *__ubsan_default_options(void);
const char *__ubsan_default_options(void) { return "print_stacktrace=1"; }
void __sanitizer_set_death_callback(void (*callback)(void));

static void keep_finding(void) {
    int fd = current.data ? open(finding, O_WRONLY | O_CREAT | O_TRUNC, 0600) : -1;
    if (fd >= 0 && write(fd, current.data, current.size) == (ssize_t)current.size) fprintf(stderr, "%s: the input of %zu bytes\n", finding, current.size);
}

static void add_to_pool(const uint8_t *data, size_t size) {
    pool = must_realloc(pool, pool_count + 1, sizeof *pool);
    pool[pool_count] = (input){must_alloc(size + 1, 1), size};
    memcpy(pool[pool_count++].data, data, size);
}

/* Runs it; true when it reached something new. */
static bool run(const uint8_t *data, size_t size) {
    static uint8_t bucket[256];
    if (!bucket[255]) for (int i = 1; i < 256; i++) bucket[i] = (uint8_t)(1 << (i < 4 ? i - 1 : i < 8 ? 3 : i < 16 ? 4 : i < 32 ? 5 : i < 128 ? 6 : 7));
    uint8_t *exact = must_alloc(size + !size, 1);        /* of this size, so that reading beyond it is seen */
    memcpy(exact, data, size);
    current = (input){(uint8_t *)data, size};
    memset(map, 0, sizeof map);
    before = 0;
    alarm(SECONDS_PER_INPUT);
    LLVMFuzzerTestOneInput(exact, size);
    alarm(0);
    current.data = NULL;
    free(exact);
    bool new = false;
    for (size_t i = 0; i < MAP; i++) {
        if (!map[i]) continue;
        new = new || bucket[map[i]] & ~seen[i];
        seen[i] |= bucket[map[i]];
    }
    return new;
}

static void put(uint8_t *to, size_t *size, size_t at, size_t cut, const void *with, size_t bytes) {   /* replaces `cut` bytes at `at` */
    if (*size - cut + bytes > MOST_BYTES) return;
    uint8_t copy[1024];                                  /* `with` may lie in `to` */
    memcpy(copy, with, bytes);
    memmove(to + at + bytes, to + at + cut, *size - at - cut);
    memcpy(to + at, copy, bytes);
    *size += bytes - cut;
}

static void mutate(uint8_t *d, size_t *size) {
    static const uint8_t edges[] = { 0, 1, 0x7f, 0x80, 0xff, '\n', '\r', ' ', '"', '\\', '{', '[', 0xc0, 0xe0, 0xed, 0xf0, 0xf4 };
    const input *other = &pool[draw(pool_count)];
    size_t at = draw(*size + 1), left = *size - at, most = left < 1024 ? left : 1024;
    uint64_t number = draw(4) ? (uint64_t)1 << draw(64) : 0;
    number += draw(3) - 1;
    size_t words = 0, width = (size_t)1 << draw(4), few = draw(16) + 1;
    if (few > most) few = most;
    while (fuzz_words[words]) words++;
    switch (draw(10)) {
        case 0: if (left) d[at] = (uint8_t)(d[at] ^ 1u << draw(8)); break;
        case 1: if (left) d[at] = edges[draw(sizeof edges)]; break;
        case 2: if (left) d[at] = (uint8_t)draw(256); break;
        case 3: put(d, size, at, width < left ? width : left, &number, width); break;
        case 4: put(d, size, at, 0, &edges[draw(sizeof edges)], 1); break;
        case 5: put(d, size, at, draw(4) ? few : draw(left + 1), "", 0); break;
        case 6: if (most) put(d, size, draw(*size + 1), 0, d + at, draw(2) ? few : draw(most) + 1); break;
        case 7:
            if (words) {
                const char *w = fuzz_words[draw(words)];
                put(d, size, at, draw(2) ? 0 : few, w, strlen(w));
            }
            break;
        case 8: {
            size_t from = draw(other->size + 1), n = other->size - from < 1024 ? other->size - from : 1024;
            put(d, size, at, draw(2) ? 0 : few, other->data + from, draw(n + 1));
            break;
        }
        default: if (left) d[at] = (uint8_t)(d[at] + draw(9) - 4);
    }
}

static void read_seeds(const char *path) {
    error e = {0};
    char **names = NULL, *data;
    size_t count = 0, bytes;
    if (!files_is_folder(path)) {
        if (files_read(path, MOST_BYTES, &data, &bytes, &e)) exit(error_print(&e));
        add_to_pool((const uint8_t *)data, bytes);
        free(data);
        return;
    }
    if (files_list(path, &names, &count, &e)) exit(error_print(&e));
    for (size_t i = 0; i < count; i++) {
        char *name = files_join(path, names[i]);
        if (names[i][0] != '.') read_seeds(name);
        free(name);
    }
    files_free_list(names, count);
}

static void keep(const char *folder, const uint8_t *data, size_t size) {
    sha256 hash;
    char hex[SHA256_HEX];
    error e = {0};
    sha256_init(&hash);
    sha256_add(&hash, data, size);
    sha256_end_hex(&hash, hex);
    hex[16] = '\0';
    char *path = files_join(folder, hex);
    if (files_write_atomic(path, data, size, &e)) exit(error_print(&e));
    free(path);
}

static void too_slow(int unused) {
    (void)unused;
    static const char line[] = "fuzz: an input takes too long\n";
    if (write(STDERR_FILENO, line, sizeof line - 1)) {}
    abort();
}

static void no_way_out(int code) {
    fprintf(stderr, "fuzz: the target called fail(%d)\n", code);
    abort();
}

int main(int argc, char **argv) {
    uint64_t runs = UINT64_MAX, done = 0;
    double seconds = 1e18;
    const char *folder = NULL, *name = strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0];
    fail_init(name);
    for (int i = 1; i < argc; i++) {
        bool more = i + 1 < argc;
        if (more && !strcmp(argv[i], "--runs")) runs = strtoull(argv[++i], NULL, 10);
        else if (more && !strcmp(argv[i], "--seconds")) seconds = strtod(argv[++i], NULL);
        else if (more && !strcmp(argv[i], "--seed")) state = strtoull(argv[++i], NULL, 10);
        else if (more && !strcmp(argv[i], "--keep")) folder = argv[++i];
        else read_seeds(argv[i]);
    }
    if (!pool_count) fail(EXIT_USAGE, "no seeds given");
    snprintf(finding, sizeof finding, "finding-%s", strncmp(name, "fuzz_", 5) ? name : name + 5);
    __sanitizer_set_death_callback(keep_finding);
    signal(SIGALRM, too_slow);
    fail_set_hook(no_way_out);
    size_t seeds = pool_count, hits = 0;
    for (size_t i = 0; i < seeds; i++) run(pool[i].data, pool[i].size);
    time_t began = time(NULL);
    uint8_t *made = must_alloc(MOST_BYTES, 1);
    for (; done < runs && difftime(time(NULL), began) < seconds; done++) {
        const input *from = &pool[draw(2) ? draw(pool_count) : pool_count - 1 - draw(pool_count < 16 ? pool_count : 16)];
        size_t size = from->size;
        memcpy(made, from->data, size);
        for (uint64_t n = 1 + draw(6); n > 0; n--) mutate(made, &size);
        if (!run(made, size)) continue;
        add_to_pool(made, size);
        if (folder) keep(folder, made, size);
    }
    for (size_t i = 0; i < MAP; i++) hits += seen[i] != 0;
    printf("%s: %zu seeds, %llu inputs, %zu kept, %zu branches reached\n", name, seeds, (unsigned long long)done, pool_count - seeds, hits);
    for (size_t i = 0; i < pool_count; i++) free(pool[i].data);
    free(pool);
    free(made);
    return 0;
}
