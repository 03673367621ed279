/* base/memory.c - see memory.h. */
#define _GNU_SOURCE              /* madvise */
#include "base/memory.h"
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { LINE = 64, HUGE_PAGE = 2 << 20 };

void *memory_new(size_t bytes) {
    size_t align = bytes >= HUGE_PAGE ? HUGE_PAGE : LINE;
    if (bytes > SIZE_MAX - align) return NULL;
    size_t whole = bytes ? (bytes + align - 1) / align * align : LINE;
    void *memory = aligned_alloc(align, whole);
#ifdef MADV_HUGEPAGE
    if (memory && align == HUGE_PAGE) (void)madvise(memory, whole, MADV_HUGEPAGE);      /* a wish: without it all works, slower */
#endif
    return memory;
}
