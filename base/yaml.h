/* base/yaml.h - the one door to libyaml: one flat mapping of scalars, read as text.
 *
 * Refused with the line number (EXIT_USAGE): files above 64 KiB, duplicate keys, anchors, aliases, tags, nesting, a second document. */
#ifndef BASE_YAML_H
#define BASE_YAML_H
#include <stdbool.h>
#include <stddef.h>
#include "base/fail.h"   /* error */

typedef struct yaml_pair { char *key, *value; size_t line; } yaml_pair;
typedef struct yaml_map { yaml_pair *pair; size_t count; } yaml_map;

int yaml_read(yaml_map *out, const char *path, error *e);    /* fills *out, to be freed with yaml_free() */
/* libyaml exports a yaml_free() of its own, which ours must not stand in for when programs are linked. */
#define yaml_free yaml_map_free
void yaml_free(yaml_map *m);
/* One "key: value" a line with quoting where YAML needs it; yaml_read() gives the same back. Caller frees. */
char *yaml_print(const yaml_map *m);
bool yaml_can_hold(const char *text);   /* false: not UTF-8, so no YAML file can hold it */
#endif
