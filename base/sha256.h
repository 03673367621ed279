/* base/sha256.h - SHA-256 (FIPS 180-4), with the CPU's SHA instructions where it has them.
 *
 * Promise: equals sha256sum. It finds corruption; it is no signature. */
#ifndef BASE_SHA256_H
#define BASE_SHA256_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/fail.h"   /* error */

enum { SHA256_BYTES = 32, SHA256_HEX = 65 };   /* SHA256_HEX includes the final NUL */

typedef struct sha256 { uint32_t state[8]; uint64_t bytes; unsigned char block[64]; } sha256;

void sha256_init(sha256 *s);
void sha256_add(sha256 *s, const void *data, size_t bytes);
void sha256_end(sha256 *s, unsigned char digest[SHA256_BYTES]);
void sha256_end_hex(sha256 *s, char hex[SHA256_HEX]);                    /* lower case */

/* bytes may be NULL. EXIT_USAGE: cannot be opened or is no regular file; EXIT_MACHINE: a read failed. */
int sha256_file(const char *path, char hex[SHA256_HEX], uint64_t *bytes, error *e);

const char *sha256_implementation(void);                                 /* "sha-ni" or "portable" */
bool sha256_use(const char *implementation);                             /* false when this CPU lacks it; for tests and benchmarks */
#endif
