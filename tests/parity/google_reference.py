"""What google-research/bert does to make examples, written anew from its published rules with Python's own random and unicodedata: the
yardstick of `bert-shard --compat google`. Plain and slow on purpose."""
import random
import unicodedata

IDEOGRAPHS = [(0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F), (0x2B820, 0x2CEAF), (0xF900, 0xFAFF),
              (0x2F800, 0x2FA1F)]


def is_punctuation(c):
    return any(a <= ord(c) <= b for a, b in ((33, 47), (58, 64), (91, 96), (123, 126))) or unicodedata.category(c).startswith("P")


def clean(text):
    """Control and format characters go (also U+0000, U+FFFD); white space becomes a space; ideographs get spaces on both sides."""
    out = []
    for c in text:
        category = unicodedata.category(c)
        if c in " \t\n\r" or category == "Zs":
            out.append(" ")
        elif c not in "\0\ufffd" and category not in ("Cc", "Cf"):
            out.append(f" {c} " if any(a <= ord(c) <= b for a, b in IDEOGRAPHS) else c)
    return "".join(out)


def basic_tokens(text, lower):
    out = []
    for word in clean(text).split():
        if lower:
            word = "".join(c for c in unicodedata.normalize("NFD", word.lower()) if unicodedata.category(c) != "Mn")
        out += "".join(f" {c} " if is_punctuation(c) else c for c in word).split()
    return out


def wordpieces(word, vocab):
    if len(word) > 200:
        return ["[UNK]"]
    pieces, start = [], 0
    while start < len(word):
        for end in range(len(word), start, -1):
            piece = ("##" if start else "") + word[start:end]
            if piece in vocab:
                break
        else:
            return ["[UNK]"]
        pieces.append(piece)
        start = end
    return pieces


def tokenize(text, vocab, lower):
    return [p for word in basic_tokens(text, lower) for p in wordpieces(word, vocab)]


def read_documents(texts, vocab, lower):
    """texts: whole files. A line without anything but white space ends a document; the end of a file does not."""
    documents = [[]]
    for text in texts:
        for line in text.split("\n")[:-1 if text.endswith("\n") else None]:
            line = line.strip()
            if not line:
                documents.append([])
            tokens = tokenize(line, vocab, lower)
            if tokens:
                documents[-1].append(tokens)
    return [d for d in documents if d]


def truncate(a, b, most, rng):
    while len(a) + len(b) > most:
        longer = a if len(a) > len(b) else b
        assert longer
        if rng.random() < 0.5:
            del longer[0]
        else:
            longer.pop()


def masked(tokens, options, words, rng):
    """-> tokens with masks, [(position, original token)]"""
    candidates = []
    for i, token in enumerate(tokens):
        if token in ("[CLS]", "[SEP]"):
            continue
        if options["whole_words"] and candidates and token.startswith("##"):
            candidates[-1].append(i)
        else:
            candidates.append([i])
    rng.shuffle(candidates)
    count = min(options["max_predictions"], max(1, int(round(len(tokens) * options["mask_prob"]))))
    out, chosen = list(tokens), []
    for group in candidates:
        if len(chosen) >= count:
            break
        if len(chosen) + len(group) > count:
            continue
        for i in group:
            if rng.random() < 0.8:
                out[i] = "[MASK]"
            elif rng.random() < 0.5:
                pass
            else:
                out[i] = words[rng.randint(0, len(words) - 1)]
            chosen.append((i, tokens[i]))
    return out, sorted(chosen)


def examples_of_document(documents, index, options, words, rng):
    document, most = documents[index], options["seq_length"] - 3
    target = most
    if rng.random() < options["short_seq_prob"]:
        target = rng.randint(2, most)
    out, chunk, i = [], [], 0
    while i < len(document):
        chunk.append(document[i])
        if i == len(document) - 1 or sum(map(len, chunk)) >= target:
            a_end = rng.randint(1, len(chunk) - 1) if len(chunk) >= 2 else 1
            a, b = [t for s in chunk[:a_end] for t in s], []
            random_next = len(chunk) == 1 or rng.random() < 0.5
            if random_next:
                for _ in range(10):
                    other = rng.randint(0, len(documents) - 1)
                    if other != index:
                        break
                for segment in documents[other][rng.randint(0, len(documents[other]) - 1):]:
                    b += segment
                    if len(b) >= target - len(a):
                        break
                i -= len(chunk) - a_end
            else:
                b = [t for s in chunk[a_end:] for t in s]
            truncate(a, b, most, rng)
            tokens = ["[CLS]", *a, "[SEP]", *b, "[SEP]"]
            shown, chosen = masked(tokens, options, words, rng)
            out.append((shown, len(a) + 2, chosen, int(random_next)))
            chunk = []
        i += 1
    return out


def examples(texts, vocab, options):
    """-> [(tokens, tokens of segment 0, [(position, original)], 1 = random next)], in the order in which they are written.
    vocab: tokens in file order. options: lower, seq_length, max_predictions, mask_prob, short_seq_prob, duplicates, whole_words, seed."""
    known, rng = set(vocab), random.Random(options["seed"])
    documents = read_documents(texts, known, options["lower"])
    rng.shuffle(documents)
    out = []
    for _ in range(options["duplicates"]):
        for index in range(len(documents)):
            out += examples_of_document(documents, index, options, vocab, rng)
    rng.shuffle(out)
    return out
