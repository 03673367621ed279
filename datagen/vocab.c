/* datagen/vocab.c - a vocabulary file, read with suspicion. */
#include <stdlib.h>
#include <string.h>
#include "base/files.h"
#include "base/json.h"
#include "datagen/unicode_tables.h"
#include "datagen/utf8.h"
#include "datagen/vocab_table.h"

enum { MOST_TOKENS = 4 << 20, LONGEST_TOKEN = 1000, MOST_BYTES = 1 << 30 };

static const char *const special[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};

static uint64_t hash_of(const char *token, size_t bytes) {
    uint64_t h = VOCAB_HASH_START;
    for (size_t i = 0; i < bytes; i++) h = vocab_hash_byte(h, token[i]);
    return h;
}

static size_t token_bytes(const vocab *v, size_t id) { return v->start[id + 1] - v->start[id] - 1; }

static int check_token(const char *where, size_t line, const char *token, size_t bytes, error *e) {
    size_t bad;
    if (!bytes) return error_set(e, EXIT_USAGE, "%s:%zu: an empty line; every line is a token: remove it", where, line);
    if (bytes > LONGEST_TOKEN) return error_set(e, EXIT_USAGE, "%s:%zu: a token of %zu bytes; at most %d are allowed", where, line, bytes, LONGEST_TOKEN);
    if (!utf8_valid(token, bytes, &bad)) return error_set(e, EXIT_USAGE, "%s:%zu: invalid UTF-8 at byte %zu of the line", where, line, bad + 1);
    if (memchr(token, 0, bytes)) return error_set(e, EXIT_USAGE, "%s:%zu: the token holds a NUL byte; this is no vocabulary", where, line);
    if (memchr(token, '\r', bytes)) return error_set(e, EXIT_USAGE, "%s:%zu: the token holds a carriage return; end lines with \\n", where, line);
    if (line == 1 && bytes >= 3 && !memcmp(token, "\xef\xbb\xbf", 3))
        return error_set(e, EXIT_USAGE, "%s:1: begins with a byte order mark; save the file without it", where);
    return 0;
}

/* Copies the tokens, each with a final NUL. */
static int read_tokens(vocab *v, const char *text, size_t bytes, const char *where, error *e) {
    size_t lines = 1, used = 0;
    for (const char *p = text; (p = memchr(p, '\n', bytes - (size_t)(p - text))); p++) lines++;
    if (lines > MOST_TOKENS + 1u) return error_set(e, EXIT_USAGE, "%s: %zu lines; at most %d tokens are allowed", where, lines, MOST_TOKENS);
    v->text = must_alloc(bytes + 1, 1);
    v->start = must_alloc(lines + 1, sizeof *v->start);
    v->start[0] = 0;
    for (const char *p = text, *end = text + bytes; p < end;) {
        const char *stop = memchr(p, '\n', (size_t)(end - p)), *next = stop ? stop + 1 : end;
        if (!stop) stop = end;
        if (next != stop && stop > p && stop[-1] == '\r') stop--;
        size_t n = (size_t)(stop - p);
        if (check_token(where, v->count + 1, p, n, e)) return e->code;
        if (v->count == MOST_TOKENS) return error_set(e, EXIT_USAGE, "%s: more than %d tokens", where, MOST_TOKENS);
        memcpy(v->text + used, p, n);
        v->text[used + n] = 0;
        used += n + 1;
        v->start[++v->count] = (uint32_t)used;
        if (n > v->longest) v->longest = n;
        p = next;
    }
    return 0;
}

static int index_tokens(vocab *v, const char *where, error *e) {
    size_t slots = 16;
    while (slots < 2 * v->count + 2) slots *= 2;
    v->slot = must_alloc(slots, sizeof *v->slot);
    v->mask = slots - 1;
    for (size_t i = 0; i < slots; i++) v->slot[i] = (vocab_slot){0, -1};
    for (size_t id = 0; id < v->count; id++) {
        const char *token = v->text + v->start[id];
        uint64_t h = hash_of(token, token_bytes(v, id));
        int32_t same = vocab_find(v, h, "", 0, token, token_bytes(v, id));
        if (same >= 0)
            return error_set(e, EXIT_USAGE, "%s:%zu: token \"%s\" stands on line %d already; remove one", where, id + 1, token, (int)same + 1);
        size_t i = (size_t)(h ^ h >> 29) & v->mask;
        while (v->slot[i].id >= 0) i = (i + 1) & v->mask;
        v->slot[i] = (vocab_slot){(uint32_t)(h >> 32), (int32_t)id};
    }
    return 0;
}

static int check_specials(vocab *v, const char *where, error *e) {
    int32_t id[5];
    for (int i = 0; i < 5; i++) {
        id[i] = vocab_id(v, special[i], strlen(special[i]));
        if (id[i] < 0) return error_set(e, EXIT_USAGE, "%s: the special token %s is missing; BERT needs [PAD] [UNK] [CLS] [SEP] [MASK]", where, special[i]);
    }
    if (id[0] != VOCAB_PAD) return error_set(e, EXIT_USAGE, "%s:%d: [PAD] must be the first token (id 0)", where, (int)id[0] + 1);
    v->unk = id[1], v->cls = id[2], v->sep = id[3], v->mask_id = id[4];
    return 0;
}

static bool has_capital(const char *token, size_t bytes) {
    const unsigned char *p = (const unsigned char *)token, *end = p + bytes;
    while (p < end) if (unicode_of(utf8_next(&p, end))->lower) return true;
    return false;
}

static void describe(vocab *v) {
    sha256 s;
    sha256_init(&s);
    for (size_t id = 0; id < v->count; id++) {
        const char *token = v->text + v->start[id];
        size_t bytes = token_bytes(v, id);
        sha256_add(&s, token, bytes);
        sha256_add(&s, "\n", 1);
        bool is_special = id == VOCAB_PAD || (int32_t)id == v->unk || (int32_t)id == v->cls || (int32_t)id == v->sep || (int32_t)id == v->mask_id;
        if (!is_special && !v->capitals) v->capitals = has_capital(token, bytes);
    }
    sha256_end_hex(&s, v->hash);
}

int vocab_parse(vocab **out, const char *text, size_t bytes, const char *where, error *e) {
    vocab *v = must_zalloc(1, sizeof *v);
    *out = NULL;
    if (read_tokens(v, text, bytes, where, e) || index_tokens(v, where, e) || check_specials(v, where, e)) {
        vocab_free(v);
        return e->code;
    }
    describe(v);
    *out = v;
    return 0;
}

/* tokenizer_config.json as BertTokenizerFast takes it: do_lower_case true unless said otherwise, strip_accents null = auto. */
static int read_casing(vocab *v, const json *config, const char *where, error *e) {
    const json *kind = json_get(config, "tokenizer_class"), *lower = json_get(config, "do_lower_case");
    const json *strip = json_get(config, "strip_accents"), *cjk = json_get(config, "tokenize_chinese_chars");
    if (json_kind_of(config) != JSON_KIND_OBJECT) return error_set(e, EXIT_USAGE, "%s: expected a JSON object", where);
    if (kind && json_kind_of(kind) == JSON_KIND_STRING) {
        const char *name = json_string(kind);
        static const char *const like_bert[] = {"BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer"};
        bool known = false;
        for (size_t i = 0; i < sizeof like_bert / sizeof *like_bert; i++) {
            size_t n = strlen(like_bert[i]);
            known = known || (!strncmp(name, like_bert[i], n) && (!name[n] || !strcmp(name + n, "Fast")));
        }
        if (!known) return error_set(e, EXIT_USAGE, "%s: tokenizer_class is %s; only BertTokenizer is supported", where, name);
    }
    if (cjk && json_kind_of(cjk) == JSON_KIND_BOOL && !json_bool(cjk))
        return error_set(e, EXIT_USAGE, "%s: tokenize_chinese_chars is false; only true is supported", where);
    v->casing = v->lowercase = true;
    if (lower && json_need_bool(config, "do_lower_case", where, &v->lowercase, e)) return e->code;
    if (!strip || json_kind_of(strip) == JSON_KIND_NULL) return 0;
    bool yes;
    if (json_need_bool(config, "strip_accents", where, &yes, e)) return e->code;
    v->strip_accents = yes ? STRIP_YES : STRIP_NO;
    return 0;
}

static int load_casing(vocab *v, const char *folder, error *e) {
    char *path = files_join(folder, "tokenizer_config.json");
    json *config = NULL;
    int code = 0;
    if (files_exists(path)) {
        code = json_read(&config, path, 16 << 20, e);
        if (!code) code = read_casing(v, config, path, e);
    }
    json_free(config);
    free(path);
    return code;
}

int vocab_load(vocab **out, const char *path, error *e) {
    bool folder = files_is_folder(path);
    char *file = folder ? files_join(path, "vocab.txt") : must_strdup(path), *text = NULL;
    size_t bytes = 0;
    *out = NULL;
    int code = files_read(file, MOST_BYTES, &text, &bytes, e);
    if (!code) code = vocab_parse(out, text, bytes, file, e);
    if (!code && folder) code = load_casing(*out, path, e);
    if (code) vocab_free(*out), *out = NULL;
    free(text);
    free(file);
    return code;
}

void vocab_free(vocab *v) {
    if (!v) return;
    free(v->text);
    free(v->start);
    free(v->slot);
    free(v);
}

int32_t vocab_id(const vocab *v, const char *token, size_t bytes) { return vocab_find(v, hash_of(token, bytes), "", 0, token, bytes); }

char *vocab_text(const vocab *v, size_t *bytes) {
    *bytes = v->start[v->count];
    char *text = must_alloc(*bytes + 1, 1);
    for (size_t i = 0; i < *bytes; i++) text[i] = v->text[i] ? v->text[i] : '\n';
    text[*bytes] = 0;
    return text;
}

size_t vocab_size(const vocab *v) { return v->count; }
const char *vocab_token(const vocab *v, int32_t id) { return v->text + v->start[id]; }
int32_t vocab_unk(const vocab *v) { return v->unk; }
int32_t vocab_cls(const vocab *v) { return v->cls; }
int32_t vocab_sep(const vocab *v) { return v->sep; }
int32_t vocab_mask(const vocab *v) { return v->mask_id; }
const char *vocab_hash(const vocab *v) { return v->hash; }
bool vocab_has_capitals(const vocab *v) { return v->capitals; }

bool vocab_casing(const vocab *v, bool *lowercase, int *strip_accents) {
    if (v->casing) *lowercase = v->lowercase, *strip_accents = v->strip_accents;
    return v->casing;
}
