#!/usr/bin/env python3
"""Every line of every text in a folder: ids of ours against BertTokenizerFast, for each vocabulary of the folder.

    tests/bench/tokens_equal.py [DATA] [WORD...]        only files and vocabularies whose path holds one of the words

DATA/vocab/*.txt are vocabularies ("uncased" in the name: lower case), everything else below DATA is text. Prints a line for each pair and what
differs; exit 1 if anything does. Set BUILD for another build."""
import os
import subprocess
import sys
import time

import numpy
from transformers import BertTokenizerFast

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TOOL = os.path.join(os.environ.get("BUILD") or os.path.join(ROOT, "build"), "tests/tools/tokenize")
PART = 20000      # lines at a time


def files_below(folder):
    return sorted(os.path.join(at, n) for at, _, names in os.walk(folder) for n in names if not n.startswith("."))


def ours(vocab, lower, lines):
    data = b"".join(len(r).to_bytes(4, "little") + r for r in lines)
    done = subprocess.run([TOOL, vocab, "uncased" if lower else "cased", "auto", "keep"], input=data, stdout=subprocess.PIPE, check=True)
    flat, out, at = numpy.frombuffer(done.stdout, "<i4"), [], 0
    for _ in lines:
        out.append(flat[at + 1:at + 1 + flat[at]])
        at += 1 + flat[at]
    assert at == len(flat)
    return out


def main():
    data = sys.argv[1] if len(sys.argv) > 1 else os.path.join(ROOT, "../shared/data")
    chosen = lambda path: len(sys.argv) < 3 or any(w in path for w in sys.argv[2:])
    vocabs = files_below(os.path.join(data, "vocab"))
    texts = [f for f in files_below(data) if f not in vocabs]
    if not vocabs or not texts:
        sys.exit(f"{data}: needs a folder vocab and texts")
    some_vocab, some_text = any(map(chosen, vocabs)), any(map(chosen, texts))
    wrong = bytes_all = 0
    for vocab in (v for v in vocabs if chosen(v) or not some_vocab):
        lower = "uncased" in os.path.basename(vocab)
        theirs = BertTokenizerFast(vocab_file=vocab, do_lower_case=lower).backend_tokenizer
        for text in (t for t in texts if chosen(t) or not some_text):
            began, differ, tokens = time.time(), 0, 0
            lines = open(text, "rb").read().split(b"\n")
            for at in range(0, len(lines), PART):
                part = lines[at:at + PART]
                encoded = theirs.encode_batch_fast([r.decode("utf-8", "replace") for r in part], add_special_tokens=False)
                for i, (a, b) in enumerate(zip(ours(vocab, lower, part), encoded)):
                    tokens += len(a)
                    if len(a) == len(b.ids) and (a == b.ids).all():
                        continue
                    differ += 1
                    if differ <= 3:
                        print(f"  line {at + i + 1}: {part[i][:80]!r}\n    ours   {a.tolist()[:20]}\n    theirs {b.ids[:20]}")
            wrong += differ
            bytes_all += os.path.getsize(text)
            print(f"{os.path.basename(vocab)} {os.path.relpath(text, data)}: {len(lines)} lines, {tokens} tokens, {differ} lines differ, {time.time() - began:.1f} s",
                  flush=True)
    print(f"{bytes_all / 1e6:.1f} MB: {wrong} lines differ")
    return wrong > 0


sys.exit(main())
