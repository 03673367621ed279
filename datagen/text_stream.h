/* datagen/text_stream.h - text of any dress, one segment at a time: the one door to zlib and zstd for reading.
 *
 * Promise: the segments depend on the bytes of the text only; every path was found readable before the first segment.
 *
 *     text_stream *t; const char *line; size_t bytes; bool last; int got;
 *     if (text_stream_open(&t, paths, count, &(text_settings){ .split_sentences = true }, &e)) return error_print(&e);
 *     while ((got = text_stream_line(t, &line, &bytes, &last, &e)) > 0) ...
 *
 * A path is a file, a folder (its files and folders in bytewise order of their names, recursively; names that begin with a dot are left
 * out) or "-" (standard input). Content is plain, gzip (any number of members) or zstd (any number of frames), told by its first bytes.
 * A line ends at \n only; one \r before it is dropped, as is a byte order mark at a file's start. A line is a segment, a blank one (ASCII
 * white space only) ends the document, and so does the end of a file. Names that end in .jsonl (.jsonl.gz, .jsonl.zst) hold one JSON
 * object per line: its text is a document, the lines in it are segments. Standard input is read so when json_key is given.
 * Bytes of plain lines are handed on as they are: whoever needs valid UTF-8 checks it. */
#ifndef DATAGEN_TEXT_STREAM_H
#define DATAGEN_TEXT_STREAM_H
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/fail.h"   /* error */

typedef struct text_stream text_stream;

enum { INVALID_FAIL, INVALID_REPLACE, INVALID_SKIP };   /* text that is no valid UTF-8: refused, read as U+FFFD, segment left out */

typedef struct text_settings {
    bool split_sentences;      /* lines are paragraphs: cut them by datagen/sentences.h */
    const char *json_key;      /* borrowed; NULL: "text" */
    int invalid;               /* of JSON lines, which must be valid to be read; a line left out is a document */
    const volatile sig_atomic_t *stop;   /* set by a signal's handler: reading ends with EXIT_MACHINE; may be NULL */
} text_settings;

/* EXIT_USAGE naming the path that cannot be read; an empty folder; no path at all. *out is owned by the caller. */
int text_stream_open(text_stream **out, char *const *paths, size_t count, const text_settings *settings, error *e);
void text_stream_close(text_stream *t);   /* NULL is allowed */

/* 1 = a segment, never blank, borrowed until the next call (not NUL-terminated); *document_end: it is its document's last.
 * 0 = end of all text. Below 0 = error in *e: EXIT_USAGE for damaged compression or JSON or a line above 256 MiB (file and line named),
 * EXIT_MACHINE when reading fails. */
int text_stream_line(text_stream *t, const char **line, size_t *bytes, bool *document_end, error *e);

/* The same files line by line as they stand: empty lines, \r and byte order marks included, no documents, no JSON. Use one of the two on a stream. */
int text_stream_raw(text_stream *t, const char **line, size_t *bytes, error *e);

/* Where the last returned segment stands: the file as named (folder/name), its line from 1. Borrowed until the next call. */
const char *text_stream_file(const text_stream *t);
size_t text_stream_line_number(const text_stream *t);
uint64_t text_stream_left_out(const text_stream *t);   /* JSON lines so far that were left out (INVALID_SKIP) */
/* The refusal of a line that is no valid UTF-8 (INVALID_FAIL), for its first bad byte; a backslash: of an escape in JSON. Returns EXIT_USAGE. */
int text_invalid(const char *file, size_t line_number, char byte, error *e);
bool text_stream_is_json(const text_stream *t);   /* the open file is JSON lines, by its name */

/* For progress: bytes read from disk so far, and of all files together (0 when not known: standard input, pipes). */
uint64_t text_stream_bytes_read(const text_stream *t);
uint64_t text_stream_bytes_total(const text_stream *t);
#endif
