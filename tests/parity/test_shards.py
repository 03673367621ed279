#!/usr/bin/env python3
"""Shards as others read and make them: h5py by NVIDIA's conventions, files of h5py's making adopted, equal bytes over time, shares on a corpus.

# limit: 120 s
"""
import json, os, random, subprocess, sys, time
import h5py, numpy as np
from tokenizers import BertWordPieceTokenizer

BUILD, TMP = os.environ["BUILD"], os.environ["TMPDIR"]
os.chdir(TMP)
S, P = 128, 20
KEYS = ["input_ids", "input_mask", "segment_ids", "masked_lm_positions", "masked_lm_ids", "next_sentence_labels"]


def run(program, *args, code=0):
    done = subprocess.run([f"{BUILD}/{program}", *args], capture_output=True, text=True)
    assert done.returncode == code, f"{program} {args}: exit {done.returncode}, expected {code}: {done.stderr}"
    return done.stdout


def make_corpus():
    rng = random.Random(1)
    words = ["".join(rng.choice("abcdefghijklmnop") for _ in range(rng.randint(1, 8))) for _ in range(3000)]
    docs = [[" ".join(rng.choices(words, k=rng.randint(2, 45))) + "." for _ in range(rng.randint(1, 200))] for _ in range(300)]
    with open("text.txt", "w") as f:
        f.write("\n".join("\n".join(d) + "\n" for d in docs))
    pieces = sorted(set(w[:4] for w in words) | set("abcdefghijklmnop"))
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "."] + pieces + ["##" + c for c in "abcdefghijklmnop"]
    tokens += ["##" + w[-3:] for w in words[:300] if len(w) > 3]
    tokens = list(dict.fromkeys(tokens))
    with open("vocab.txt", "w") as f:
        f.write("\n".join(tokens) + "\n")
    return docs, tokens


def read_as_nvidia(path):
    """DeepLearningExamples run_pretraining.py, pretraining_dataset: whole arrays; predictions end at the first zero position."""
    with h5py.File(path, "r") as f:
        ids, mask, seg, pos, labels, nsp = [np.asarray(f[k][:]) for k in KEYS]
    rows = []
    for i in range(len(ids)):
        masked = np.full(ids.shape[1], -1, np.int64)
        zeros = np.nonzero(pos[i] == 0)[0]
        n = zeros[0] if len(zeros) else len(pos[i])
        masked[pos[i][:n]] = labels[i][:n]
        rows.append((ids[i].astype(np.int64), seg[i], mask[i], masked, int(nsp[i])))
    return rows


def test_rows(docs, tokens):
    """Every row, unmasked, is [CLS] A [SEP] B [SEP] with A and true B running text of one document, as Hugging Face tokenizes it."""
    run("bert-shard", "--vocab", "vocab.txt", "--output", "a", "--quiet", "text.txt")
    encode = BertWordPieceTokenizer("vocab.txt", lowercase=True)
    texts = [",".join(map(str, sum((e.ids for e in encode.encode_batch(d, add_special_tokens=False)), []))) + "," for d in docs]
    whole = "\n".join("," + t for t in texts)
    lengths = np.fromfile("a/lengths.u16", "<u2")
    rows = read_as_nvidia("a/training_00000.hdf5")
    assert len(rows) == len(lengths) and len(rows) > 10000, len(rows)
    used = label1 = 0
    for i, (ids, seg, mask, masked, nsp) in enumerate(rows):
        n = int(mask.sum())
        assert n == lengths[i] and mask[:n].all() and not ids[n:].any() and not seg[n:].any(), i
        full = np.where(masked >= 0, masked, ids)[:n]
        cut = int(np.nonzero(seg[:n] == 1)[0][0])
        assert full[0] == 2 and full[cut - 1] == 3 and full[-1] == 3 and not seg[:cut].any() and seg[cut:n].all(), i
        assert masked[0] == masked[cut - 1] == masked[n - 1] == -1, f"row {i}: a special token is masked"
        count = int((masked >= 0).sum())
        assert count == min(P, max(1, round(n * 0.15))), (i, n, count)
        a, b = full[1:cut - 1], full[cut:n - 1]
        label1 += nsp
        used += len(a) + (0 if nsp else len(b))
        if i % 60 == 0:
            parts = [a, b] if nsp else [np.concatenate([a, b])]
            for part in parts:
                assert "," + ",".join(map(str, part)) + "," in whole, f"row {i} is not running text"
    tokens_in_all = whole.count(",") - len(texts)
    share, use = label1 / len(rows), used / tokens_in_all
    print(f"{len(rows)} rows, label 1 {share:.4f}, tokens used {use:.4f}, fill {lengths.mean() / S:.4f}")
    assert abs(share - 0.5) <= 0.01 + 2 * 0.5 / len(rows) ** 0.5, share   # the band of DESIGN, and two deviations of this small corpus
    assert use >= 0.99, use


def test_equal_bytes():
    time.sleep(max(0, 1.1 - (time.time() - os.stat("a/manifest.json").st_mtime)))
    run("bert-shard", "--vocab", "vocab.txt", "--output", "b", "--quiet", "text.txt")
    for name in sorted(os.listdir("a")):
        assert open(f"a/{name}", "rb").read() == open(f"b/{name}", "rb").read(), f"{name} differs between two runs"
    text = open("a/manifest.json").read()
    for word in (TMP, os.uname().nodename, "text.txt"):
        assert word not in text, f"the manifest holds {word}"


def copy_by_h5py(source, target, rows=None, **how):
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with h5py.File(source, "r") as f, h5py.File(target, "w") as g:
        for k in KEYS:
            if k in f:
                g.create_dataset(k, data=f[k][:rows].astype(how.get("dtype", f[k].dtype)), **{x: y for x, y in how.items() if x != "dtype"})


def test_adopt():
    """Files as NVIDIA's and Intel's scripts make them: h5py's own chunking, gzip, wider types, no compression."""
    for i, how in enumerate([{"compression": "gzip"}, {"dtype": "i8"}, {"dtype": "u4", "compression": "gzip", "shuffle": True, "fletcher32": True}]):
        d = f"adopt{i}"
        copy_by_h5py("a/training_00000.hdf5", f"{d}/wikicorpus_en_training_0.hdf5", **how)
        run("bert-inspect", "--adopt", d, "--vocab", "vocab.txt")
        run("bert-inspect", "--verify", d)
        run("bert-inspect", "--diff", "a", d)
        content = [json.load(open(f"{x}/manifest.json"))["files"][0]["content_sha256"] for x in ("a", d)]
        assert content[0] == content[1], content


def test_adopt_refuses():
    def spoil(name, change):
        d = f"bad_{name}"
        copy_by_h5py("a/training_00000.hdf5", f"{d}/x_training.hdf5", rows=300, compression="gzip")
        with h5py.File(f"{d}/x_training.hdf5", "r+") as f:
            change(f)
        run("bert-inspect", "--adopt", d, "--vocab", "vocab.txt", code=2)
        assert os.listdir(d) == ["x_training.hdf5"], os.listdir(d)

    def put(key, where, value):
        def change(f):
            f[key][where] = value
        return change

    def replace(key, make):
        def change(f):
            old = f[key][:]
            del f[key]
            make(f, old)
        return change

    spoil("id", put("input_ids", (7, 3), 10 ** 6))
    spoil("label_id", put("masked_lm_ids", (7, 0), -3))
    spoil("position", put("masked_lm_positions", (9, 0), 4000))
    spoil("order", put("masked_lm_positions", (9, slice(0, 2)), [9, 4]))
    spoil("mask", put("input_mask", (2, 0), 0))
    spoil("segment", put("segment_ids", (2, 0), 2))
    spoil("nsp", put("next_sentence_labels", 5, 3))
    spoil("missing", replace("input_mask", lambda f, old: None))
    spoil("float", replace("input_ids", lambda f, old: f.create_dataset("input_ids", data=old.astype("f4"))))
    spoil("rows", replace("segment_ids", lambda f, old: f.create_dataset("segment_ids", data=old[:-1])))
    spoil("filter", replace("segment_ids", lambda f, old: f.create_dataset("segment_ids", data=old, compression="lzf")))
    spoil("soft", replace("segment_ids", lambda f, old: f.__setitem__("segment_ids", h5py.SoftLink("/input_mask"))))
    spoil("external", replace("segment_ids", lambda f, old: f.__setitem__("segment_ids", h5py.ExternalLink("other.hdf5", "/input_mask"))))
    spoil("external_data", replace("segment_ids", lambda f, old: f.create_dataset("segment_ids", shape=old.shape, dtype="i1", external=[("raw", 0, old.size)])))
    layout = h5py.VirtualLayout(shape=(300, S), dtype="i1")
    layout[:] = h5py.VirtualSource("x_training.hdf5", "input_mask", shape=layout.shape)
    spoil("virtual", replace("segment_ids", lambda f, old: f.create_virtual_dataset("segment_ids", layout)))


def test_inspect():
    """What --verify and --stats count, against numpy: a file of 400 rows, 30 of them twice and 20 more with other masks, and held-out rows of training's texts."""
    os.makedirs("count")
    for name, rows in (("x_training.hdf5", np.r_[0:400, 10:40, 100:120]), ("x_test.hdf5", np.r_[395:460])):
        with h5py.File("a/training_00000.hdf5") as f, h5py.File(f"count/{name}", "w") as g:
            data = {k: f[k][:][rows] for k in KEYS}
            for i in range(430, 450) if "training" in name else ():   # as they were before masking, with one prediction
                n = int((data["masked_lm_positions"][i] > 0).sum())
                data["input_ids"][i][data["masked_lm_positions"][i][:n]] = data["masked_lm_ids"][i][:n]
                data["masked_lm_positions"][i][1:] = data["masked_lm_ids"][i][1:] = 0
            for k in KEYS:
                g[k] = data[k]
    run("bert-inspect", "--adopt", "count", "--vocab", "vocab.txt")
    told = json.loads(run("bert-inspect", "--verify", "--stats", "--json", "count"))["paths"][0]
    assert told["verified"] and told["repeated_rows"] == 35 and told["repeated_texts"] == 55 and told["test_texts_in_training"] == 5, told
    for split in ("training", "test"):
        with h5py.File(f"count/x_{split}.hdf5") as f:
            ids, mask, _, pos, labels, nsp = [f[k][:] for k in KEYS]
        full = ids.copy()
        for i, (p, l) in enumerate(zip(pos, labels)):
            full[i][p[p > 0]] = l[p > 0]
        lengths, words, one = mask.sum(1), (mask == 1) & (full != 2) & (full != 3), told[split]
        assert (one["rows"], one["tokens"], one["labels"]) == (len(ids), mask.sum(), [(nsp == 0).sum(), (nsp == 1).sum()]), one
        assert one["unknown_tokens"] == (full[words] == 1).sum() and abs(one["unknown_share"] - (full[words] == 1).mean()) < 1e-12, one
        shape = one["lengths"]
        assert (shape["shortest"], shape["longest"], shape["median"]) == (lengths.min(), lengths.max(), np.sort(lengths)[(len(ids) - 1) // 2]), shape
        assert [b["rows"] for b in shape["histogram"]] == [((lengths >= b["from"]) & (lengths <= b["to"])).sum() for b in shape["histogram"]], shape
        at = pos > 0
        shown = np.concatenate([i[p[p > 0]] for i, p in zip(ids, pos)])
        masked = one["masked"]
        assert masked["tokens"] == at.sum() and abs(masked["as_mask"] - (shown == 4).mean()) < 1e-12, masked
        assert abs(masked["as_itself"] - (shown == labels[at]).mean()) < 1e-12 and abs(masked["share"] - at.sum() / mask.sum()) < 1e-12, masked
    single = json.loads(run("bert-inspect", "--verify", "--json", "--vocab", "vocab.txt", "count/x_training.hdf5"))["paths"][0]
    assert (single["repeated_rows"], single["repeated_texts"], single["training"]) == (30, 50, {k: v for k, v in told["training"].items() if k not in ("lengths", "masked")}), single


def main():
    docs, tokens = make_corpus()
    test_rows(docs, tokens)
    test_equal_bytes()
    test_adopt()
    test_adopt_refuses()
    test_inspect()


main()
