/* Memory of one's own counts in full, memory that two processes share counts half. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "trainer/memory.h"
#include <cmocka.h>   /* last: it makes fail a macro */

enum { BYTES = 64 << 20, SLACK = 8 << 20 };

static void shared_counts_half(void **state) {
    (void)state;
    if (access("/proc/self/smaps_rollup", R_OK) != 0) skip();
    int64_t before = memory_peak_bytes();
    char *own = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(own != MAP_FAILED);
    memset(own, 1, BYTES);
    int64_t with_own = memory_peak_bytes();
    assert_in_range(with_own - before, BYTES - SLACK, BYTES + SLACK);
    char *shared = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(shared != MAP_FAILED);
    int ready[2], end[2];
    char token = 0;
    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(end), 0);
    pid_t child = fork();
    if (child == 0) {
        munmap(own, BYTES);                          /* as a rank, it does not hold the other's own memory */
        close(end[1]);
        for (size_t i = 0; i < BYTES; i += 4096) token = (char)(token + shared[i]);
        if (write(ready[1], &token, 1) == 1) (void)!read(end[0], &token, 1);
        _exit(0);
    }
    memset(shared, 1, BYTES);
    assert_int_equal(read(ready[0], &token, 1), 1);
    int64_t with_shared = memory_peak_bytes();
    close(end[1]);
    waitpid(child, NULL, 0);
    assert_in_range(with_shared - with_own, BYTES / 2 - SLACK, BYTES / 2 + SLACK);
    munmap(shared, BYTES);
    munmap(own, BYTES);
}

int main(void) {
    const struct CMUnitTest tests[] = { cmocka_unit_test(shared_counts_half) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
