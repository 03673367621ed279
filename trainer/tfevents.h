/* trainer/tfevents.h - scalars for TensorBoard, written by hand: a file of records, each a small protobuf message.
 *
 *     | length u64 | masked crc of length u32 | Event | masked crc of Event u32 |    little-endian, once per event
 *
 * Source: tensorflow/core/lib/io/record_writer.cc, tensorflow/core/util/event.proto; crc32c: RFC 3720, appendix B.4. */
#ifndef TRAINER_TFEVENTS_H
#define TRAINER_TFEVENTS_H
#include <stdint.h>
#include <stdio.h>
#include "base/fail.h"   /* error */

typedef struct tfevents tfevents;
typedef struct tfevents_scalar { const char *tag; double value; } tfevents_scalar;

/* Makes folder/events.out.tfevents.<time>.<host>.<pid>. Steps past `resumed_step` of earlier files in the folder are declared void.
 * NULL with *e set when it cannot be made. */
tfevents *tfevents_open(const char *folder, int64_t resumed_step, error *e);

/* One event with all scalars (at most 16, tags below 64 characters). 0, or EXIT_MACHINE with *e set. */
int tfevents_add(tfevents *t, int64_t step, const tfevents_scalar *scalar, int count, error *e);
void tfevents_close(tfevents *t);

uint32_t crc32c(const void *data, size_t bytes);
#endif
