/* base/json_print.c - JSON as text. Ours, since jansson prints all reals with one precision: 0.1 would be 0.10000000000000001. */
#include <string.h>
#include "base/json.h"
#include "base/text.h"

static void print_string(text *t, const char *s, size_t bytes) {
    text_add(t, "\"", 1);
    for (size_t i = 0; i < bytes; i++) {
        unsigned char c = (unsigned char)s[i];
        const char *at = c ? strchr("\"\"\\\\\bb\ff\nn\rr\tt", c) : NULL;
        if (c == '"' || c == '\\') text_format(t, "\\%c", c);
        else if (c < 0x20 && at) text_format(t, "\\%c", at[1]);
        else if (c < 0x20) text_format(t, "\\u%04x", c);
        else text_add(t, s + i, 1);
    }
    text_add(t, "\"", 1);
}

static void print_real(text *t, double v) {
    size_t from = t->bytes;
    text_real(t, v);
    if (!strpbrk(t->data + from, ".e")) text_format(t, ".0");   /* stays a real when read back */
}

static void line(text *t, int indent, int depth) {
    if (indent) text_format(t, "\n%*s", indent * depth, "");
}

static void print(text *t, const json *j, int indent, int depth) {
    const char *comma = indent ? "," : ", ";
    switch (json_kind_of(j)) {
        case JSON_KIND_NULL: text_format(t, "null"); break;
        case JSON_KIND_BOOL: text_format(t, json_bool(j) ? "true" : "false"); break;
        case JSON_KIND_INTEGER: text_format(t, "%lld", (long long)json_int(j)); break;
        case JSON_KIND_REAL: print_real(t, json_real(j)); break;
        case JSON_KIND_STRING: print_string(t, json_string(j), json_string_bytes(j)); break;
        case JSON_KIND_ARRAY:
            text_format(t, "[");
            for (size_t i = 0; i < json_count(j); i++) {
                if (i) text_format(t, "%s", comma);
                line(t, indent, depth + 1);
                print(t, json_at(j, i), indent, depth + 1);
            }
            if (json_count(j)) line(t, indent, depth);
            text_format(t, "]");
            break;
        case JSON_KIND_OBJECT: {
            const char *first = json_next_key(j, NULL);
            text_format(t, "{");
            for (const char *key = first; key; key = json_next_key(j, key)) {
                if (key != first) text_format(t, "%s", comma);
                line(t, indent, depth + 1);
                print_string(t, key, strlen(key));
                text_format(t, ": ");
                print(t, json_get(j, key), indent, depth + 1);
            }
            if (first) line(t, indent, depth);
            text_format(t, "}");
            break;
        }
    }
}

char *json_print(const json *j, int indent) {
    text t = {0};
    print(&t, j, indent, 0);
    return text_take(&t);
}
