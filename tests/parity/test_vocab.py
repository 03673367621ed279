# limit: 120 s
"""bert-vocab against a plain implementation of its promise (equal bytes), and against Hugging Face's WordPiece trainer: tokens per word of
text that neither has seen, within 1 %, for English, Korean, and scripts without spaces."""
import collections
import os
import pydoc_data.topics
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


def plain(text, size, least, limit=10 ** 9):
    """Counts every pair anew for every merge. Ties: smaller left, then right, in the order in which the pieces came."""
    normal, split = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    counts = collections.Counter(w for w, _ in split.pre_tokenize_str(normal.normalize_str(text)) if len(w) <= 100)
    characters = collections.Counter()
    for w, n in counts.items():
        for c in w:
            characters[c] += n
    kept = set(sorted(characters, key=lambda c: (-characters[c], c))[:limit])
    counts = {w: n for w, n in counts.items() if set(w) <= kept}
    pieces = sorted(kept) + sorted({"##" + c for w in counts for c in w[1:]})
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


def korean(rng, words):
    """Stems of two to four syllables, most of them with a particle: the many endings are what a vocabulary has to learn."""
    syllable = lambda: chr(0xac00 + 28 * (21 * rng.randrange(19) + rng.randrange(21)) + rng.choice((0, 0, 0, 1, 4, 8, 16, 17, 21)))
    common = [syllable() for _ in range(400)]
    stems = ["".join(rng.choice(common) for _ in range(rng.randrange(1, 5))) for _ in range(3000)]
    particles = "은 는 이 가 을 를 에 에서 으로 로 도 만 까지 부터 의 와 과 하고 입니다 습니다 했다 한다 하는 된다".split()
    weights = [1 / (3 + i) for i in range(len(stems))]
    return [rng.choices(stems, weights)[0] + (rng.choice(particles) if rng.random() < 0.8 else "") for _ in range(words)]


def unspaced(rng, words, letters):
    """Sentences of 4 to 20 syllables without a space, as in Thai or Burmese: a "word" is a whole sentence."""
    stock = ["".join(rng.choice(letters) for _ in range(rng.randrange(2, 5))) for _ in range(1500)]
    weights = [1 / (5 + i) for i in range(len(stock))]
    return ["".join(rng.choices(stock, weights, k=rng.randrange(4, 20))) for _ in range(words)]


def generated(maker, seed, words, *more):
    """Text and held-out text of one language: the same stock of words, other draws."""
    tokens = maker(random.Random(seed), words, *more)
    lines = [" ".join(tokens[i:i + 8]) + " ." for i in range(0, len(tokens), 8)]
    cut = len(lines) * 4 // 5
    return "\n".join(lines[:cut]) + "\n", "\n".join(lines[cut:]) + "\n"


def documentation():
    """English prose that comes with Python: every fifth topic is held out."""
    names = sorted(pydoc_data.topics.topics)
    return tuple("\n".join(pydoc_data.topics.topics[n] for i, n in enumerate(names) if (i % 5 == 0) == held) + "\n" for held in (False, True))


def measure(vocab, text, cased):
    """Tokens per word and the share of words that are [UNK]."""
    t = Tokenizer(models.WordPiece({p: i for i, p in enumerate(vocab)}, unk_token="[UNK]"))
    t.normalizer, t.pre_tokenizer = normalizers.BertNormalizer(lowercase=not cased), pre_tokenizers.BertPreTokenizer()
    words = sum(len(t.pre_tokenizer.pre_tokenize_str(t.normalizer.normalize_str(line))) for line in text.split("\n"))
    tokens = [p for e in t.encode_batch(text.split("\n"), add_special_tokens=False) for p in e.tokens]
    return len(tokens) / words, tokens.count("[UNK]") / words


def against_hugging_face(name, train, held, size, limit, cased=False):
    mine = ours(train, size, 2, "--limit-alphabet", str(limit), *(["--cased"] if cased else []))
    trainer = BertWordPieceTokenizer(lowercase=not cased)
    trainer.train([os.path.join(FOLDER, "text")], vocab_size=size, min_frequency=2, limit_alphabet=limit, show_progress=False)
    theirs = [p for p, _ in sorted(trainer.get_vocab().items(), key=lambda x: x[1])]
    (a, a_unknown), (b, b_unknown) = measure(mine, held, cased), measure(theirs, held, cased)
    common = len(set(mine) & set(theirs)) / len(theirs)
    print(f"{name}: {len(mine)} tokens, Hugging Face {len(theirs)}, {100 * common:.1f} % in both; held-out tokens a word {a:.4f} and {b:.4f} "
          f"({100 * (a / b - 1):+.2f} %), [UNK] {100 * a_unknown:.2f} % and {100 * b_unknown:.2f} %")
    return len(mine) <= size and a <= 1.01 * b and a_unknown <= b_unknown + 0.001


def main():
    wrong = 0
    for seed, letters, size, least, limit in ((1, "ab", 150, 1, 0), (2, "abc\u00df", 300, 2, 0), (3, "etaoinshrdlu", 400, 2, 0),
                                              (4, "\uac00\ub098\u4e00x", 200, 5, 0), (5, "aab", 100000, 3, 0), (6, "etaoinshrdlu", 300, 2, 9)):
        text = make_text(seed, 1500, letters) + "x" * 101 + "\n"
        a, b = ours(text, size, least, "--limit-alphabet", str(limit)), plain(text, size, least, limit or 10 ** 9)
        if a != b:
            at = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
            print(f"text {seed}: ours {len(a)} tokens, plain {len(b)}; from {at} on ours {a[at:at + 5]}, plain {b[at:at + 5]}")
            wrong += 1
    # More than 65,536 different words, and more than one batch for every thread.
    many = "\n".join(f"{make_text(s, 6000, 'etaoinshrdlucmfw')} " + " ".join(f"{s}x{i}y{i * s}" for i in range(30000)) for s in range(1, 9))
    if len({tuple(ours(many, 3000, 2, "--threads", str(n))) for n in (1, 2, 3, 8)}) != 1:
        print("the number of threads changed the vocabulary")
        wrong += 1
    thai = "".join(map(chr, range(0xe01, 0xe2f)))
    kana = "".join(map(chr, range(0x3042, 0x3094)))
    for case in (("English", *documentation(), 4000, 1000), ("English, cased", *documentation(), 4000, 1000, True),
                 ("Korean, cased", *generated(korean, 1, 60000), 3000, 5000, True), ("Korean, few characters", *generated(korean, 2, 60000), 3000, 300, True),
                 ("Korean, uncased", *generated(korean, 3, 60000), 3000, 1000), ("Thai", *generated(unspaced, 4, 4000, thai), 2000, 1000),
                 ("kana", *generated(unspaced, 5, 4000, kana), 2000, 1000)):
        wrong += not against_hugging_face(*case)
    return 1 if wrong else 0


sys.exit(main())
