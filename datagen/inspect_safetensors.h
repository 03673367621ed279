/* datagen/inspect_safetensors.h - the table of contents of a safetensors file, for bert-inspect.
 *
 * Promise: sizes are checked before anything is allocated; every tensor lies inside the file and is as long as its shape says.
 * Format: 8 bytes little-endian N, N bytes of JSON {name: {dtype, shape, data_offsets}, "__metadata__": {...}}, then the data. */
#ifndef DATAGEN_INSPECT_SAFETENSORS_H
#define DATAGEN_INSPECT_SAFETENSORS_H
#include <stddef.h>
#include <stdint.h>
#include "base/fail.h"   /* error */

enum { SAFETENSORS_RANK = 8 };

/* offset: in the file. */
typedef struct inspect_tensor { char *name, dtype[8]; uint64_t shape[SAFETENSORS_RANK], elements, offset, bytes; int rank; } inspect_tensor;
typedef struct inspect_tensors { inspect_tensor *item; size_t count; uint64_t elements, file_bytes; } inspect_tensors;   /* names ascending bytewise */

/* EXIT_USAGE naming the path and what is malformed. */
int inspect_tensors_read(inspect_tensors *out, const char *path, error *e);
void inspect_tensors_free(inspect_tensors *s);
#endif
