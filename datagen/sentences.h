/* datagen/sentences.h - a paragraph of English or Korean cut into sentences, by rules that fit on this page.
 *
 * A sentence ends after a run of . ! ? (or the ellipsis character), with the closing quotes and brackets that follow it, when white space
 * comes next and then, after any opening quotes and brackets, no lower-case letter a-z. It does not end after a single full stop when the
 * word before it is
 *   - an abbreviation of the list in sentences.c (Mr. Dr. St. etc. e.g. ...), whatever follows;
 *   - one capital letter, or letters with full stops inside (J. R. R., U.S.);
 *   - an abbreviation that stands before numbers (No. 7, p. 12, ch. 3) and a digit follows.
 * In Korean, besides:
 *   - a run of . ! ? with Hangul right behind it ends a sentence if one of 다 요 죠 까 네 군 음 임 함 됨 stands before it (좋다.그런데);
 *   - a single full stop after a number of up to four digits does not end it when Hangul follows, or a number and Hangul is within 200
 *     bytes: 2002. 7. 1. 서울에서;
 *   - one of 가 나 다 라 마 바 사 that begins the text, as in a numbered list, does not end it.
 * The ideographic full stops 。！？ end a sentence wherever they stand. Sentences that end without a full stop (with ㅋㅋ, ^^, or nothing but
 * a verb) are not told apart, and nothing else is known of other languages: give one sentence per line there.
 * Bytes are only looked at, never changed; sentences joined are the paragraph but for white space between them. */
#ifndef DATAGEN_SENTENCES_H
#define DATAGEN_SENTENCES_H
#include <stddef.h>

/* Bytes of the first sentence of text (at least 1 when bytes > 0; white space after it not counted). Pure. */
size_t sentence_bytes(const char *text, size_t bytes);
#endif
