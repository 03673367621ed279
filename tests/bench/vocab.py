#!/usr/bin/env python3
"""Compares bert-vocab with Hugging Face's WordPiece trainer: tokens per word of held-out text, seconds, and seconds for 100 MB.

    vocab.py [--size 30000] [--cased] [--limit-alphabet 1000] [--megabytes 100] [--threads 2] TEXT...

TEXT: files or folders of .txt. Of many files every tenth is held out, of a single one every tenth block of 100 lines. The text of the given size is
the training text again and again, one word in twenty changed in each copy so that it brings new words. BUILD names the folder of the programs."""
import argparse, os, random, re, subprocess, sys, tempfile, time
from pathlib import Path
from tokenizers import BertWordPieceTokenizer, Tokenizer, models, normalizers, pre_tokenizers


def read(paths):
    files = [f for p in map(Path, paths) for f in (sorted(p.rglob("*.txt")) if p.is_dir() else [p])]
    texts = [f.read_text(encoding="utf-8") for f in files]
    if len(texts) == 1:
        lines = texts[0].splitlines(keepends=True)
        texts = ["".join(lines[i:i + 100]) for i in range(0, len(lines), 100)]
    return "".join(t + "\n" for i, t in enumerate(texts) if i % 10), "".join(t + "\n" for i, t in enumerate(texts) if i % 10 == 0)


# A small process in between: a child of this one would count this one's memory as its own.
WITNESS = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True); print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"


def ours(path, out, a, threads):
    """Seconds, and peak resident MiB."""
    began = time.monotonic()
    run = subprocess.run([sys.executable, "-c", WITNESS, os.path.join(os.environ.get("BUILD", "build"), "bert-vocab"), "--size", str(a.size), "--limit-alphabet", str(a.limit_alphabet),
                    "--threads", str(threads), "--quiet", "--force", *(["--cased"] if a.cased else []), "--output", out, path], check=True, stdout=subprocess.PIPE)
    return time.monotonic() - began, int(run.stdout) / 1024


def theirs(path, a):
    began = time.monotonic()
    t = BertWordPieceTokenizer(lowercase=not a.cased)
    t.train([path], vocab_size=a.size, min_frequency=2, limit_alphabet=a.limit_alphabet, show_progress=False)
    return time.monotonic() - began, [p for p, _ in sorted(t.get_vocab().items(), key=lambda x: x[1])]


def measure(vocab, text, cased):
    t = Tokenizer(models.WordPiece({p: i for i, p in enumerate(vocab)}, unk_token="[UNK]"))
    t.normalizer, t.pre_tokenizer = normalizers.BertNormalizer(lowercase=not cased), pre_tokenizers.BertPreTokenizer()
    words = tokens = unknown = 0
    for line in text.split("\n"):
        e = t.encode(line, add_special_tokens=False)
        words += len(set(e.word_ids)); tokens += len(e.ids); unknown += e.tokens.count("[UNK]")
    return tokens / words, unknown / words, words


def grown(text, size):
    rng, out, bytes_ = random.Random(1), [], 0
    for copy in range(10 ** 6):
        changed = text if not copy else re.sub(r"\w+", lambda m: m[0] + "abcdefghij"[rng.randrange(10)] * (copy % 3 + 1) if rng.random() < 0.05 else m[0], text)
        out.append(changed); bytes_ += len(changed.encode())
        if bytes_ >= size: return "".join(out)[:size]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--size", type=int, default=30000); p.add_argument("--cased", action="store_true"); p.add_argument("--limit-alphabet", type=int, default=1000)
    p.add_argument("--megabytes", type=int, default=100); p.add_argument("--threads", type=int, default=2); p.add_argument("text", nargs="+")
    a = p.parse_args()
    os.environ["RAYON_NUM_THREADS"] = str(a.threads); os.environ["TOKENIZERS_PARALLELISM"] = "true"
    train, held = read(a.text)
    with tempfile.TemporaryDirectory() as folder:
        path, out = os.path.join(folder, "text.txt"), os.path.join(folder, "vocab.txt")
        Path(path).write_text(train, encoding="utf-8")
        (s, _), (t, other) = ours(path, out, a, a.threads), theirs(path, a)
        mine = Path(out).read_text(encoding="utf-8").split("\n")[:-1]
        (x, xu, words), (y, yu, _) = measure(mine, held, a.cased), measure(other, held, a.cased)
        print(f"{len(train.encode()) / 1e6:.1f} MB, {a.size} tokens, {a.threads} threads: {s:.2f} s, Hugging Face {t:.2f} s ({t / s:.1f} times as long)")
        print(f"held-out {words} words: {x:.4f} tokens a word, Hugging Face {y:.4f} ({100 * (x / y - 1):+.2f} %); [UNK] {100 * xu:.3f} % and {100 * yu:.3f} %")
        Path(path).write_text(grown(train, a.megabytes * 10 ** 6), encoding="utf-8")
        (one, _), (many, peak) = ours(path, out, a, 1), ours(path, out, a, a.threads)
        print(f"{os.path.getsize(path) / 1e6:.0f} MB: {one:.2f} s with 1 thread, {many:.2f} s with {a.threads}; peak {peak:.0f} MiB")


main()
