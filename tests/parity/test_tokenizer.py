# limit: 240 s
"""Ids of ours against BertTokenizerFast (pinned transformers and tokenizers): every code point, every pair of combining characters,
hostile text, broken UTF-8, special tokens; cased and uncased, accents stripped and kept."""
import os
import random
import subprocess
import sys
import time
import unicodedata

import numpy
from tokenizers.normalizers import BertNormalizer
from transformers import BertTokenizerFast

TOOL = os.path.join(os.environ["BUILD"], "tests/tools/tokenize")
FOLDER = os.environ["TMPDIR"]
SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
MODES = [(lower, strip) for lower in (True, False) for strip in (None, True, False)]


def write_vocab(name, tokens):
    path = os.path.join(FOLDER, name)
    with open(path, "w", encoding="utf-8", newline="") as f:
        f.write("".join(t + "\n" for t in tokens))
    return path


class Pair:
    """Both tokenizers with the same settings."""
    loaded = {}     # a large vocabulary takes them seconds: read once, the settings changed as BertTokenizerFast.__init__ does

    def __init__(self, vocab, lower, strip, keep=True):
        self.name = f"{'uncased' if lower else 'cased'}, strip_accents={strip}, specials {'kept' if keep else 'split'}"
        if vocab not in self.loaded:
            self.loaded[vocab] = BertTokenizerFast(vocab_file=vocab, do_lower_case=lower, strip_accents=strip).backend_tokenizer
        self.backend, self.keep = self.loaded[vocab], keep
        self.normalizer = BertNormalizer(lowercase=lower, strip_accents=strip)
        self.command = [TOOL, vocab, "uncased" if lower else "cased", {None: "auto", True: "yes", False: "no"}[strip], "keep" if keep else "split"]

    def ours(self, records):
        data = b"".join(len(r).to_bytes(4, "little") + r for r in records)
        done = subprocess.run(self.command, input=data, stdout=subprocess.PIPE, check=True)
        flat, out, at = numpy.frombuffer(done.stdout, "<i4"), [], 0
        for _ in records:
            out.append(flat[at + 1:at + 1 + flat[at]])
            at += 1 + flat[at]
        assert at == len(flat)
        return out

    def compare(self, texts, split=None):
        """texts: str or bytes. A text that differs is shown; with `split` (a separator) only its parts that differ."""
        records = [t if isinstance(t, bytes) else t.encode() for t in texts]
        decoded = [r.decode("utf-8", "replace") for r in records]
        self.backend.normalizer, self.backend.encode_special_tokens = self.normalizer, not self.keep
        theirs = [e.ids for e in self.backend.encode_batch_fast(decoded, add_special_tokens=False)]
        bad = [i for i, (a, b) in enumerate(zip(self.ours(records), theirs)) if not numpy.array_equal(a, b)]
        if bad and split:
            return self.compare([p for i in bad[:20] for p in decoded[i].split(split)]) or self.compare([decoded[i] for i in bad[:5]])
        for i in bad[:3]:
            ours = self.ours([records[i]])[0].tolist()
            at = next((k for k, (a, b) in enumerate(zip(ours, theirs[i])) if a != b), min(len(ours), len(theirs[i])))
            print(f"{self.name}: text {records[i][:80]!r}, from id {at} on\n  ours   {ours[at:at + 8]}\n  theirs {theirs[i][at:at + 8]}")
        return len(bad)


def batches(parts, count, separator):
    return [separator.join(parts[i:i + count]) for i in range(0, len(parts), count)]


def alphabet_vocab():
    """Every assigned character as a word and as a continuation, so that no difference hides behind [UNK]."""
    known = [chr(c) for c in POINTS if unicodedata.category(chr(c)) not in ("Cn", "Co", "Cc")]
    return write_vocab("alphabet.txt", SPECIALS + known + ["##" + c for c in known])


def code_points(pairs):
    parts = lambda points: batches([f"{chr(c)}.a{chr(c)}b" for c in points if chr(c) != "."], 128, ".")
    texts, assigned = parts(POINTS), parts([c for c in POINTS if unicodedata.category(chr(c)) not in ("Cn", "Co")])
    return sum(p.compare(assigned if strip is not None else texts, ".") for (_, strip), p in pairs.items())


def combining_pairs(pairs):
    marks = [chr(c) for c in POINTS if unicodedata.combining(chr(c))]
    assert len(marks) > 850
    wrong = pairs[True, None].compare([".".join("a" + x + y for y in marks) for x in marks], ".")
    visible = [x for x in marks if unicodedata.category(x) != "Mn"] + ["\u0334", "\u0300", "\u0345", "a", "\uac01", "\u1d15e"[0], "\U0001d15e"]
    visible += [c for c in marks if c > "\u1e00"][:300]
    for key in ((True, None), (False, True), (False, None), (True, False)):
        wrong += pairs[key].compare([".".join("a" + x + y for y in visible) for x in visible], ".")
    return wrong


def hostile_texts(rng, count):
    kinds = [lambda: chr(rng.choice(POINTS)), lambda: chr(rng.randrange(0x250)), lambda: chr(rng.randrange(0x20, 0x7F)), lambda: chr(rng.randrange(0x300, 0x370)),
             lambda: chr(rng.randrange(0xAC00, 0xD7A4)), lambda: chr(rng.randrange(0x4E00, 0xA000)), lambda: rng.choice(SPECIALS),
             lambda: rng.choice("\u0130\u01c5\ufb01\u03a3\u1e9e\u2126\u212b\u037e\u1fef\uf900\U0002f800\U0002b820\U0001d15e\U0001d165\U0001d16d\u302e\u302f\u0345\u200d\ufeff\ufffd\0\v\x85\u2028\u00ad"),
             lambda: rng.choice(["[MASK", "MASK]", "[mask]", "[[", "[", "]]", "##a", "#", "[CLS", " "]), lambda: rng.choice(" \t\n\r\u3000\u00a0")]
    texts = []
    for _ in range(count):
        few = rng.choices(kinds, k=rng.randrange(1, 4))
        texts.append("".join(rng.choice(few)() for _ in range(rng.randrange(1, 200))))
    return texts


def hostile(pairs, split_pairs):
    rng = random.Random(7)
    texts = hostile_texts(rng, 4000)
    broken = []
    for t in texts[:2000]:      # bytes removed, changed, put in
        b = bytearray(t.encode())
        for _ in range(rng.randrange(1, 6)):
            at = rng.randrange(len(b) + 1)
            b[at:at + rng.randrange(3)] = bytes(rng.choice([0x80, 0xBF, 0xC0, 0xC2, 0xE0, 0xE2, 0xED, 0xA0, 0xF0, 0xF4, 0x90, 0xF5, 0xFF, 0x5B, 0x41]) for _ in range(rng.randrange(3)))
        broken.append(bytes(b))
    broken += [bytes([a, b, c, d, 0x41]) for a in (0xC2, 0xE0, 0xE1, 0xED, 0xEF, 0xF0, 0xF1, 0xF4, 0xF5) for b in (0x41, 0x80, 0x90, 0xA0, 0xBF)
               for c in (0x42, 0x80, 0xC3) for d in (0x43, 0xBF, 0xE2)]
    edge = ["x" * n for n in (99, 100, 101, 5000)] + ["\u4e00" * 101, "\U0001d15e" * 40, "\uac01" * 33, "\uac01" * 34, "\u00e9" * 100, "e\u0301" * 100, "e\u0301" * 101,
            "\U0001d165\u302e" * 3000, "\u0300" * 70000 + "a", "\u0130" * 50, "\u0130" * 51, "", " ", "\u0301", "[MASK]", "x[MASK]y", "[[MASK]]", "[MASK]\u0301", "[\u200bMASK]",
            "e[MASK]\u0301", "[MASK][MASK] [SEP][PAD][UNK][CLS]", "\uff3bMASK]", "[M\u0301ASK]"]
    return sum(p.compare(texts + broken + edge) for p in list(pairs.values()) + split_pairs)


def blocks(pairs):
    """Whatever works on several bytes at a time: an odd character at every place of ASCII runs of every length up to 140, and words over their ends."""
    rng, ascii_text = random.Random(13), "etaoinshrdlu ETAOIN  .,'-\t[]#09"
    odd = ["\u00e9", "\u4e00", "\u0301", "\0", "\x7f", "\t", "\x0b", "\ufffd", "\u200b", "\u00a0", "A", ".", "\U0001f600", "\uac01", "\u2028", "\x1c", "\u0130"]
    texts = []
    for n in range(140):
        for at in range(n + 1):
            run = "".join(rng.choices(ascii_text, k=n))
            texts.append(run[:at] + rng.choice(odd) + run[at:])
    texts += ["".join(rng.choices(ascii_text, k=n)) for n in range(300) for _ in range(4)] + ["a" * n + x + "b" * 40 for n in range(140) for x in " .A\u00e9"]
    texts += [("word " * 40)[:n] + "\u00c9" * k for n in range(0, 200, 3) for k in (1, 2, 17)]
    return sum(p.compare(texts) for p in pairs.values())


def greedy():
    """Random words and random pieces: longest match first, [UNK] for the whole word when a rest has no piece."""
    rng, letters = random.Random(11), "ab\u00e9\u00dfZ\u03c9\U00010400"
    word = lambda most: "".join(rng.choice(letters) for _ in range(rng.randrange(1, most)))
    pieces = [p + word(7) for p in ("", "##") for _ in range(1500)] + ["##" + c for c in letters[:5]] + list(letters[:6]) + ["##", "#", "a" * 60, "##" + "b" * 90]
    vocab = write_vocab("pieces.txt", ["[PAD]"] + list(dict.fromkeys(pieces)) + SPECIALS[1:])
    texts = [" ".join(word(rng.choice((4, 12, 40, 110))) for _ in range(40)) for _ in range(800)] + ["a" * n + "b" * m for n in (59, 60, 61) for m in (0, 1, 39, 40, 41)]
    return sum(Pair(vocab, lower, strip).compare(texts) for lower, strip in MODES)


def main():
    vocab = alphabet_vocab()
    pairs = {mode: Pair(vocab, *mode) for mode in [(True, None), (False, None), (True, False), (False, True)]}
    split_pairs = [Pair(vocab, lower, None, keep=False) for lower in (True, False)]
    wrong = 0
    for what, run in (("every code point", lambda: code_points(pairs)), ("pairs of combining characters", lambda: combining_pairs(pairs)),
                      ("hostile and broken text", lambda: hostile(pairs, split_pairs)), ("runs of ASCII", lambda: blocks(pairs)), ("greedy match", greedy)):
        began = time.time()
        found = run()
        print(f"{what}: {found} differ, {time.time() - began:.1f} s")
        wrong += found
    return 1 if wrong else 0


sys.exit(main())
