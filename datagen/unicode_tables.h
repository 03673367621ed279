/* datagen/unicode_tables.h - what the normaliser needs to know of a code point, in two stages of table.
 *
 *     unicode_block[c >> 7] -> block;  unicode_index[block * 128 + (c & 127)] -> record
 *
 * Made by datagen/make_unicode_tables.py, which asks the pinned `tokenizers` about every code point; frozen here. A second set of tables,
 * google_unicode_..., asks Python 3.11 by the rules of google-research/bert, for --compat google. */
#ifndef DATAGEN_UNICODE_TABLES_H
#define DATAGEN_UNICODE_TABLES_H
#include <stdint.h>

enum {
    UNICODE_DROP = 1,      /* removed by cleaning: control, format, private use, U+0000, U+FFFD */
    UNICODE_SPACE = 2,     /* becomes a space */
    UNICODE_CJK = 4,       /* gets a space on both sides; tested before decomposition */
    UNICODE_PUNCT = 8,     /* a word of its own */
    UNICODE_MARK = 16,     /* Mn: dropped when accents are stripped */
    UNICODE_HANGUL = 32,   /* syllable: decomposed by arithmetic */
    UNICODE_CASED = 64,    /* google_unicode only: a letter with case; decides how a capital sigma behind it is lowered */
    UNICODE_IGNORABLE = 128   /* google_unicode only: looked through on the way to such a letter */
};
enum { UNICODE_END = 0x110000, UNICODE_DOTTED_I = 0x130, UNICODE_DOT_ABOVE = 0x307 };   /* I with dot: lower case is i + U+0307 */

typedef struct unicode_record {
    int32_t lower;          /* add this to get the lower-case letter */
    uint16_t sequence;      /* full canonical decomposition at unicode_sequences + this, ended by 0; 0 = none */
    uint8_t flags;
    uint8_t combining;      /* canonical combining class */
} unicode_record;

extern const uint16_t unicode_block[];
extern const uint16_t unicode_index[];
extern const unicode_record unicode_records[];
extern const uint32_t unicode_sequences[];

extern const uint16_t google_unicode_block[];
extern const uint16_t google_unicode_index[];
extern const unicode_record google_unicode_records[];
extern const uint32_t google_unicode_sequences[];

static inline const unicode_record *unicode_of(uint32_t c) {   /* c < UNICODE_END */
    return &unicode_records[unicode_index[(uint32_t)unicode_block[c >> 7] * 128 + (c & 127)]];
}

static inline const unicode_record *google_unicode_of(uint32_t c) {
    return &google_unicode_records[google_unicode_index[(uint32_t)google_unicode_block[c >> 7] * 128 + (c & 127)]];
}
#endif
