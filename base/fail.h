/* base/fail.h - how every program of this project says that something is wrong.
 *
 * Promise: one line on stderr that begins with the program's name, and the documented exit code.
 *
 *     int vocab_load(vocab **out, const char *path, error *e) {
 *         ...
 *         return error_set(e, EXIT_USAGE, "%s: line %zu is empty; remove it", path, line);
 *     }
 *
 * Three kinds only. A bug: assert(). Expected at start (bad input): return error_set(), the caller decides, ranks agree.
 * Cannot go on in mid-run (no memory, I/O): fail(), which ends the whole job through the hook that comm/ sets. */
#ifndef BASE_FAIL_H
#define BASE_FAIL_H
#include <stddef.h>

/* Exit codes of all programs; 128 and above belong to the launcher. */
enum {
    EXIT_DONE = 0,
    EXIT_MACHINE = 1,   /* the machine failed us mid-run: I/O, memory, a rank died */
    EXIT_USAGE = 2,     /* usage, configuration, data or unwritable output, found at start */
    EXIT_DIVERGED = 3,  /* training diverged */
    EXIT_UNSAVED = 4,   /* checkpoints could not be saved */
    EXIT_CORRUPT = 5,   /* content differs from its recorded hash */
    EXIT_STOPPED = 75   /* stopped on request after saving: run again to go on */
};

typedef struct error {
    int code;           /* one of the above; 0 = no error */
    char text[2048];    /* "where: what; what to do", no newline */
} error;

/* Not collective. The name that every line begins with; borrowed for the life of the program. Call first in main(). */
void fail_init(const char *program);

/* Not collective. Adds "rank R (host): " to every later line (used when there is more than one rank). */
void fail_set_place(int rank, const char *host);

/* Not collective. What fail() calls after its line instead of exit(): comm/ sets MPI_Abort. NULL restores exit(). */
void fail_set_hook(void (*hook)(int code));

/* Prints the one line and ends the job with `code`. Control characters in the text become '?', so it stays one line. */
_Noreturn void fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Fills *e and returns code, so that `return error_set(...)` reads as the refusal that it is. */
int error_set(error *e, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Prints e->text as the one line. Returns e->code. */
int error_print(const error *e);

/* One line on stderr, "program: warning: ...". Silenced by nothing: say only what a user must act on. */
void warn(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* malloc, calloc, realloc, strdup that fail(EXIT_MACHINE) naming the bytes asked for; overflow of count*size is caught. */
void *must_alloc(size_t count, size_t size);
void *must_zalloc(size_t count, size_t size);
void *must_realloc(void *old, size_t count, size_t size);
char *must_strdup(const char *text);
char *must_format(const char *format, ...) __attribute__((format(printf, 1, 2), nonnull(1)));   /* caller frees */
#endif
