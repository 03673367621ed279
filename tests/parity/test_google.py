# limit: 240 s
"""bert-shard --compat google against google_reference.py: tokens by Google's rules, then whole examples in their order, over texts, seeds and
options. Unicode is that of Python 3.11 (14.0); under another Python only characters whose properties have not changed since are used."""
import os
import random
import subprocess
import sys
import unicodedata

import h5py
import numpy

import google_reference

BUILD, TMP = os.environ["BUILD"], os.environ["TMPDIR"]
os.chdir(TMP)
SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[unused1]"]
SAME_UNICODE = unicodedata.unidata_version == "14.0.0"
# In any Python: Latin to Cyrillic, Hebrew, Greek Extended, punctuation, CJK, Hangul, compatibility forms, private use.
OLD = [(0, 0x52F), (0x591, 0x5C7), (0x1100, 0x11FF), (0x1E00, 0x1F15), (0x2000, 0x2064), (0x3000, 0x30FF), (0x4E00, 0x9FA5), (0xAC00, 0xD7A3), (0xE000, 0xE0FF),
       (0xF900, 0xFA2D), (0xFF01, 0xFF5E), (0x1D15E, 0x1D172), (0x20000, 0x20100), (0x2B820, 0x2B920), (0x2F800, 0x2FA1D)]
POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000 and (SAME_UNICODE or any(a <= c <= b for a, b in OLD))]


def write(name, text):
    with open(name, "w", encoding="utf-8", newline="") as f:
        f.write(text)
    return name


def ours_tokens(vocab, mode, texts):
    records = [t.encode() for t in texts]
    data = b"".join(len(r).to_bytes(4, "little") + r for r in records)
    done = subprocess.run([f"{BUILD}/tests/tools/tokenize", vocab, mode, "google"], input=data, stdout=subprocess.PIPE, check=True)
    flat, out, at = numpy.frombuffer(done.stdout, "<i4"), [], 0
    for _ in records:
        out.append(flat[at + 1:at + 1 + flat[at]].tolist())
        at += 1 + flat[at]
    return out


def hostile_texts(rng, count):
    marks = [chr(c) for c in POINTS if unicodedata.combining(chr(c))]
    any_point, letters = lambda: chr(rng.choice(POINTS)), [chr(c) for c in POINTS if c < 0x500]
    kinds = [any_point, lambda: rng.choice(marks), lambda: rng.choice(letters), lambda: chr(rng.randrange(0x21, 0x7F)), lambda: chr(rng.randrange(0xAC00, 0xD7A4)),
             lambda: chr(rng.randrange(0x4E00, 0x9FA6)), lambda: rng.choice("\u03a3\u03c3\u0391'\u00ad\u0345\u200d:. "), lambda: rng.choice(SPECIALS),
             lambda: rng.choice("\u0130\u01c5\ufb01\u1e9e\u2126\u212b\u037e\u1fef\uf900\U0002f800\U0002b820\U0001d15e\u302e\u302f\ufeff\ufffd\0\v\x1c\x85\u2028\u2029"),
             lambda: rng.choice(" \t\r\u3000\u00a0")]
    texts = []
    for _ in range(count):
        few = rng.choices(kinds, k=rng.randrange(1, 5))
        texts.append("".join(rng.choice(few)() for _ in range(rng.randrange(1, 60))))
    return texts


def test_tokens():
    known = [chr(c) for c in POINTS if unicodedata.category(chr(c)) not in ("Cn", "Cc", "Zs", "Zl", "Zp", "Co")] + ["\ue000"]
    known = [x for x in known if x < "\u3500" or "\uabff" < x < "\uad00" or x > "\ud7a4" or x in "\u4e00\u4e8c"]   # ideographs and syllables look alike
    vocab = SPECIALS + known + ["##" + x for x in known]
    ids = {t: i for i, t in enumerate(vocab)}
    write("alphabet.txt", "".join(t + "\n" for t in vocab))
    points = [c for c in POINTS if c < 0x3500 or 0xF900 <= c < 0x32000 and (c < 0x17000 or c > 0x1B000 and c % 16 == 0) or c % 64 == 0]
    texts = ["".join(f"{chr(c)}.a{chr(c)}b \u0391{chr(c)}\u03a3 " for c in points[k:k + 32]) for k in range(0, len(points), 32)]
    texts += hostile_texts(random.Random(5), 3000)
    texts += ["x" * n for n in (199, 200, 201, 5000)] + ["\u00e9" * 200, "e\u0301" * 200, "e\u0301" * 201, "\u0300" * 3000 + "a", "\u0130" * 100, "\u0130" * 101, "",
              "\u039f\u0394\u039f\u03a3 \u03a3 \u0391\u03a3. \u0391\u03a3.\u0391 \u03a3\u0391\u03a3\u03a3", "\U0001d165\u302e\u0300" * 900]
    wrong = 0
    for mode in ("uncased", "cased"):
        for text, ours in zip(texts, ours_tokens("alphabet.txt", mode, texts)):
            theirs = [ids[p] for p in google_reference.tokenize(text, ids, mode == "uncased")]
            if ours != theirs:
                wrong += 1
                at = next((i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b), min(len(ours), len(theirs)))
                print(f"{mode}: {text[:60]!r} from token {at}: ours {ours[at:at + 8]}, Google's {theirs[at:at + 8]}")
    assert not wrong, f"{wrong} of {2 * len(texts)} texts differ"
    print(f"tokens of {len(texts)} texts, uncased and cased: equal ({len(points)} code points)")


def ours_examples(files, vocab, o, extra=()):
    out = f"out{ours_examples.count}"
    ours_examples.count += 1
    command = [f"{BUILD}/bert-shard", "--compat", "google", "--vocab", vocab, "--output", out, "--quiet", "--seq-length", str(o["seq_length"]),
               "--seed", str(o["seed"]), *extra]
    command += [] if o["lower"] else ["--cased"]
    command += ["--whole-word-masking"] if o["whole_words"] else []
    for key in ("max_predictions", "mask_prob", "short_seq_prob", "duplicates"):
        if o[key] != DEFAULTS[key]:
            command += ["--" + key.replace("_", "-"), str(o[key])]
    subprocess.run(command + files, check=True)
    subprocess.run([f"{BUILD}/bert-inspect", "--verify", out], check=True, stdout=subprocess.DEVNULL)
    parts = []
    for name in sorted(n for n in os.listdir(out) if n.endswith(".hdf5")):
        with h5py.File(f"{out}/{name}") as f:
            parts.append({k: f[k][:] for k in f})
    return {k: numpy.concatenate([p[k] for p in parts]) for k in parts[0]}


ours_examples.count = 0
# Google's own: create_pretraining_data.py's flags.
DEFAULTS = dict(lower=True, seq_length=128, max_predictions=20, mask_prob=0.15, short_seq_prob=0.1, duplicates=10, whole_words=False, seed=12345)


def compare(name, files, texts, vocab_file, vocab, **changed):
    o = {**DEFAULTS, **changed}
    ours, theirs = ours_examples(files, vocab_file, o), google_reference.examples(texts, vocab, o)
    ids, S, P = {t: i for i, t in enumerate(vocab)}, o["seq_length"], o["max_predictions"]
    assert len(ours["input_ids"]) == len(theirs), f"{name}: {len(ours['input_ids'])} rows, Google's {len(theirs)}"
    for i, (tokens, first, chosen, label) in enumerate(theirs):
        n, p = len(tokens), len(chosen)
        row = dict(input_ids=[ids[t] for t in tokens] + [0] * (S - n), input_mask=[1] * n + [0] * (S - n), segment_ids=[0] * first + [1] * (n - first) + [0] * (S - n),
                   masked_lm_positions=[at for at, _ in chosen] + [0] * (P - p), masked_lm_ids=[ids[t] for _, t in chosen] + [0] * (P - p),
                   next_sentence_labels=label)
        for key, value in row.items():
            assert numpy.array_equal(ours[key][i], value), f"{name}, {changed}: row {i}, {key}:\nours     {ours[key][i]}\nGoogle's {numpy.array(value)}"
    print(f"{name} {changed}: {len(theirs)} rows equal, label 1 in {numpy.mean(ours['next_sentence_labels']):.3f}")
    return theirs


def word_text(rng, documents, most_segments, most_words):
    words = ["".join(rng.choice("abcdefghij") for _ in range(rng.randint(1, 9))) for _ in range(800)]
    return "\n".join("".join(" ".join(rng.choices(words, k=rng.randint(1, most_words))) + rng.choice([".", "!", ""]) + "\n"
                             for _ in range(rng.randint(1, most_segments))) for _ in range(documents))


def main():
    test_tokens()
    rng = random.Random(17)
    letters = "abcdefghij"
    vocab = SPECIALS + list("!.,") + list(letters) + ["##" + x for x in letters] + [a + b for a in letters for b in "aeg"] + ["##" + a + b for a in "bdf" for b in letters]
    write("vocab.txt", "".join(t + "\n" for t in vocab))
    text = write("text.txt", word_text(rng, 40, 30, 25))
    tiny = write("tiny.txt", word_text(rng, 12, 3, 6))
    paragraphs = write("paragraphs.txt", word_text(rng, 6, 4, 300))
    texts = {n: open(n, encoding="utf-8", newline="").read() for n in (text, tiny, paragraphs)}

    def run(*files, **changed):
        return compare(" ".join(files), list(files), [texts[f] for f in files], "vocab.txt", vocab, **changed)

    run(text)                                                  # Google's defaults
    for seed in (0, 1, 2 ** 32 + 7):
        for whole in (False, True):
            run(text, seed=seed, whole_words=whole, duplicates=2)
    run(tiny, whole_words=True, short_seq_prob=1, duplicates=20, seed=3)
    run(paragraphs, duplicates=3, seed=4)                      # segments longer than a row: truncation from both sides
    run(paragraphs, whole_words=True, seq_length=512, max_predictions=80, duplicates=2, short_seq_prob=0.5)
    run(text, seq_length=16, max_predictions=2, whole_words=True, duplicates=1, seed=5)
    run(text, mask_prob=0.4, max_predictions=64, short_seq_prob=0, duplicates=1, lower=False)
    run(text, tiny, duplicates=1)                              # a file's end ends no document
    run(tiny, paragraphs, text, duplicates=1, whole_words=True, seed=9)
    single = write("single.txt", "ab cd.\nef ga!\n" * 4)       # one document: random pairs are from itself
    texts[single] = open(single).read()
    run(single, duplicates=3)

    hostile = hostile_texts(random.Random(23), 1500)
    lines = "".join(t.replace("\n", " ") + "\n" + ("\n" if i % 9 == 0 else "\u3000\x1c \n" if i % 31 == 0 else "") for i, t in enumerate(hostile))
    texts["hostile.txt"] = lines
    write("hostile.txt", "\ufeff" + lines)
    alphabet = open("alphabet.txt", encoding="utf-8", newline="").read().split("\n")[:-1]
    for whole in (False, True):
        for lower in (False, True):
            compare("hostile.txt", ["hostile.txt"], ["\ufeff" + lines], "alphabet.txt", alphabet, whole_words=whole, lower=lower, duplicates=1, seed=6)


sys.exit(main())
