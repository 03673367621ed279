#!/usr/bin/env python3
"""Speed of bert-shard and its tokenizer beside Hugging Face's, and its memory: what `make bench-datagen` prints.

  tests/bench/datagen.py --data DIR --peer peer_shard.py [--pairs 3] [--part tokenize,shards,ranks,memory] [--large-mb 2000]

DIR holds en_books/, ko_nsmc/movies_docs.txt and vocab/. Every ratio is the median over pairs of runs, one after the other in turn, on the same
text with the same vocabulary; the peer's time leaves out its start (imports, reading the vocabulary), ours does not.
  tokenize   the tokenizer alone, one thread each, against tokenizers' encode_batch on a list of all lines
  shards     text to finished shards, S = 128, two threads each, against peer_shard.py
  ranks      2 ranks of 1 thread against 1 rank of 2 threads
  memory     a large text, made of the books repeated and varied, with 1 GiB of address space
"""
import argparse, glob, json, os, re, resource, shutil, statistics, subprocess, sys, tempfile, time

BUILD = os.environ.get("BUILD", "build")
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PEER_TOKENIZE = """
import sys, time
from tokenizers import BertWordPieceTokenizer
t = BertWordPieceTokenizer(sys.argv[1], lowercase=sys.argv[2] == "uncased")
lines = [l for p in sys.argv[3:] for l in open(p, encoding="utf-8", newline="\\n").read().split("\\n")]
began = time.perf_counter()
n = sum(len(x.ids) for x in t.encode_batch(lines, add_special_tokens=False))
print(n, time.perf_counter() - began)
"""


def run(command, **more):
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, **more)
    if done.returncode:
        sys.exit(f"{' '.join(command[:4])} ... ended with {done.returncode}")
    return done.stdout


def timed(command, **more):
    began = time.perf_counter()
    run(command, **more)
    return time.perf_counter() - began


def pairs(n, peer, ours):
    """n times peer, ours; the medians and the median of the ratios."""
    got = [(peer(), ours()) for _ in range(n)]
    return [statistics.median(x) for x in zip(*[(p, o, p / o) for p, o in got])]


def part_tokenize(a, books):
    for name, vocabulary, case, least, files in (
            ("en_books", "bert-base-uncased-vocab.txt", "uncased", 30, books),
            ("ko_nsmc", "kcbert-base-vocab.txt", "cased", 10, [f"{a.data}/ko_nsmc/movies_docs.txt"])):
        arguments = [f"{a.data}/vocab/{vocabulary}", case] + files
        tokens = set()

        def peer():
            n, seconds = run([sys.executable, "-c", PEER_TOKENIZE] + arguments, env={**os.environ, "RAYON_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "true"}).split()
            tokens.add(int(n))
            return float(seconds)

        def ours():
            _, n, seconds = run([f"{BUILD}/tests/tools/tokenize_speed"] + arguments).split()
            tokens.add(int(n))
            return float(seconds)

        p, o, ratio = pairs(a.pairs, peer, ours)
        megabytes = sum(os.path.getsize(f) for f in files) / 1e6
        same = "equal tokens" if len(tokens) == 1 else f"TOKENS DIFFER: {tokens}"
        print(f"tokenize {name:9} 1 thread   tokenizers {megabytes / p:6.2f} MB/s   ours {megabytes / o:6.1f} MB/s   {ratio:6.1f} x  (goal {least})   {same}", flush=True)


def shard(a, out, threads, text, ranks=0, more=()):
    shutil.rmtree(out, ignore_errors=True)
    start = [f"{ROOT}/tests/mpirun.sh", "-np", str(ranks)] if ranks else []
    return start + [f"{BUILD}/bert-shard", "--quiet", "--vocab", f"{a.data}/vocab/bert-base-uncased-vocab.txt", "--seq-length", "128", "--threads", str(threads),
                    "--output", out, *more] + text


def part_shards(a, books, temp):
    def peer():
        out = run([sys.executable, a.peer, "--vocab", f"{a.data}/vocab/bert-base-uncased-vocab.txt", "--seq", "128", "--out", f"{temp}/peer.hdf5"] + books,
                  env={**os.environ, "RAYON_NUM_THREADS": "2", "TOKENIZERS_PARALLELISM": "true"})
        return json.loads(out)["seconds"]

    p, o, ratio = pairs(a.pairs, peer, lambda: timed(shard(a, f"{temp}/shards", 2, books)))
    megabytes = sum(map(os.path.getsize, books)) / 1e6
    print(f"shards   en_books  2 threads  peer_shard {megabytes / p:6.2f} MB/s   ours {megabytes / o:6.1f} MB/s   {ratio:6.1f} x  (goal 25)", flush=True)


def part_ranks(a, books, temp):
    more = ("--split-sentences",)
    one, two, ratio = pairs(max(a.pairs, 5), lambda: timed(shard(a, f"{temp}/one", 2, books, 1, more)), lambda: timed(shard(a, f"{temp}/two", 1, books, 2, more)))
    equal = subprocess.run(["diff", "-r", f"{temp}/one", f"{temp}/two"], stdout=subprocess.DEVNULL).returncode == 0
    print(f"ranks    en_books  1 rank x 2 threads {one:.2f} s   2 ranks x 1 thread {two:.2f} s   {100 * (two / one - 1):+.0f} %  (goal +15 %)   "
          f"{'equal bytes' if equal else 'BYTES DIFFER'}", flush=True)


def varied(text, round_):
    """Another text of the same kind: every round changes other words."""
    return re.sub(rb"\b(\w{3,})(\w)\b", lambda m: m[1] + m[2] * (1 + (hash((m[0], round_)) % 16 == 0)), text) if round_ else text


def part_memory(a, books, temp):
    path, size, round_ = f"{temp}/large.txt", 0, 0
    with open(path, "wb") as f:
        while size < a.large_mb * 1e6:
            for b in books:
                size += f.write(varied(open(b, "rb").read(), round_) + b"\n\n")
                if size >= a.large_mb * 1e6:
                    break
            round_ += 1

    def limit():
        resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))

    began = time.perf_counter()
    run(shard(a, f"{temp}/large", 2, [path]), preexec_fn=limit)
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    print(f"memory   {size / 1e6:.0f} MB of text under 1 GiB of address space: done in {seconds:.1f} s, {size / 1e6 / seconds:.1f} MB/s, peak resident {peak / 1024:.0f} MiB",
          flush=True)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", required=True)
    p.add_argument("--peer", required=True)
    p.add_argument("--pairs", type=int, default=3)
    p.add_argument("--part", default="tokenize,shards,ranks,memory")
    p.add_argument("--large-mb", type=float, default=2000)
    p.add_argument("--temp", help="folder for shards and the large text")
    a = p.parse_args()
    books = sorted(glob.glob(f"{a.data}/en_books/*.txt"))
    if not books:
        sys.exit(f"{a.data}/en_books: holds no texts")
    parts = a.part.split(",")
    with tempfile.TemporaryDirectory(dir=a.temp) as temp:
        if "memory" in parts:                       # first: the peak is that of all children so far
            part_memory(a, books, temp)
        if "tokenize" in parts:
            part_tokenize(a, books)
        if "shards" in parts:
            part_shards(a, books, temp)
        if "ranks" in parts:
            part_ranks(a, books, temp)


main()
