#!/usr/bin/env python3
"""Fine-tunes a sentence classifier from a checkpoint and from random weights, and prints both accuracies.

    finetune.py --checkpoint RUN/checkpoint-0002000 --train train.tsv --test test.tsv [--seeds 1 2 3 4 5] [--epochs 3]

TSV with a header that names the columns "text" (or "sentence") and "label". One line per run, then mean and standard deviation."""
import argparse, csv, json, statistics, sys, time
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer


def read_tsv(path):
    with open(path, encoding="utf-8", newline="") as f:
        rows = list(csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE))
    key = next(k for k in ("text", "sentence", "document", "review") if k in rows[0])
    labels = sorted({r["label"] for r in rows})
    return [r[key] for r in rows], [labels.index(r["label"]) for r in rows]


def encode(tokenizer, texts, length):
    return [tokenizer(t, truncation=True, max_length=length)["input_ids"] for t in texts]


def batches(ids, labels, size, order):
    for i in range(0, len(order), size):
        rows = order[i:i + size]
        longest = max(len(ids[r]) for r in rows)
        x = torch.zeros(len(rows), longest, dtype=torch.long)
        for k, r in enumerate(rows):
            x[k, :len(ids[r])] = torch.tensor(ids[r])
        yield x, (x != 0).long(), torch.tensor([labels[r] for r in rows])


def run(a, checkpoint, data, seed):
    (train_x, train_y), (test_x, test_y) = data
    torch.manual_seed(seed)
    if checkpoint:
        model = AutoModelForSequenceClassification.from_pretrained(a.checkpoint, num_labels=2)
    else:
        model = AutoModelForSequenceClassification.from_config(AutoConfig.from_pretrained(a.checkpoint, num_labels=2))
    optimizer = torch.optim.AdamW(model.parameters(), lr=a.lr, weight_decay=0.01)
    total = a.epochs * -(-len(train_x) // a.batch)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda k: min((k + 1) / (0.1 * total), (total - k) / (0.9 * total)))
    generator = torch.Generator().manual_seed(seed)
    model.train()
    for _ in range(a.epochs):
        for x, mask, y in batches(train_x, train_y, a.batch, torch.randperm(len(train_x), generator=generator).tolist()):
            loss = model(input_ids=x, attention_mask=mask, labels=y).loss
            optimizer.zero_grad(); loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step(); schedule.step()
    model.eval()
    order, right = sorted(range(len(test_x)), key=lambda r: len(test_x[r])), 0
    with torch.no_grad():
        for x, mask, y in batches(test_x, test_y, 64, order):
            right += int((model(input_ids=x, attention_mask=mask).logits.argmax(-1) == y).sum())
    return 100.0 * right / len(test_x)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--checkpoint", required=True); p.add_argument("--train", required=True); p.add_argument("--test", required=True)
    p.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5]); p.add_argument("--epochs", type=int, default=3)
    p.add_argument("--batch", type=int, default=32); p.add_argument("--lr", type=float, default=1e-4)
    p.add_argument("--length", type=int, default=64); p.add_argument("--threads", type=int, default=2)
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    tokenizer = AutoTokenizer.from_pretrained(a.checkpoint)
    data = []
    for path in (a.train, a.test):
        texts, labels = read_tsv(path)
        data.append((encode(tokenizer, texts, a.length), labels))
    for name, checkpoint in (("checkpoint", True), ("random weights", False)):
        scores = []
        for seed in a.seeds:
            began = time.monotonic()
            scores.append(run(a, checkpoint, data, seed))
            print(f"{name:15} seed {seed}: accuracy {scores[-1]:.2f} %  ({time.monotonic() - began:.0f} s)", flush=True)
        print(f"{name:15} {statistics.mean(scores):.2f} % +- {statistics.stdev(scores) if len(scores) > 1 else 0:.2f} (seeds {a.seeds})", flush=True)


main()
