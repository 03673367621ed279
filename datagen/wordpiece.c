/* datagen/wordpiece.c - see wordpiece.h. One walk hashes all beginnings of the rest; the longest that is a token wins. */
#include "datagen/wordpiece.h"
#include <assert.h>
#include "datagen/vocab_table.h"

/* Bytes of the longest token (of a continuation: behind "##") that word begins with; 0 = none. */
static size_t longest(const vocab *v, const char *word, size_t bytes, bool continues, int32_t *id) {
    uint64_t hash[WORDPIECE_LONGEST], h = VOCAB_HASH_START;
    size_t end[WORDPIECE_LONGEST], count = 0, hidden = continues ? 2 : 0;
    if (v->longest <= hidden) return 0;
    size_t limit = bytes < v->longest - hidden ? bytes : v->longest - hidden;
    if (continues) h = vocab_hash_byte(vocab_hash_byte(h, '#'), '#');
    for (size_t i = 0; i < limit;) {
        h = vocab_hash_byte(h, word[i++]);
        if (i < bytes && ((unsigned char)word[i] & 0xc0) == 0x80) continue;      /* inside a character */
        hash[count] = h;
        end[count++] = i;
    }
    while (count--) {
        *id = vocab_find(v, hash[count], "##", hidden, word, end[count]);
        if (*id >= 0) return end[count];
    }
    return 0;
}

size_t wordpiece_split(const vocab *v, const char *word, size_t bytes, int32_t *id) {
    size_t count = 0;
    assert(bytes >= 1 && bytes <= 4 * WORDPIECE_LONGEST);
    for (size_t at = 0, n; at < bytes; at += n) {
        n = longest(v, word + at, bytes - at, at > 0, &id[count]);
        if (!n) return id[0] = v->unk, 1;
        count++;
    }
    return count;
}
