/* base/fail.c - one line on stderr, one exit code. */
#include "base/fail.h"
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINE_BYTES = 4096 };   /* PIPE_BUF: lines of many ranks into one pipe do not mix */

static const char *program_name = "bert";
static int place_rank = -1;
static char place_host[256];
static void (*abort_hook)(int);

void fail_init(const char *program) { program_name = program; }

void fail_set_place(int rank, const char *host) {
    place_rank = rank;
    snprintf(place_host, sizeof place_host, "%s", host);
}

void fail_set_hook(void (*hook)(int code)) { abort_hook = hook; }

/* A file name may hold newlines or terminal escapes (C0, DEL, and C1 as UTF-8): none reaches the terminal. */
static void clean(char *text) {
    for (unsigned char *p = (unsigned char *)text; *p; p++) {
        if (*p < 0x20 || *p == 0x7f) *p = '?';
        else if (*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0) p[0] = p[1] = '?';
    }
}

/* One write(), no stdio buffer and no memory: it works when memory is short. */
static void say(const char *kind, const char *format, va_list args) {
    char line[LINE_BYTES];
    size_t room = sizeof line - 1, used;
    int n = place_rank < 0 ? snprintf(line, room, "%s: %s", program_name, kind)
                           : snprintf(line, room, "%s: rank %d (%s): %s", program_name, place_rank, place_host, kind);
    used = n < 0 ? 0 : (size_t)n < room ? (size_t)n : room - 1;
    n = vsnprintf(line + used, room - used, format, args);
    if (n > 0) {
        bool cut = (size_t)n >= room - used;
        used = cut ? room - 1 : used + (size_t)n;
        if (cut) memcpy(line + used - 3, "...", 3);
    }
    line[used] = 0;
    clean(line);
    line[used++] = '\n';
    for (size_t done = 0; done < used;) {
        ssize_t w = write(STDERR_FILENO, line + done, used - done);
        if (w <= 0) break;
        done += (size_t)w;
    }
}

__attribute__((format(printf, 2, 3))) static void say_line(const char *kind, const char *format, ...) {
    va_list args;
    va_start(args, format);
    say(kind, format, args);
    va_end(args);
}

_Noreturn void fail(int code, const char *format, ...) {
    static atomic_flag taken = ATOMIC_FLAG_INIT;
    static _Thread_local bool mine;
    if (mine) _exit(code);                        /* the hook or an exit handler failed in its turn */
    if (atomic_flag_test_and_set(&taken)) for (;;) pause();   /* another thread has printed the one line and is ending the job */
    mine = true;
    va_list args;
    va_start(args, format);
    say("", format, args);
    va_end(args);
    if (abort_hook) abort_hook(code);
    exit(code);
}

int error_set(error *e, int code, const char *format, ...) {
    va_list args;
    va_start(args, format);
    e->code = code;
    int n = vsnprintf(e->text, sizeof e->text, format, args);
    if (n >= (int)sizeof e->text) memcpy(e->text + sizeof e->text - 4, "...", 4);
    va_end(args);
    return code;
}

int error_print(const error *e) {
    say_line("", "%s", e->text);
    return e->code;
}

void warn(const char *format, ...) {
    va_list args;
    va_start(args, format);
    say("warning: ", format, args);
    va_end(args);
}

/* malloc(0) may be NULL; a caller of ours always gets memory. */
static size_t bytes_of(size_t count, size_t size) {
    if (size && count > SIZE_MAX / size) fail(EXIT_MACHINE, "out of memory: %zu x %zu bytes were asked for", count, size);
    return count && size ? count * size : 1;
}

static void *checked(void *p, size_t bytes) {
    if (!p) fail(EXIT_MACHINE, "out of memory: %zu bytes were asked for", bytes);
    return p;
}

void *must_alloc(size_t count, size_t size) {
    size_t bytes = bytes_of(count, size);
    return checked(malloc(bytes), bytes);
}

void *must_zalloc(size_t count, size_t size) {
    size_t bytes = bytes_of(count, size);
    return checked(calloc(1, bytes), bytes);
}

void *must_realloc(void *old, size_t count, size_t size) {
    size_t bytes = bytes_of(count, size);
    return checked(realloc(old, bytes), bytes);
}

char *must_strdup(const char *text) {
    size_t bytes = strlen(text) + 1;
    return memcpy(must_alloc(bytes, 1), text, bytes);
}

char *must_format(const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    if (n < 0) fail(EXIT_MACHINE, "a text cannot be formatted: \"%s\"", format);
    char *text = must_alloc((size_t)n + 1, 1);
    vsnprintf(text, (size_t)n + 1, format, again);
    va_end(again);
    va_end(args);
    return text;
}
