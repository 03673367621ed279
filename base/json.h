/* base/json.h - the one door to jansson.
 *
 * Duplicate keys, depth above 64 and trailing text are refused. Borrowed values live as long as their root. */
#ifndef BASE_JSON_H
#define BASE_JSON_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/fail.h"   /* error */

typedef struct json_t json;   /* jansson's own type, opaque here */

/* jansson exports functions of these names; ours must not stand in their place when programs are linked. */
#define json_string json_string_of
#define json_real json_real_of
#define json_copy json_copy_of

enum json_kind { JSON_KIND_NULL, JSON_KIND_BOOL, JSON_KIND_INTEGER, JSON_KIND_REAL, JSON_KIND_STRING, JSON_KIND_ARRAY, JSON_KIND_OBJECT };

/* The text's top must be an object or array. EXIT_USAGE naming `where`, line and column. Integers beyond 64 bits are read as reals.
 * Owned by the caller: json_free(). */
int json_read(json **out, const char *path, size_t limit_bytes, error *e);
int json_parse(json **out, const char *text, size_t bytes, const char *where, error *e);
void json_free(json *j);

enum json_kind json_kind_of(const json *j);
const json *json_get(const json *object, const char *key);            /* NULL when absent or not an object */
size_t json_count(const json *j);                                     /* of an array or object */
const json *json_at(const json *array, size_t i);
/* Walks an object in stored order: key_at(0..count-1), or, without counting anew each time, next_key(NULL), next_key(key), ... NULL. */
const char *json_key_at(const json *object, size_t i);
const char *json_next_key(const json *object, const char *key);       /* key: a pointer that this function gave */

/* Typed reads with a check: EXIT_USAGE "where: key: expected an integer" when absent or of another type. */
int json_need_int(const json *o, const char *key, int64_t low, int64_t high, const char *where, int64_t *out, error *e);
int json_need_real(const json *o, const char *key, double low, double high, const char *where, double *out, error *e);
int json_need_string(const json *o, const char *key, const char *where, const char **out, error *e);   /* borrowed */
int json_need_bool(const json *o, const char *key, const char *where, bool *out, error *e);
/* Values themselves; only for the right kind. */
int64_t json_int(const json *j);
double json_real(const json *j);         /* integer or real */
const char *json_string(const json *j);
bool json_bool(const json *j);
size_t json_string_bytes(const json *j);

json *json_new_object(void);
json *json_new_array(void);
void json_set_string(json *o, const char *key, const char *v);    /* NULL stores null; where v is not UTF-8 its bytes above 127 become '?' */
void json_set_string_n(json *o, const char *key, const char *v, size_t bytes);
void json_set_int(json *o, const char *key, int64_t v);
void json_set_real(json *o, const char *key, double v);           /* JSON has no NaN and no infinity: null is stored */
void json_set_bool(json *o, const char *key, bool v);
void json_set_null(json *o, const char *key);
void json_set(json *o, const char *key, json *child);             /* takes ownership of child */
void json_append(json *array, json *child);                       /* takes ownership of child */
json *json_new_string(const char *v);
json *json_new_string_n(const char *v, size_t bytes);
json *json_new_int(int64_t v);
json *json_new_real(double v);
json *json_copy(const json *j);

/* Insertion order, laid out as Python's json.dumps. indent 0 = one line. No newline at the end. Caller frees.
 * A real is written with the fewest digits that read back the same double. */
char *json_print(const json *j, int indent);
#endif
