# limit: 120 s
"""bert-vocab against a plain implementation of its promise (equal bytes), and against Hugging Face's WordPiece trainer (as good)."""
import collections
import os
import random
import subprocess
import sys

from tokenizers import BertWordPieceTokenizer, Tokenizer, models, normalizers, pre_tokenizers

FOLDER = os.environ["TMPDIR"]
SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def make_text(seed, words, letters):
    """Words made of frequent syllables, so that there is something to learn; some repeat letters, which makes overlapping pairs."""
    rng = random.Random(seed)
    syllables = ["".join(rng.choice(letters) for _ in range(rng.randrange(1, 4))) for _ in range(120)] + [letters[0] * 3, letters[1] * 5]
    stock = ["".join(rng.choice(syllables) for _ in range(rng.randrange(1, 6))) for _ in range(4000)]
    weights = [1 / (1 + i) for i in range(len(stock))]
    return "\n".join(" ".join(rng.choices(stock, weights, k=12)) + rng.choice(".!?") for _ in range(words // 12)) + "\n"


def ours(text, size, least, *more):
    source, out = os.path.join(FOLDER, "text"), os.path.join(FOLDER, "vocab.txt")
    with open(source, "w", encoding="utf-8") as f:
        f.write(text)
    subprocess.run([os.path.join(os.environ["BUILD"], "bert-vocab"), "--size", str(size), "--min-frequency", str(least), "--force", "--quiet",
                    "--output", out, *more, source], check=True)
    with open(out, encoding="utf-8", newline="") as f:
        return f.read().split("\n")[:-1]


def plain(text, size, least):
    """Counts every pair anew for every merge. Ties: smaller left, then right, in the order in which the pieces came."""
    normal, split = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    counts = collections.Counter(w for w, _ in split.pre_tokenize_str(normal.normalize_str(text)) if len(w) <= 100)
    pieces = sorted({c for w in counts for c in w}) + sorted({"##" + c for w in counts for c in w[1:]})
    number = {p: i for i, p in enumerate(pieces)}
    words = [([number[w[0]]] + [number["##" + c] for c in w[1:]], n) for w, n in counts.items()]
    while len(SPECIALS) + len(pieces) < size:
        pairs = collections.Counter()
        for s, n in words:
            for pair in zip(s, s[1:]):
                pairs[pair] += n
        if not pairs:
            break
        best = min(pairs, key=lambda p: (-pairs[p], p))
        if pairs[best] < least:
            break
        name = pieces[best[0]] + pieces[best[1]][2:]
        merged = number.setdefault(name, len(pieces))
        if merged == len(pieces):
            pieces.append(name)
        for s, _ in words:
            i = 0
            while i + 1 < len(s):
                if (s[i], s[i + 1]) == best:
                    s[i:i + 2] = [merged]
                i += 1
    return SPECIALS + pieces


def length(vocab, text):
    t = Tokenizer(models.WordPiece({p: i for i, p in enumerate(vocab)}, unk_token="[UNK]"))
    t.normalizer, t.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    return sum(len(e.ids) for e in t.encode_batch(text.split("\n"), add_special_tokens=False))


def main():
    wrong = 0
    for seed, letters, size, least in ((1, "ab", 150, 1), (2, "abc\u00df", 300, 2), (3, "etaoinshrdlu", 400, 2), (4, "\uac00\ub098\u4e00x", 200, 5), (5, "aab", 100000, 3)):
        text = make_text(seed, 1500, letters) + "x" * 101 + "\n"
        a, b = ours(text, size, least), plain(text, size, least)
        if a != b:
            at = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
            print(f"text {seed}: ours {len(a)} tokens, plain {len(b)}; from {at} on ours {a[at:at + 5]}, plain {b[at:at + 5]}")
            wrong += 1
    text = make_text(9, 200000, "etaoinshrdlucmfw")
    mine = ours(text, 3000, 2)
    trainer = BertWordPieceTokenizer()
    trainer.train([os.path.join(FOLDER, "text")], vocab_size=3000, min_frequency=2, limit_alphabet=10 ** 6, show_progress=False)
    theirs = [p for p, _ in sorted(trainer.get_vocab().items(), key=lambda x: x[1])]
    common, a, b = len(set(mine) & set(theirs)), length(mine, text), length(theirs, text)
    print(f"{len(mine)} tokens, Hugging Face {len(theirs)}, in both {common}; the text is {a} pieces long with ours, {b} with theirs")
    if len(mine) != len(theirs) or common < 0.95 * len(theirs) or a > 1.005 * b:
        wrong += 1
    return 1 if wrong else 0


sys.exit(main())
