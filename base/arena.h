/* base/arena.h - one aligned block, handed out in slices: a step allocates nothing.
 *
 *     +--------+----------+--------+ ... +-----------+
 *     | slice  | red zone | slice  |     | unused    |     red zones exist under AddressSanitizer only
 *     +--------+----------+--------+ ... +-----------+
 *
 * Sized by a dry pass: run the same arena_take() sequence on an arena made with capacity 0, then read arena_peak(). */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H
#include <stddef.h>

typedef struct arena { char *base; size_t capacity, used, peak; } arena;

void arena_init(arena *a, size_t capacity_bytes);          /* 0: counts only, takes return NULL. fail()s when memory is short */
void *arena_take(arena *a, size_t count, size_t size);     /* 64-byte aligned, not cleared; assert on overflow */
size_t arena_mark(const arena *a);                         /* stack discipline: everything taken after a mark ... */
void arena_release(arena *a, size_t mark);                 /* ... is given back together */
size_t arena_peak(const arena *a);
void arena_free(arena *a);
#endif
