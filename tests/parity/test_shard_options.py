# limit: 120 s
"""Finished shards, option by option, read with h5py: shares with their bands, partners, swapped sentences, whole words, rows without pairs."""
import json
import os
import random
import subprocess

import h5py
import numpy as np
from tokenizers import BertWordPieceTokenizer

BUILD, TMP = os.environ["BUILD"], os.environ["TMPDIR"]
os.chdir(TMP)
S, P = 128, 20
CLS, SEP, MASK = 2, 3, 4
PAIRS = ["input_ids", "input_mask", "segment_ids", "masked_lm_positions", "masked_lm_ids", "next_sentence_labels"]


def make_text():
    rng = random.Random(2)
    words = ["".join(rng.choice("abcdefghijklmnop") for _ in range(rng.randint(1, 8))) for _ in range(3000)]
    docs = [[" ".join(rng.choices(words, k=rng.randint(2, 45))) + "." for _ in range(rng.randint(1, 160))] for _ in range(300)]
    with open("text.txt", "w") as f:
        f.write("\n".join("\n".join(d) + "\n" for d in docs))
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "."] + sorted({w[:4] for w in words} | set("abcdefghijklmnop"))
    tokens += ["##" + c for c in "abcdefghijklmnop"] + ["##" + w[-3:] for w in words[:300] if len(w) > 3]
    tokens = list(dict.fromkeys(tokens))
    with open("vocab.txt", "w") as f:
        f.write("\n".join(tokens) + "\n")
    encode = BertWordPieceTokenizer("vocab.txt", lowercase=True)
    return tokens, ["," + ",".join(str(i) for e in encode.encode_batch(d, add_special_tokens=False) for i in e.ids) + "," for d in docs]


def shards(out, *options):
    subprocess.run([f"{BUILD}/bert-shard", "--vocab", "vocab.txt", "--output", out, "--quiet", *options, "text.txt"], check=True)
    subprocess.run([f"{BUILD}/bert-inspect", "--verify", out], check=True, stdout=subprocess.DEVNULL)
    with h5py.File(f"{out}/training_00000.hdf5") as f:
        return {k: f[k][:] for k in f}, json.load(open(f"{out}/manifest.json"))


def rows(data):
    """-> A, B, label, masked positions, originals, what the row shows there; A and B unmasked."""
    for i in range(len(data["input_ids"])):
        n, ids = int(data["input_mask"][i].sum()), data["input_ids"][i].copy()
        count = int((data["masked_lm_positions"][i] != 0).sum())
        at, was = data["masked_lm_positions"][i][:count], data["masked_lm_ids"][i][:count]
        shown = ids[at]
        ids[at] = was
        first = int((data["segment_ids"][i][:n] == 0).sum())
        assert ids[0] == CLS and ids[first - 1] == SEP and ids[n - 1] == SEP and not ids[n:].any(), i
        yield ids[1:first - 1].tolist(), ids[first:n - 1].tolist(), int(data["next_sentence_labels"][i]) if "next_sentence_labels" in data else 0, at, was, shown


def find(part, documents):
    text = "," + ",".join(map(str, part)) + ","
    return [d for d, whole in enumerate(documents) if text in whole]


def near(what, share, wanted, band):
    print(f"{what}: {share:.4f}, wanted {wanted} ± {band}")
    assert abs(share - wanted) <= band, what


def check_masks(name, all_rows, whole_words=False, vocab=None):
    masked = tokens = kept = random_word = wanted = 0
    for a, b, _, at, was, shown in all_rows:
        n = len(a) + len(b) + (3 if b else 2)
        tokens += n
        wanted += min(P, max(1, round(n * 0.15)))
        masked += len(at)
        kept += int((shown == was).sum())
        random_word += int(((shown != was) & (shown != MASK)).sum())
        assert (was > MASK).all(), "a special token is masked"
    near(f"{name}: share masked", masked / tokens, 0.15, 0.003)
    assert masked == wanted or whole_words and masked > 0.99 * wanted, (masked, wanted)
    near(f"{name}: [MASK]", 1 - (kept + random_word) / masked, 0.8, 0.01)
    near(f"{name}: the word itself", kept / masked, 0.1, 0.01)
    near(f"{name}: a random word", random_word / masked, 0.1, 0.01)


def test_pairs(documents):
    data, _ = shards("pairs")
    all_rows = list(rows(data))
    check_masks("pairs", all_rows)
    near("random next", np.mean([r[2] for r in all_rows]), 0.5, 0.015)
    for i, (a, b, label, *_) in enumerate(all_rows):
        if i % 15 or len(a) < 8 or len(b) < 8:
            continue
        home = find(a, documents)
        assert len(home) == 1, f"row {i}: A is no running text of one document"
        if label:
            assert find(b, documents) and home[0] not in find(b, documents), f"row {i}: a random B is from A's document"
        else:
            assert find(a + b, documents) == home, f"row {i}: B does not follow A"
    return len(all_rows)


def test_order(documents):
    data, manifest = shards("order", "--sentence-order")
    all_rows = list(rows(data))
    check_masks("order", all_rows)
    near("swapped", np.mean([r[2] for r in all_rows]), 0.5, 0.015)
    assert manifest["options"]["sentence_order"] is True and manifest["summary"]["swapped_rows"] == sum(r[2] for r in all_rows)
    for i, (a, b, label, *_) in enumerate(all_rows):
        if i % 15 == 0:
            assert find(b + a if label else a + b, documents), f"row {i}: A and B do not stand together, label {label}"


def test_short(usual):
    data, manifest = shards("short", "--short-seq-prob", "0.3")
    lengths = data["input_mask"].sum(axis=1)
    near("rows below 100 tokens", np.mean(lengths < 100), 0.3 * 98 / 123, 0.03)      # of 2 to 124 tokens, up to 96; and ends of documents
    assert manifest["options"]["short_seq_prob"] == 0.3 and len(lengths) > usual
    near("random next", data["next_sentence_labels"].mean(), 0.5, 0.015)
    assert manifest["summary"]["tokens_used"] == manifest["summary"]["tokens"]


def test_whole_words(vocab):
    data, manifest = shards("whole", "--whole-word-masking")
    all_rows = list(rows(data))
    check_masks("whole words", all_rows, whole_words=True)
    assert manifest["options"]["whole_word_masking"] is True
    goes_on = np.array([t.startswith("##") for t in vocab])
    several = 0
    for i, (a, b, _, at, *_) in enumerate(all_rows):
        chosen = set(at.tolist())
        for offset, part in ((1, a), (len(a) + 2, b)):
            for k in range(1, len(part)):
                if goes_on[part[k]]:
                    assert (offset + k in chosen) == (offset + k - 1 in chosen), f"row {i}: a word is masked in part at {offset + k}"
                    several += offset + k in chosen
    assert several > 10000


def test_without_pairs(documents):
    data, manifest = shards("alone", "--no-nsp")
    assert sorted(data) == sorted(PAIRS[:-1]), f"--no-nsp: datasets {sorted(data)}"
    assert not data["segment_ids"].any() and manifest["next_sentence"] is False
    all_rows = list(rows(data))
    check_masks("alone", all_rows)
    for i, (a, b, *_) in enumerate(all_rows):
        assert a and not b
        if i % 15 == 0:
            assert find(a, documents), f"row {i} is no running text"
    assert sum(len(r[0]) for r in all_rows) == sum(d.count(",") - 1 for d in documents), "not every token is used"


def test_training_without_pairs():
    """Loss without the next-sentence part, and a checkpoint."""
    with open("tiny.json", "w") as f:
        json.dump(dict(model_type="bert", hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64, max_position_embeddings=S,
                       type_vocab_size=2, hidden_act="gelu", hidden_dropout_prob=0.1, attention_probs_dropout_prob=0.1, initializer_range=0.02,
                       layer_norm_eps=1e-12), f)
    subprocess.run([f"{BUILD}/bert-pretrain", "--data", "alone", "--model", "tiny.json", "--output", "run", "--steps", "2", "--global-batch", "8", "--threads", "1",
                    "--log-every", "1", "--quiet"], check=True, env={**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"})
    lines = [json.loads(x) for x in open("run/metrics.jsonl")]
    assert len(lines) == 2 and all("nsp_loss" not in x and x["loss"] == x["mlm_loss"] > 0 for x in lines), lines


def main():
    vocab, documents = make_text()
    usual = test_pairs(documents)
    test_order(documents)
    test_short(usual)
    test_whole_words(vocab)
    test_without_pairs(documents)
    test_training_without_pairs()


main()
