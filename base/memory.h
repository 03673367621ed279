/* base/memory.h - memory for large arrays, on huge pages where the system gives them: fewer misses of the address cache in every sweep. */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H
#include <stddef.h>

/* Aligned to 64 bytes, from 2 MiB on to 2 MiB; not cleared; free() releases it. NULL when memory is short. bytes 0 is allowed. */
void *memory_new(size_t bytes);
#endif
