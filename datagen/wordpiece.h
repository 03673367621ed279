/* datagen/wordpiece.h - a word into the pieces of a vocabulary, longest match first. Inside of the tokenizer.
 *
 * Source: Devlin et al. 2019; huggingface/tokenizers, models/wordpiece. */
#ifndef DATAGEN_WORDPIECE_H
#define DATAGEN_WORDPIECE_H
#include <stddef.h>
#include <stdint.h>
#include "datagen/tokenizer.h"

enum { WORDPIECE_LONGEST = 200 };   /* characters of a word: the larger of the two limits, Hugging Face's 100 and Google's 200 */

/* word: valid UTF-8, 1 to WORDPIECE_LONGEST characters. Fills id (room for one per character) and returns their number, at least 1:
 * [UNK] alone when some rest of the word begins with no token. */
size_t wordpiece_split(const vocab *v, const char *word, size_t bytes, int32_t *id);
#endif
