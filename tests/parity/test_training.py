"""50 steps of bert-pretrain against torch in float64: the loss of every step within 2e-5, on the rows that --dump-order names; and 20 of LAMB,
written out here in NumPy by the rules of NVIDIA's FusedLAMB, under its schedule.

The reference is Hugging Face's BertForPreTraining with torch.optim.AdamW; both sides start from one folder of weights. The order of rows is
worked out here anew from DESIGN's rules. Then the reference is made wrong in one thing at a time; each must be seen.
limit: 400 s
"""
import json
import os
import subprocess
import sys

import h5py
import numpy as np
import torch
from transformers import BertConfig, BertForPreTraining

BUILD, MPIRUN, TMP = os.environ["BUILD"], os.environ["MPIRUN"], os.environ["TMPDIR"]
STEPS, S, P, V, ROWS, BATCH, MICRO, SEED = 50, 64, 10, 600, 500, 8, 2, 12345
TOLERANCE = 2e-5
torch.set_num_threads(2)


def run(arguments, np_ranks=1, wanted=0):
    command = [MPIRUN, "-np", str(np_ranks), f"{BUILD}/bert-pretrain"] + arguments
    done = subprocess.run(command, cwd=TMP, capture_output=True, text=True, timeout=300)
    if done.returncode != wanted:
        sys.exit(f"exit code {done.returncode}, wanted {wanted}: {' '.join(command)}\n{done.stderr}")
    return done


# ---- data: rows of many lengths, an empty tail of predictions, [PAD] inside the text, masked counts that differ --------------------------
def make_data():
    g = np.random.default_rng(3)
    with open(f"{TMP}/vocab.txt", "w") as f:
        f.write("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + [f"w{i}" for i in range(V - 5)]) + "\n")
    os.mkdir(f"{TMP}/data")
    ids, mask, segments = np.zeros((ROWS, S), "i4"), np.zeros((ROWS, S), "i1"), np.zeros((ROWS, S), "i1")
    positions, labels = np.zeros((ROWS, P), "i4"), np.zeros((ROWS, P), "i4")
    nsp = g.integers(0, 2, ROWS).astype("i1")
    for r in range(ROWS):
        n = S if r % 3 == 0 else int(g.integers(10, S + 1))
        a = int(g.integers(3, n - 4))
        words = 5 + np.minimum(g.zipf(1.3, n) - 1, V - 6)
        ids[r, :n] = words
        ids[r, [0, a, n - 1]] = [2, 3, 3]
        if r % 11 == 0:
            ids[r, 1] = 0
        mask[r, :n] = 1
        segments[r, a + 1 : n] = 1
        free = [i for i in range(1, n - 1) if i != a]
        k = int(g.integers(1, min(P, len(free)) + 1))
        chosen = np.sort(g.choice(free, k, replace=False))
        positions[r, :k] = chosen
        labels[r, :k] = np.maximum(ids[r, chosen], 5)
        ids[r, chosen] = np.where(g.random(k) < 0.8, 4, ids[r, chosen])
    with h5py.File(f"{TMP}/data/training_00000.hdf5", "w") as f:
        for name, value in (("input_ids", ids), ("input_mask", mask), ("segment_ids", segments), ("masked_lm_positions", positions),
                            ("masked_lm_ids", labels), ("next_sentence_labels", nsp)):
            f.create_dataset(name, data=value, compression="gzip")
    subprocess.run([f"{BUILD}/bert-inspect", "--adopt", f"{TMP}/data", "--vocab", f"{TMP}/vocab.txt"], check=True, stdout=subprocess.DEVNULL)
    return ids, mask, segments, positions, labels, nsp


# ---- order: DESIGN section 5, "Order", with Philox of its own -----------------------------------------------------------------------------
def philox(key, counter):
    c, k = list(counter), list(key)
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(b >> 32) ^ c[1] ^ k[0], b & 0xFFFFFFFF, (a >> 32) ^ c[3] ^ k[1], a & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


def draw(seed, purpose, a, b, index=0):
    low, high = lambda x: x & 0xFFFFFFFF, lambda x: x >> 32
    first = philox((low(seed), high(seed)), (purpose, 0, low(a), high(a)))
    key = philox(first[:2], (low(b), high(b), 0, 0))[:2]
    out = philox(key, (low(index), high(index), 0, 0))
    return out[1] << 32 | out[0]


def wanted_order(lengths):
    n, leaves = len(lengths), BATCH // MICRO
    parts = max(1, min(round(256 / MICRO), n // BATCH))
    block = parts * MICRO
    blocks = -(-n // block)

    def permutation(epoch):
        p = list(range(blocks))
        for i in range(blocks - 1, 0, -1):
            j = draw(SEED, 4, epoch, i) % (i + 1)
            p[i], p[j] = p[j], p[i]
        return p

    def deal(j):
        epoch = j // blocks
        b = permutation(epoch)[j % blocks]
        rows = sorted((r % n for r in range(b * block, (b + 1) * block)), key=lambda r: (lengths[r] // max(1, S // 16), draw(SEED, 5, epoch, r), r))
        dealt = [[] for _ in range(parts)]
        for i, r in enumerate(rows):
            dealt[i % parts if i // parts % 2 == 0 else parts - 1 - i % parts].append(r)
        return dealt

    kept = {}
    for s in range(STEPS):
        step = []
        for m in range(leaves):
            j = m + leaves * (s // parts)
            if j not in kept:
                kept[j] = deal(j)
            step += kept[j][s % parts]
        yield step


# ---- reference ------------------------------------------------------------------------------------------------------------------------------
def make_weights():
    torch.manual_seed(1)
    config = BertConfig(vocab_size=V, hidden_size=128, num_hidden_layers=2, num_attention_heads=2, intermediate_size=512, max_position_embeddings=S)
    model = BertForPreTraining(config)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.dim() == 1:
                p.add_(0.05 * torch.randn_like(p))
    model.save_pretrained(f"{TMP}/first")


def rate(k, peak=1e-3, warmup=10):
    return peak * k / warmup if k <= warmup else peak * (STEPS - k + 1) / (STEPS - warmup + 1)


def groups(model, decay, everything):
    plain = lambda name: not everything and (name.endswith(".bias") or "LayerNorm" in name)
    named = list(model.named_parameters())
    return [{"params": [p for n, p in named if plain(n)], "weight_decay": 0.0}, {"params": [p for n, p in named if not plain(n)], "weight_decay": decay}]


def loss_of(model, data, rows, micro_means=False):
    ids, mask, segments, positions, labels, nsp = data
    entropy, t = torch.nn.functional.cross_entropy, lambda a: torch.from_numpy(a[rows].astype("i8"))
    wanted = torch.full((len(rows), S), -100)
    for i, r in enumerate(rows):
        for at, label in zip(positions[r], labels[r]):
            if at > 0:
                wanted[i, at] = int(label)
    out = model(input_ids=t(ids), attention_mask=t(mask), token_type_ids=t(segments))
    cut = [slice(i, i + MICRO) for i in range(0, BATCH, MICRO)] if micro_means else [slice(0, BATCH)]
    return sum(entropy(out.prediction_logits[c].reshape(-1, V), wanted[c].reshape(-1)) + entropy(out.seq_relationship_logits[c], t(nsp)[c])
               for c in cut) / len(cut)


def reference(data, order, losses64=None, gelu="gelu", norm_eps=1e-12, decay=0.01, everything=False, epsilon=1e-6, micro_means=False):
    """Losses of every step; ends early once they differ from losses64 by more than the tolerance."""
    config = BertConfig.from_pretrained(f"{TMP}/first", hidden_dropout_prob=0, attention_probs_dropout_prob=0, hidden_act=gelu, layer_norm_eps=norm_eps)
    model = BertForPreTraining.from_pretrained(f"{TMP}/first", config=config, attn_implementation="eager").double().train()
    optimizer = torch.optim.AdamW(groups(model, decay, everything), betas=(0.9, 0.999), eps=epsilon)
    losses = []
    for k, rows in enumerate(order, 1):
        loss = loss_of(model, data, rows, micro_means)
        losses.append(float(loss.detach()))
        if losses64 and abs(losses[-1] - losses64[k - 1]) > TOLERANCE:
            break
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = rate(k)
        optimizer.step()
    return losses


def lamb_rate(k, steps, peak, warmup):
    """NVIDIA's PolyWarmUpScheduler, degree 0.5."""
    return peak * k / warmup if k < warmup else peak * (1 - k / steps) ** 0.5


class Lamb:
    """apex/optimizers/fused_lamb.py: clip, moments (grad_averaging), bias correction, decay in the direction, trust ratio where there is decay."""
    def __init__(self, model, decay=0.01, ratio=True):
        self.t, self.ratio = 0, ratio
        self.rows = [(p, 0.0 if n.endswith(".bias") or "LayerNorm" in n else decay, np.zeros(p.shape), np.zeros(p.shape)) for n, p in model.named_parameters()]

    def step(self, rate):
        self.t += 1
        norm = np.sqrt(sum((p.grad.numpy() ** 2).sum() for p, *_ in self.rows))
        for p, decay, m, v in self.rows:
            w, g = p.detach().numpy(), p.grad.numpy() / max(1.0, norm)
            m += 0.1 * (g - m)
            v += 0.001 * (g * g - v)
            u = m / (1 - 0.9 ** self.t) / (np.sqrt(v / (1 - 0.999 ** self.t)) + 1e-6) + decay * w
            lengths = np.linalg.norm(w), np.linalg.norm(u)
            w -= rate * (lengths[0] / lengths[1] if self.ratio and decay and min(lengths) > 0 else 1.0) * u


def check_lamb(data, order):
    steps = 20
    run(["--quiet", "--data", "data", "--init-from", "first", "--output", "lamb", "--optimizer", "lamb", "--schedule", "polynomial", "--decay-from", "zero",
         "--steps", str(steps), "--global-batch", str(BATCH), "--micro-batch", str(MICRO), "--learning-rate", "2e-3", "--warmup-steps", "5", "--dropout", "0",
         "--log-every", "1"], np_ranks=2)
    ours = [json.loads(line) for line in open(f"{TMP}/lamb/metrics.jsonl")]
    rates = [lamb_rate(k, steps, 2e-3, 5) for k in range(1, steps + 1)]
    far = max(abs(m["learning_rate"] - r) for m, r in zip(ours, rates))
    worst, plain = 0.0, 0.0
    for ratio in (True, False):
        model = BertForPreTraining.from_pretrained(f"{TMP}/first", attn_implementation="eager").double().eval()
        optimizer = Lamb(model, ratio=ratio)
        for m, rows, rate in zip(ours, order, rates):
            loss = loss_of(model, data, rows)
            if ratio: worst = max(worst, abs(m["loss"] - loss.item()))
            else: plain = max(plain, abs(m["loss"] - loss.item()))
            model.zero_grad()
            loss.backward()
            optimizer.step(rate)
    print(f"LAMB: {len(ours)} steps, loss {ours[0]['loss']:.4f} to {ours[-1]['loss']:.4f}, largest difference {worst:.2e}, of rates {far:.1e}; without the trust "
          f"ratio {plain:.2e}")
    return len(ours) == steps and worst <= TOLERANCE and far < 1e-12 and plain > TOLERANCE


MUTATIONS = {
    "tanh GELU": {"gelu": "gelu_new"}, "LayerNorm eps 1e-5": {"norm_eps": 1e-5}, "decay on everything": {"everything": True}, "no decay": {"decay": 0.0},
    "Adam eps 1e-8": {"epsilon": 1e-8}, "means of micro-batches": {"micro_means": True},
}


def main():
    data = make_data()
    make_weights()
    run(["--quiet", "--data", "data", "--init-from", "first", "--output", "run", "--steps", str(STEPS), "--global-batch", str(BATCH), "--micro-batch",
         str(MICRO), "--learning-rate", "1e-3", "--warmup-steps", "10", "--dropout", "0", "--log-every", "1", "--dump-order", "order"], np_ranks=2)
    order = [[int(r) for r in line.split(":")[1].split()] for line in open(f"{TMP}/order")]
    failed = False
    for s, wanted in enumerate(wanted_order(data[1].sum(1))):
        if order[s] != wanted:
            print(f"step {s}: rows {order[s]}, wanted {wanted}")
            failed = True
            break
    ours = [json.loads(line)["loss"] for line in open(f"{TMP}/run/metrics.jsonl")]
    theirs = reference(data, order)
    worst = max(abs(a - b) for a, b in zip(ours, theirs))
    print(f"{len(ours)} steps, loss {theirs[0]:.4f} to {theirs[-1]:.4f}, largest difference {worst:.2e}, allowed {TOLERANCE:.0e}")
    if len(ours) != STEPS or worst > TOLERANCE:
        for k, (a, b) in enumerate(zip(ours, theirs), 1):
            print(f"  step {k}: {a:.9f} ours, {b:.9f} float64, difference {a - b:.2e}")
        failed = True
    for name, change in MUTATIONS.items():
        wrong = reference(data, order, ours, **change)
        seen = abs(wrong[-1] - ours[len(wrong) - 1])
        print(f"  {name}: {'seen' if seen > TOLERANCE else 'NOT SEEN'} at step {len(wrong)}, difference {seen:.2e}")
        failed |= seen <= TOLERANCE
    failed |= not check_lamb(data, order)
    diverge()
    sys.exit(failed)


def diverge():
    """Weights that are not numbers: exit 3, one line, status failed."""
    model = BertForPreTraining.from_pretrained(f"{TMP}/first")
    with torch.no_grad():
        model.bert.pooler.dense.weight[0, 0] = float("nan")
    model.save_pretrained(f"{TMP}/broken")
    done = run(["--data", "data", "--init-from", "broken", "--output", "diverged", "--steps", "5", "--global-batch", "8", "--quiet"], np_ranks=2, wanted=3)
    lines = [line for line in done.stderr.splitlines() if line.startswith("bert-pretrain: ")]
    status = json.load(open(f"{TMP}/diverged/status.json"))
    if len(lines) != 1 or "diverged" not in lines[0] or status["state"] != "failed" or status["code"] != 3:
        sys.exit(f"divergence: {lines}, {status}")


main()
