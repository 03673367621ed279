"""make bench-step: how fast a training step is, against this machine's own peak and against a PyTorch script on the same shards.

  BUILD=build PEER=peer_train.py PYTHON=venv/bin/python TEXT=folder-or-files VOCAB=vocab.txt python3 tests/bench/bench_step.py

Each case is a model, a sequence length and a global batch. Ours runs as 1 rank x all threads and as one rank a core, the peer likewise; the
better layout of each side then runs in alternating pairs, since clocks drift. QUICK=1 takes one pair of few steps; CASES=mini:128:32,... takes
other cases; COMPILED=1 adds the peer's compiled mode, which takes minutes to begin. Without PEER only our side is measured. Results: a table on
stdout, OUT/bench-step.json, written after every case, and OUT/bench-step.svg (bench_svg.py). REPORT=a.json,b.json makes table and picture of such
files again, and measures nothing.
The FMA loop runs for a second before and after each run of ours: its mean is the peak that the run is a share of, since the clock of a shared
machine drifts by a tenth and more; the best short try of the loop is printed beside it. A leaf (micro-batch) is what a rank gets of the batch.
Counting: tokens are real ones; FLOPs are those of trainer/work.h; the first SKIP steps of each run do not count. Dropout is on on both sides.
"""
import json, os, shutil, statistics, subprocess, sys, tempfile, threading, time
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import bench_svg

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("BUILD", "build")
OUT = os.environ.get("OUT", BUILD)
PEER, PYTHON = os.environ.get("PEER", ""), os.environ.get("PYTHON", sys.executable)
TEXT, VOCAB = os.environ.get("TEXT", ""), os.environ.get("VOCAB", "")
QUICK = os.environ.get("QUICK", "") not in ("", "0")
THREADS = int(os.environ.get("THREADS", 0)) or len(os.sched_getaffinity(0))
PAIRS = int(os.environ.get("PAIRS", 1 if QUICK else 5))
SKIP = 2
# model, S, batch: floors of share of peak, ratio to tuned, ratio to hf, memory to tuned (None: no floor)
FLOORS = {("mini", 128, 32): (0.72, 2.1, 6, 0.5), ("mini", 512, 8): (0.70, 2.7, 7, 0.4), ("small", 128, 32): (0.75, 1.7, 4, 0.5),
          ("base", 128, 16): (0.75, 1.55, 2, 0.65)}
STEPS = {"mini": 12, "small": 6, "base": 3}
REPORT = os.environ.get("REPORT", "")
COMPILED = os.environ.get("COMPILED", "") not in ("", "0")
CASES = [(m, int(s), int(b)) for m, s, b in (c.split(":") for c in os.environ.get("CASES", "").split(",") if c)] or list(FLOORS)
ENV = {**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "HF_HUB_OFFLINE": "1"}


def say(text):
    print(text, file=sys.stderr, flush=True)


def shards(S):
    """Made once from TEXT; both sides read them."""
    folder = f"{OUT}/bench-shards-{S}"
    if not os.path.exists(f"{folder}/manifest.json"):
        if not TEXT or not VOCAB: sys.exit("bench-step: TEXT and VOCAB: name text to make shards of, and a vocab.txt")
        os.makedirs(OUT, exist_ok=True)
        run([f"{BUILD}/bert-shard", "--vocab", VOCAB, "--split-sentences", "--seq-length", str(S), "--output", folder, "--force", *TEXT.split()])
    return folder


class Memory(threading.Thread):
    """Largest proportional set size of a process, sampled. In runs of its own: reading it costs time."""
    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.most, self.done = pid, 0, False
    def run(self):
        while not self.done:
            try:
                for line in open(f"/proc/{self.pid}/smaps_rollup"):
                    if line.startswith("Pss:"): self.most = max(self.most, int(line.split()[1]) * 1024)
            except (OSError, ProcessLookupError):
                return
            time.sleep(0.1)


def run(command, memory=False, **more):
    p = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env={**ENV, **more})
    watch = Memory(p.pid) if memory else None
    if watch: watch.start()
    out, err = p.communicate()
    if watch: watch.done = True
    if p.returncode: sys.exit(f"bench-step: exit code {p.returncode}: {' '.join(command)}\n{out}{err}")
    return (out, watch.most) if memory else out


def full_config(model, S, folder):
    """The model's config.json with the vocabulary's size, as the peer needs it."""
    config = json.load(open(f"{ROOT}/configs/models/{model}.json"))
    config["vocab_size"] = sum(1 for _ in open(f"{folder}/vocab.txt", "rb"))
    path = f"{OUT}/bench-config-{model}.json"
    json.dump(config, open(path, "w"))
    return path


def bf16_kernels():
    """Whether --precision bf16 has instructions here."""
    return os.environ.get("BERT_ISA", "avx512") == "avx512" and "avx512_bf16" in open("/proc/cpuinfo").read()


def held():
    """Multiply-adds a second that all cores hold just now."""
    return json.loads(run([f"{BUILD}/tests/bench/bench_step", str(THREADS)]))["held_flops"]


def ours(case, ranks, steps, memory=False, leaves=0, precision="fp32"):
    """leaves: micro-batches of the global batch; 0: one a rank."""
    model, S, batch = case
    folder = shards(S)
    scratch = tempfile.mkdtemp(prefix="bench-step.", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
    command = [f"{BUILD}/bert-pretrain", "--data", folder, "--model", full_config(model, S, folder), "--output", f"{scratch}/run", "--steps", str(steps),
               "--global-batch", str(batch), "--micro-batch", str(max(1, batch // (leaves or ranks))), "--dropout", "0.1", "--checkpoint-every", "0",
               "--log-every", "1", "--check-every", "0", "--precision", precision, "--quiet", "--threads", str(THREADS // ranks)]
    if ranks > 1: command = ["mpirun", "-np", str(ranks), *command]
    try:
        before = 0 if memory else held()
        result = run(command, memory, BERT_LEDGER=f"{scratch}/ledger")
        if memory: return result[1]
        peak = (before + held()) / 2
        metrics = [json.loads(line) for line in open(f"{scratch}/run/metrics.jsonl")]
        ledger = [json.loads(line) for line in open(f"{scratch}/ledger")]
    finally:
        shutil.rmtree(scratch)
    metrics = [m for m in metrics if m["step"] > SKIP]
    ledger = [m for m in ledger if m["step"] > SKIP]
    parts = {k: sum(m[k] for m in ledger) / len(ledger) for k in ledger[0] if k not in ("step", "tokens", "flops")}
    tokens = sum(m["tokens"] for m in metrics)
    return {"rate": tokens / sum(m["step_seconds"] for m in metrics), "ledger": parts, "flops_per_token": ranks * sum(m["flops"] for m in ledger) / tokens,
            "tokens": tokens / len(metrics), "peak": peak}


def peer(case, mode, procs, steps, memory=False):
    model, S, batch = case
    folder = shards(S)
    command = [PYTHON, PEER, "--config", full_config(model, S, folder), "--shard", folder, "--batch", str(batch // procs), "--steps", str(steps), "--skip",
               str(SKIP), "--mode", mode, "--threads", str(THREADS // procs), "--procs", str(procs)]
    out = run(command, memory)
    return out[1] if memory else json.loads(out.strip().splitlines()[-1])["real_tok_per_s"]


def quartiles(x):
    return (x[0], x[0], x[0]) if len(x) == 1 else tuple(statistics.quantiles(x, n=4, method="inclusive"))


def spread(x, digits=2):
    low, middle, high = quartiles(x)
    return f"{middle:.{digits}f}" + (f" ({low:.{digits}f}-{high:.{digits}f})" if len(x) > 1 else "")


def rounds(case, ranks, modes, steps):
    """Alternating: ours, then the peer in each of its modes (name, processes). Our runs, and {mode: [(our rate, peer's rate)]}."""
    mine, pairs = [], {mode: [] for mode, _ in modes}
    for i in range(PAIRS):
        mine.append(ours(case, ranks, steps + SKIP))
        rate = mine[-1]["rate"]
        for mode, procs in modes: pairs[mode].append((rate, peer(case, mode, procs, steps)))
        say(f"  round {i + 1}: ours {rate:.0f} tokens/s" + "".join(f", {m} {p[-1][1]:.0f} ({rate / p[-1][1]:.2f} x)" for m, p in pairs.items()))
    return mine, pairs


def measure(case):
    model, S, batch = case
    steps, folder = STEPS.get(model, 4), shards(S)
    say(f"{model}, S {S}, batch {batch}")
    first = ours(case, 1, steps + SKIP)
    masked = int(batch * S * 0.15)
    machine = json.loads(run([f"{BUILD}/tests/bench/bench_step", str(THREADS), full_config(model, S, folder), "30522", str(int(first["tokens"])), str(masked)]))
    layouts = {1: first}
    if THREADS > 1 and batch % THREADS == 0: layouts[THREADS] = ours(case, THREADS, steps + SKIP)
    best = max(layouts, key=lambda r: layouts[r]["rate"])
    say("  " + ", ".join(f"{r} x {THREADS // r}: {layouts[r]['rate']:.0f} tokens/s" for r in layouts))
    procs = 1
    if PEER and not QUICK and THREADS > 1 and peer(case, "tuned", THREADS, steps) > peer(case, "tuned", 1, steps): procs = THREADS
    modes = [("tuned", procs), ("hf", 1)] + ([("compiled", 1)] if COMPILED else []) if PEER else []
    again, pairs = rounds(case, best, modes, steps)
    result = {"case": case, "machine": machine, "layouts": {str(r): v for r, v in layouts.items()}, "best": best, "procs": procs, "pairs": pairs,
              "rates": [r["rate"] for r in again], "peaks": [r["peak"] for r in again], "flops_per_token": first["flops_per_token"],
              "share": [r["rate"] * r["flops_per_token"] / r["peak"] for r in again]}
    if len(layouts) > 1:
        result["threads"] = [ours(case, THREADS, steps + SKIP)["rate"] / ours(case, 1, steps + SKIP, leaves=THREADS)["rate"] for _ in range(min(PAIRS, 3))]
    if bf16_kernels():
        result["bf16"] = [ours(case, best, steps + SKIP, precision="bf16")["rate"] / ours(case, best, steps + SKIP)["rate"] for _ in range(min(PAIRS, 3))]
    if case == ("base", 128, 16) and not QUICK:
        result["rate_512"] = max(ours(("base", 512, 4), ranks, steps + SKIP)["rate"] for ranks in (1, THREADS))
    if PEER: result["memory"] = [ours(case, 1, SKIP + 2, memory=True), peer(case, "tuned", 1, 2, memory=True)]
    return result


def verdict(value, floor, more=True):
    return "" if floor is None else " ok" if (value >= floor if more else value <= floor) else f" (floor {floor})"


def table(results):
    rows = ["| model, S, batch | layout | tokens/s | share of peak | to tuned | to hf | to compiled | memory to tuned |", "|---|---|---|---|---|---|---|---|"]
    for r in results:
        model, S, batch = r["case"]
        floor = FLOORS.get((model, S, batch), (None,) * 4)
        ratio = {mode: [a / b for a, b in pairs] for mode, pairs in r["pairs"].items()}
        cell = lambda mode, f: spread(ratio[mode]) + verdict(statistics.median(ratio[mode]), f) if mode in ratio else "-"
        memory = r["memory"][0] / r["memory"][1] if r.get("memory") else None
        rows.append(f"| {model}, {S}, {batch} | {r['best']} x {THREADS // r['best']} | {spread(r['rates'], 0)} | {spread(r['share'])}"
                    f"{verdict(statistics.median(r['share']), floor[0])} | {cell('tuned', floor[1])} | {cell('hf', floor[2])} | {cell('compiled', None)} | "
                    + (f"{memory:.2f}{verdict(memory, floor[3], False)}" if memory else "-") + " |")
    return "\n".join(rows)


def ledgers(results):
    parts = [p for p in bench_svg.PARTS]
    rows = ["| share of the step, 1 rank | " + " | ".join(parts) + " | sum | ms |", "|---" * (len(parts) + 3) + "|"]
    for r in results:
        l = r["layouts"]["1"]["ledger"]
        named = sum(l[p] for p in parts if p != "other") / l["seconds"]
        rows.append(f"| {r['case'][0]}, {r['case'][1]} | " + " | ".join(f"{100 * l[p] / l['seconds']:.1f} %" for p in parts)
                    + f" | {100 * named:.1f} %{'' if named >= 0.98 else ' (below 98 %)'} | {1000 * l['seconds']:.0f} |")
    return "\n".join(rows)


def products(results):
    rows = ["| product | " + " | ".join(f"{r['case'][0]}, {r['case'][1]}" for r in results) + " |", "|---" * (len(results) + 1) + "|"]
    for i, p in enumerate(results[0]["machine"]["products"]):
        rows.append(f"| {p['product']}, {p['way']} | " + " | ".join(f"{100 * r['machine']['products'][i]['share']:.0f} %" for r in results) + " |")
    return "\n".join(rows)


def per_token(results):
    """Cost of a token at S = 512 to that at S = 128."""
    return "\n".join(f"{r['case'][0]}: a token at S = 512 costs {statistics.median(r['rates']) / r['rate_512']:.2f} times one at S = 128"
                     f"{verdict(statistics.median(r['rates']) / r['rate_512'], 1.25, False)}" for r in results if "rate_512" in r)


def report(results):
    m = results[0]["machine"]
    print(f"{m['threads']} threads, {m['kernels']}, products by {m['gemm']}: FMA peak {m['peak_flops'] / 1e9:.0f} GFLOP/s, memory "
          f"{m['bandwidth'] / 1e9:.1f} GB/s; the FMA loop beside the runs {spread([p / 1e9 for r in results for p in r['peaks']], 0)} GFLOP/s\n")
    print(table(results) + "\n")
    for r in results:
        if "threads" in r:
            print(f"{r['case'][0]}, {r['case'][1]}: 1 rank x {THREADS} threads takes {spread(r['threads'], 3)} times the time of {THREADS} ranks x 1 "
                  "thread, equal leaves")
        if "bf16" in r: print(f"{r['case'][0]}, {r['case'][1]}: with --precision bf16 {spread(r['bf16'])} times the tokens/s of fp32")
    print(per_token(results) + "\n")
    print(ledgers(results) + "\n\nShare of the peak, products alone:\n\n" + products(results) + "\n")
    head = open(f"{ROOT}/trainer/work.h").read()
    print("Useful FLOPs of a step (trainer/work.h), three times forward:\n" + "\n".join(l[3:] for l in head.splitlines() if l.startswith(" *     ")))
    open(f"{OUT}/bench-step.svg", "w").write(bench_svg.draw(results))
    say(f"written: {OUT}/bench-step.svg")


def main():
    if REPORT:
        return report([{**r, "case": tuple(r["case"])} for path in REPORT.split(",") for r in json.load(open(path))])
    results = []
    for case in CASES:
        results.append(measure(case))
        json.dump(results, open(f"{OUT}/bench-step.json", "w"), indent=1)      # a run of all takes most of an hour: what it has is kept
        say(f"written: {OUT}/bench-step.json")
    report(results)


main()
