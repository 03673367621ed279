/* tests/tools/preload/count_malloc.c - counts the allocations that a program's own code asks for, by LD_PRELOAD; built by tests/cli/memory.sh.
 *
 * A call counts when it returns into the executable: libraries (MPI, OpenMP, HDF5, libc) may do as they like. At exit "ALLOCATIONS PEAK_KIB",
 * the peak of resident memory, goes to COUNT_FILE when the program is COUNT_PROGRAM. */
#define _GNU_SOURCE
#include <errno.h>
#include <link.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t), *__libc_memalign(size_t, size_t);
static uintptr_t begin, end;             /* of the executable's code */
static _Atomic long count;

static int first_object(struct dl_phdr_info *info, size_t size, void *unused) {
    (void)size, (void)unused;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        if (p->p_type == PT_LOAD && (p->p_flags & PF_X)) begin = info->dlpi_addr + p->p_vaddr, end = begin + p->p_memsz;
    }
    return 1;                            /* the executable comes first */
}

__attribute__((constructor)) static void start(void) { dl_iterate_phdr(first_object, NULL); }

__attribute__((destructor)) static void finish(void) {
    const char *name = getenv("COUNT_FILE"), *program = getenv("COUNT_PROGRAM");
    struct rusage usage;
    if (!name || !program || strcmp(program, program_invocation_short_name) != 0) return;     /* daemons of MPI inherit all this */
    getrusage(RUSAGE_SELF, &usage);
    FILE *f = fopen(name, "w");
    if (!f) return;
    fprintf(f, "%ld %ld\n", atomic_load(&count), usage.ru_maxrss);
    fclose(f);
}

#define COUNT() do { uintptr_t to = (uintptr_t)__builtin_return_address(0); if (to >= begin && to < end) atomic_fetch_add(&count, 1); } while (0)
void *malloc(size_t n) { COUNT(); return __libc_malloc(n); }
void *calloc(size_t n, size_t size) { COUNT(); return __libc_calloc(n, size); }
void *realloc(void *p, size_t n) { COUNT(); return __libc_realloc(p, n); }
void *aligned_alloc(size_t align, size_t n) { COUNT(); return __libc_memalign(align, n); }
int posix_memalign(void **out, size_t align, size_t n) { COUNT(); return (*out = __libc_memalign(align, n)) ? 0 : 12; }
