/* base/arena.c - slices of one block. */
#include "base/arena.h"
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include "base/fail.h"
#include "base/memory.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_ASAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) && !defined(ARENA_ASAN)
#define ARENA_ASAN 1
#endif

enum { ALIGN = 64 };   /* a cache line, and the widest vector */
#ifdef ARENA_ASAN
#include <sanitizer/asan_interface.h>
enum { RED_ZONE = ALIGN };
static void poison(char *p, size_t bytes) { ASAN_POISON_MEMORY_REGION(p, bytes); }
static void unpoison(char *p, size_t bytes) { ASAN_UNPOISON_MEMORY_REGION(p, bytes); }
#else
enum { RED_ZONE = 0 };
static void poison(char *p, size_t bytes) { (void)p, (void)bytes; }
static void unpoison(char *p, size_t bytes) { (void)p, (void)bytes; }
#endif

static size_t rounded(size_t bytes) { return (bytes + ALIGN - 1) / ALIGN * ALIGN; }

void arena_init(arena *a, size_t capacity_bytes) {
    *a = (arena){0};
    if (!capacity_bytes) return;
    if (capacity_bytes > SIZE_MAX - ALIGN) fail(EXIT_MACHINE, "out of memory: %zu bytes were asked for", capacity_bytes);
    a->capacity = rounded(capacity_bytes);
    a->base = memory_new(a->capacity);
    if (!a->base) fail(EXIT_MACHINE, "out of memory: %zu bytes were asked for", a->capacity);
    poison(a->base, a->capacity);
}

void *arena_take(arena *a, size_t count, size_t size) {
    if (size && count > (SIZE_MAX / 2 - a->used) / size) fail(EXIT_MACHINE, "out of memory: %zu x %zu bytes were asked for", count, size);
    size_t bytes = count * size, begin = a->used;
    a->used += rounded(bytes) + RED_ZONE;
    if (a->used > a->peak) a->peak = a->used;
    if (!a->base) return NULL;
    assert(a->used <= a->capacity);   /* the dry pass took less */
    unpoison(a->base + begin, bytes);
    return a->base + begin;
}

size_t arena_mark(const arena *a) { return a->used; }

void arena_release(arena *a, size_t mark) {
    assert(mark <= a->used);
    if (a->base) poison(a->base + mark, a->used - mark);
    a->used = mark;
}

size_t arena_peak(const arena *a) { return a->peak; }

void arena_free(arena *a) {
    if (a->base) unpoison(a->base, a->capacity);   /* the allocator will hand these bytes out again */
    free(a->base);
    *a = (arena){0};
}
