#!/usr/bin/env python3
"""Writes the tokenizers' Unicode tables, by asking about every code point.

    build/venv/bin/python datagen/make_unicode_tables.py > datagen/unicode_tables.c
    python3.11 datagen/make_unicode_tables.py google > datagen/unicode_tables_google.c

The tables are frozen in the source. The first follows what Hugging Face's BertTokenizerFast does, asking the pinned `tokenizers` release (its
crates mix Unicode versions): run again only when tests/requirements.txt pins another release. The second follows google-research/bert's
tokenization.py under Python 3.11 (Unicode 14.0), asking str.lower() and unicodedata."""
import itertools
import sys
import unicodedata

PINNED, PINNED_UNICODE = "0.22.2", "14.0.0"
BLOCK = 128
DROP, SPACE, CJK, PUNCT, MARK, HANGUL, CASED, IGNORABLE = 1, 2, 4, 8, 16, 32, 64, 128
CODE_POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]


def hangul(c):
    """Unicode 3.12: syllable -> leading, vowel, trailing jamo."""
    i = c - 0xAC00
    return "".join(map(chr, [0x1100 + i // 588, 0x1161 + i % 588 // 28] + ([0x11A7 + i % 28] if i % 28 else [])))


def ask_tokenizers():
    """code point -> (flags, combining class, distance to the lower-case letter, decomposition), of BertTokenizerFast"""
    import tokenizers
    from tokenizers import normalizers, pre_tokenizers
    assert tokenizers.__version__ == PINNED, f"tokenizers {tokenizers.__version__} is not the pinned {PINNED}"

    def bert(**on):
        return normalizers.BertNormalizer(
            **{**dict(clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=False), **on}).normalize_str

    clean, cjk, strip, lower = bert(clean_text=True), bert(handle_chinese_chars=True), bert(strip_accents=True), bert(lowercase=True)
    nfd = normalizers.NFD().normalize_str
    split = pre_tokenizers.BertPreTokenizer().pre_tokenize_str

    def combining_classes(decomposed):
        """Canonical combining classes, seen only through the reordering that they cause: class k sorts before a larger one."""
        swaps = lambda a, b: a != b and nfd(a + b) == b + a
        moving = [chr(c) for c in CODE_POINTS if c not in decomposed and (swaps(chr(c), "\u0334") or swaps("\u0300", chr(c)))]
        known = {unicodedata.combining(x): x for x in reversed(moving)}     # the yardstick
        assert 0 not in known
        classes = {}
        for x in moving:
            c = ord(x)
            fits = [k for k, rep in known.items() if not swaps(x, rep) and not swaps(rep, x)]
            assert len(fits) == 1, f"U+{c:04X}: no single combining class: {fits}"
            classes[c] = fits[0]
        return classes

    decomposed = {c: nfd(chr(c)) for c in CODE_POINTS if nfd(chr(c)) != chr(c)}
    classes = combining_classes(decomposed)
    out = {}
    for c in CODE_POINTS:
        x, flags, d = chr(c), 0, decomposed.get(c, "")
        cleaned = clean("x" + x + "x")
        assert cleaned in ("xx", "x x", "x" + x + "x")
        flags |= DROP if cleaned == "xx" else SPACE if cleaned == "x x" else 0
        flags |= CJK if cjk(x) == f" {x} " else 0
        assert flags & CJK or cjk(x) == x
        pieces = len(split("x" + x + "x"))
        flags |= PUNCT if pieces == 3 else 0
        assert pieces != 2 or flags & (DROP | SPACE), f"U+{c:04X} splits words but is kept by cleaning"
        if d and 0xAC00 <= c < 0xD7A4:
            assert d == hangul(c)
            flags, d = flags | HANGUL, ""
        elif not d and strip(x) == "":
            flags |= MARK
        l = lower(x)
        assert len(l) == 1 or c == 0x130 and l == "i\u0307", f"U+{c:04X} has a lower case of {len(l)} characters"
        out[c] = (flags, classes.get(c, 0), ord(l[0]) - c, d)
    marks = {c for c, row in out.items() if row[0] & MARK}
    for c, d in decomposed.items():
        assert strip(chr(c)) == "".join(x for x in d if ord(x) not in marks), f"U+{c:04X}"
        assert not any(ord(x) in decomposed for x in d)
    return out


def ask_python():
    """The same of Google's BasicTokenizer, whose str.split() also ends words at U+2028 and U+2029. For capital sigma, the only letter whose
    lower case depends on its neighbours (U+03C2 at a word's end): CASED, a letter with case; IGNORABLE, looked through on the way to one."""
    assert unicodedata.unidata_version == PINNED_UNICODE, f"Unicode {unicodedata.unidata_version} is not {PINNED_UNICODE}: use Python 3.11"
    ideographs = [(0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F), (0x2B820, 0x2CEAF),
                  (0xF900, 0xFAFF), (0x2F800, 0x2FA1F)]
    out = {}
    for c in CODE_POINTS:
        x, category, d, l = chr(c), unicodedata.category(chr(c)), unicodedata.normalize("NFD", chr(c)), chr(c).lower()
        white = x in "\t\n\r" or category in ("Zs", "Zl", "Zp")
        assert not white or x.isspace()
        assert not x.isspace() or white or category == "Cc", f"U+{c:04X} ends words, but is kept by cleaning and no separator"
        flags = SPACE if white else DROP if c in (0, 0xFFFD) or category in ("Cc", "Cf") else 0
        flags |= CJK if any(low <= c <= high for low, high in ideographs) else 0
        flags |= PUNCT if category[0] == "P" or x.isascii() and x.isprintable() and not x.isalnum() and x != " " else 0
        flags |= MARK if category == "Mn" else 0
        cased = (x + "\u03a3").lower()[-1] == "\u03c2"
        flags |= CASED if cased else IGNORABLE if ("a" + x + "\u03a3").lower()[-1] == "\u03c2" else 0
        assert len(l) == 1 or c == 0x130 and l == "i\u0307", f"U+{c:04X} has a lower case of {len(l)} characters"
        if 0xAC00 <= c < 0xD7A4:
            assert d == hangul(c)
            flags, d = flags | HANGUL, x
        out[c] = (flags, unicodedata.combining(x), ord(l[0]) - c, "" if d == x else d)
    return out


def numbers(values):
    line, lines = "", []
    for v in values:
        word = f"{v},"
        if len(line) + len(word) > 150:
            lines.append(line)
            line = ""
        line += word
    return "\n".join(lines + [line])


def main():
    google = sys.argv[1:] == ["google"]
    rows = ask_python() if google else ask_tokenizers()
    name, source = ("google_unicode", "Python 3.11, Unicode " + PINNED_UNICODE) if google else ("unicode", "tokenizers " + PINNED)
    sequences, where = [0], {"": 0}
    for d in dict.fromkeys(row[3] for row in rows.values()):
        if d:
            where[d] = len(sequences)
            sequences += [ord(x) for x in d] + [0]
    nothing = (DROP, 0, 0, "")      # surrogates, which valid UTF-8 cannot hold
    table = [rows.get(c, nothing) for c in range(0x110000)]
    records = {row: i for i, row in enumerate(dict.fromkeys(table))}
    blocks, first = {}, []
    for start in range(0, len(table), BLOCK):
        first.append(blocks.setdefault(tuple(records[row] for row in table[start:start + BLOCK]), len(blocks)))
    assert max(len(records), len(sequences), len(blocks)) < 65536
    put = sys.stdout.write
    put(f"/* datagen/unicode_tables{'_google' if google else ''}.c - made by datagen/make_unicode_tables.py from {source}; do not edit. */\n")
    put('#include "datagen/unicode_tables.h"\n\n')
    put(f"const uint16_t {name}_block[{len(first)}] = {{\n{numbers(first)}\n}};\n\n")
    put(f"const uint16_t {name}_index[{len(blocks) * BLOCK}] = {{\n{numbers(itertools.chain(*blocks))}\n}};\n\n")
    put(f"const unicode_record {name}_records[{len(records)}] = {{\n")
    put(numbers(f"{{{delta},{where[d]},{flags},{cls}}}" for flags, cls, delta, d in records) + "\n};\n\n")
    put(f"const uint32_t {name}_sequences[{len(sequences)}] = {{\n{numbers(sequences)}\n}};\n")
    print(f"{len(records)} records, {len(blocks)} blocks, {len(sequences)} in sequences", file=sys.stderr)


main()
