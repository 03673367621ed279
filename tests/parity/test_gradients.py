"""Losses and per-tensor gradients against BertForPreTraining in torch float64: same weights (Hugging Face's init plus N(0, 0.05) on biases and
LayerNorm weights), dropout 0. Padding on their side, an empty tail of predictions, [PAD] inside the text, a sequence without NSP label.
Every instruction set that this CPU has, with the own products and with OpenBLAS'. The comparison is shown to notice tanh GELU and LayerNorm
eps 1e-5 by making the reference wrong. limit: 300 s"""
import json, os, struct, subprocess, sys
import numpy as np, torch
from transformers import BertConfig, BertForPreTraining

BUILD, TMP = os.environ["BUILD"], os.environ["TMPDIR"]
torch.set_num_threads(1)
failures = []


def make_model(config, seed):
    torch.manual_seed(seed)
    model = BertForPreTraining(config).double()
    with torch.no_grad():
        for name, p in model.named_parameters():
            if name.endswith("bias") or "LayerNorm" in name:
                p.add_(torch.randn_like(p) * 0.05)
            p.copy_(p.float().double())          # values that floats hold exactly
    return model.eval()


def make_batch(config, lengths, S, P, seed):
    r = np.random.default_rng(seed)
    B = len(lengths)
    ids = np.zeros((B, S), np.int64)
    mask = np.zeros((B, S), np.int64)
    kind = np.zeros((B, S), np.int64)
    labels = np.full((B, S), -100, np.int64)
    for i, n in enumerate(lengths):
        ids[i, :n] = r.integers(1, config.vocab_size, n)
        ids[i, n // 3] = 0                       # [PAD] as a word: a real token to attention, no lookup gradient
        mask[i, :n] = 1
        kind[i, n // 2:n] = 1
        count = 0 if i == 1 else int(r.integers(1, min(P, n - 1) + 1))
        where = np.sort(r.choice(np.arange(1, n), count, replace=False))
        labels[i, where] = r.integers(0, config.vocab_size, count)
    nsp = r.integers(0, 2, B)
    nsp[-1] = -1 if B > 2 else nsp[-1]
    return ids, mask, kind, labels, nsp


def reference(model, batch, gelu=None, eps=None):
    ids, mask, kind, labels, nsp = [torch.from_numpy(x) for x in batch]
    old = {}
    for module in model.modules():
        if eps and isinstance(module, torch.nn.LayerNorm):
            old[module], module.eps = module.eps, eps
        for key in ("intermediate_act_fn", "transform_act_fn"):
            if gelu and hasattr(module, key):
                old[(module, key)] = getattr(module, key)
                setattr(module, key, gelu)
    model.zero_grad()
    out = model(input_ids=ids, attention_mask=mask, token_type_ids=kind)
    keep = labels >= 0
    mlm = torch.nn.functional.cross_entropy(out.prediction_logits[keep], labels[keep], reduction="sum")
    known = nsp >= 0
    nsp_loss = torch.nn.functional.cross_entropy(out.seq_relationship_logits[known], nsp[known], reduction="sum")
    K, pairs = int(keep.sum()), int(known.sum())
    (mlm / K + nsp_loss / pairs).backward()
    for key, value in old.items():
        if isinstance(key, tuple): setattr(*key, value)
        else: key.eps = value
    gradients = {n: p.grad.numpy().copy() for n, p in model.named_parameters() if n != "cls.predictions.decoder.weight"}
    right = int((out.prediction_logits[keep].argmax(-1) == labels[keep]).sum())
    return mlm.item(), nsp_loss.item(), right, 1 / K, 1 / pairs, gradients


def ours(model, config, batch, scales, isa, products):
    ids, mask, kind, labels, nsp = batch
    names = [n for n, _ in model.named_parameters()]
    with open(f"{TMP}/config.json", "w") as f: json.dump(config.to_dict(), f)
    with open(f"{TMP}/weights", "wb") as f:
        for n, p in model.named_parameters():
            data = p.detach().numpy().astype("<f4").tobytes()
            f.write(struct.pack("<I", len(n)) + n.encode() + struct.pack("<Q", p.numel()) + data)
    real = mask.astype(bool)
    lengths = real.sum(1)
    position = np.tile(np.arange(ids.shape[1]), (len(ids), 1))[real]
    flat = labels[real]
    rows = np.nonzero(flat >= 0)[0]
    arrays = [ids[real], kind[real], position, np.concatenate([[0], np.cumsum(lengths)]), rows, flat[rows], nsp]
    with open(f"{TMP}/batch", "wb") as f:
        f.write(struct.pack("<4i", len(ids), len(position), len(rows), ids.shape[1]))
        for a in arrays: f.write(a.astype("<i4").tobytes())
        f.write(struct.pack("<2d", *scales))
    subprocess.run([f"{BUILD}/tests/tools/gradients", *(f"{TMP}/{x}" for x in ("config.json", "weights", "batch", "out"))], check=True,
                   env={**os.environ, "BERT_ISA": isa, "BERT_GEMM": products})
    data = open(f"{TMP}/out", "rb").read()
    mlm, nsp_loss, right, _ = struct.unpack_from("<2d2q", data)
    at, gradients = 32, {}
    while at < len(data):
        size, = struct.unpack_from("<I", data, at)
        name = data[at + 4:at + 4 + size].decode()
        count, = struct.unpack_from("<Q", data, at + 4 + size)
        gradients[name] = np.frombuffer(data, "<f4", count, at + 12 + size).astype(np.float64)
        at += 12 + size + 4 * count
    missing = set(names) ^ (set(gradients) - {"lookup"})
    if missing: failures.append(f"tensor tables differ: {sorted(missing)}")
    return mlm, nsp_loss, right, gradients


def differences(got, want):
    """Lines that say what is out of bounds; and the worst ratio to the bound."""
    whole = np.sqrt(sum((g ** 2).sum() for g in want[-1].values()))
    lines, worst = [], 0.0
    for what, a, b in (("mlm loss", got[0], want[0]), ("nsp loss", got[1], want[1])):
        ratio = abs(a - b) / (1e-5 * max(1, abs(b)))
        worst = max(worst, ratio)
        if not ratio <= 1: lines.append(f"{what}: {a!r}, reference {b!r}")
    if got[2] != want[2]: lines.append(f"mlm correct: {got[2]}, reference {want[2]}")
    for name, g64 in want[-1].items():
        g = got[-1][name].reshape(g64.shape)
        distance, norm = np.linalg.norm(g - g64), np.linalg.norm(g64)
        ratio = distance / (1e-5 * norm + 1e-7 * whole)
        worst = max(worst, ratio)
        if not ratio <= 1: lines.append(f"{name}: |g - g64| {distance:.3e}, |g64| {norm:.3e}, |all g64| {whole:.3e}")
    return lines, worst


def check(title, config, lengths, S, P, levels, wrong=False):
    model, batch = make_model(config, 1), make_batch(config, lengths, S, P, 2)
    want = reference(model, batch)
    for level, products in ((level, products) for level in levels for products in ("own", "openblas")):
        isa = f"{level} {products}"
        got = ours(model, config, batch, want[3:5], level, products)
        lines, worst = differences(got, want)
        print(f"{title} {isa}: worst difference is {worst:.3f} of the bound")
        failures.extend(f"{title} {isa}: {line}" for line in lines)
        rows = got[-1]["bert.embeddings.position_embeddings.weight"].reshape(-1, config.hidden_size)
        if rows[S:].any(): failures.append(f"{title} {isa}: position rows beyond {S} are not 0")
        if got[-1]["lookup"][:config.hidden_size].any(): failures.append(f"{title} {isa}: lookup gradient of [PAD] is not 0")
        if not got[-1]["bert.embeddings.word_embeddings.weight"][:config.hidden_size].any():
            failures.append(f"{title} {isa}: decoder gradient of [PAD] was dropped")
        if wrong:
            for what, kw in (("tanh GELU", {"gelu": torch.nn.GELU(approximate="tanh")}), ("LayerNorm eps 1e-5", {"eps": 1e-5})):
                lines, worst = differences(got, reference(model, batch, **kw))
                print(f"{title} {isa}: against {what} {worst:.1f} times the bound, {len(lines)} lines")
                if not lines: failures.append(f"{title}: the comparison does not notice {what}")


def supported(isa):
    flags = open("/proc/cpuinfo").read() if os.path.exists("/proc/cpuinfo") else ""
    return {"avx2": " avx2" in flags and " fma" in flags, "avx512": all(f" avx512{x}" in flags for x in ("f", "bw", "dq", "vl"))}.get(isa, True)


levels = [isa for isa in ("base", "avx2", "avx512") if supported(isa)]
none = dict(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, attn_implementation="eager")
small = BertConfig(vocab_size=211, hidden_size=48, num_hidden_layers=2, num_attention_heads=3, intermediate_size=100, max_position_embeddings=40, **none)
check("small", small, [32, 20, 5, 31], 32, 6, ["ref", *levels], wrong=True)
tiny = BertConfig(vocab_size=1000, hidden_size=128, num_hidden_layers=2, num_attention_heads=2, intermediate_size=512, max_position_embeddings=512, **none)
check("tiny", tiny, [64, 40, 64, 17, 64, 55, 9, 33], 64, 10, levels)
check("long", tiny, [300, 200], 300, 220, levels)       # several tiles of scores, several blocks of logits
print("\n".join(failures))
sys.exit(bool(failures))
