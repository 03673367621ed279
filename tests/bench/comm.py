#!/usr/bin/env python3
"""make bench-comm: comm-bench on 2 and 4 ranks, and the exchange inside real training: what it leaves exposed, and weak scaling on two cores.

    tests/bench/comm.py [--data SHARDS] [--megabytes 440] [--rounds 7] [--pairs 7] [--only alone|under|exposed|weak]...

Writes BUILD/bench-comm.txt and .svg. Wants an idle machine of at least two cores; data is generated when none is given.
    alone     each way by itself          under     under a second of compute          (ratios: what issue and README promise)
    exposed   real steps of model base, with the exchange and with it muted, in turn; messages moved between tiles, then by a thread
    weak      2 ranks x 1 thread on 2b sequences a step against two 1-rank runs on b, pinned to cores 0 and 1; all wait ready, and those whose
              turn it is run while the others are stopped; only whole steps within a turn count"""
import argparse
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import chart

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get("BUILD", "build"))
passed = failed = 0
out = []


def say(text=""):
    print(text, flush=True)
    out.append(text)


def must(what, value, good):
    global passed, failed
    passed, failed = passed + bool(good), failed + (not good)
    say(f"    {what}: {value}: {'reached' if good else 'MISSED'}")


def environment(**more):
    return dict(os.environ, OMP_NUM_THREADS="1", OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", **more)


def mpirun(np, cores=None):
    """Bound to one core a rank where there are enough, else more ranks than cores that yield."""
    if cores is not None:
        return ["mpirun", "-np", str(np), "--cpu-set", ",".join(map(str, cores)), "--bind-to", "core", "--mca", "btl", "self,vader"]
    if np <= os.cpu_count():
        return ["mpirun", "-np", str(np), "--map-by", "core", "--bind-to", "core", "--mca", "btl", "self,vader"]
    return ["mpirun", "-np", str(np), "--oversubscribe", "--bind-to", "none", "--mca", "btl", "self,vader", "--mca", "mpi_yield_when_idle", "1"]


def run(command):
    done = subprocess.run(command, capture_output=True, text=True, env=environment())
    if done.returncode:
        sys.exit(f"comm.py: {' '.join(command)}: exit {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def comm_bench(a):
    results = {}
    for np in (2, 4):
        command = mpirun(np) + [f"{BUILD}/comm-bench", "--json", "--megabytes", str(a.megabytes), "--repeat", str(a.rounds),
                                "--compute", "1" if "under" in a.only and np <= os.cpu_count() else "0"]
        say("\n" + " ".join(command).replace(ROOT + "/", ""))
        r = results[np] = json.loads(run(command))
        say(f"{np} ranks, {r['array_bytes'] / 1e6:.0f} MB, by {r['path']}; medians (quartiles) of {r['rounds']} rounds"
            + (", more ranks than cores" if np > os.cpu_count() else ""))
        for name, way in r["ways"].items():
            line = (f"    {name:<15} {way['seconds']:7.4f} s ({way['seconds_quartile_1']:.4f} - {way['seconds_quartile_3']:.4f})"
                    f"  {r['least_bytes_per_rank'] / way['seconds'] / 1e9:6.2f} GB/s")
            if "exposed_seconds" in way:
                line += f"   exposed under {r['compute_seconds']:.2f} s of compute: {way['exposed_seconds']:7.4f} s"
            say(line)
        ours, other = r["ways"]["exchange"]["seconds"], {n: w["seconds"] for n, w in r["ways"].items()}
        bytes_ratio = r["exchange_bytes_per_rank"] / r["least_bytes_per_rank"]
        must("bytes / least, at most 1.02", f"{bytes_ratio:.4f}", bytes_ratio <= 1.02)
        for name, least in (("MPI_Allreduce", {2: 1.0, 4: 1.5}[np]), ("MPI_Iallreduce", {2: 2.5, 4: 2.0}[np])):
            must(f"faster than {name}, at least {least} x", f"{other[name] / ours:.2f} x", other[name] / ours >= least)
    ways = list(results[2]["ways"])
    chart.save(f"{BUILD}/bench-comm.svg", chart.bars(
        f"Sum of {results[2]['array_bytes'] / 1e6:.0f} MB over the ranks of one node", "GB/s (least bytes / seconds)", [f"{np} ranks" for np in results],
        {w: [r["least_bytes_per_rank"] / r["ways"][w]["seconds"] / 1e9 for r in results.values()] for w in ways}, note="make bench-comm"))


def make_data(folder):
    """Shards of made-up words with a vocabulary of BERT's size: 96 documents, about 1,500 rows of 128."""
    if os.path.exists(f"{folder}/shards/manifest.json"):
        return f"{folder}/shards"
    os.makedirs(folder, exist_ok=True)
    words = [f"w{i}" for i in range(30522 - 5)]
    with open(f"{folder}/vocab.txt", "w") as f:
        f.write("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + words) + "\n")
    draw = random.Random(7)
    with open(f"{folder}/text.txt", "w") as f:
        for _ in range(96):
            for _ in range(90):
                f.write(" ".join(words[int(len(words) * draw.random() ** 4)] for _ in range(draw.randint(8, 32))) + "\n")
            f.write("\n")
    run([f"{BUILD}/bert-shard", "--quiet", "--force", "--vocab", f"{folder}/vocab.txt", "--seq-length", "128", "--output", f"{folder}/shards",
         f"{folder}/text.txt"])
    return f"{folder}/shards"


def training(data, batch, micro):
    return ["--quiet", "--data", data, "--model", f"{ROOT}/configs/models/base.json", "--global-batch", str(batch), "--micro-batch", str(micro),
            "--threads", "1", "--schedule", "constant", "--learning-rate", "1e-5", "--check-every", "0", "--steps", "1000000"]


def exposed(a, data):
    """With both movers of messages; auto is poll here, where no core is spare."""
    scratch = f"{BUILD}/bench-comm"
    for progress in ("poll", "thread"):
        subprocess.run(["rm", "-rf", f"{scratch}/exposed"], check=True)
        command = mpirun(2) + [f"{BUILD}/tests/tools/exposed", str(a.pairs)] + training(data, 16, 8) + ["--output", f"{scratch}/exposed", "--comm-progress", progress]
        text = run(command)
        say(f"\nbase, 2 ranks x 1 thread, S 128, global batch 16, M = 2, --comm-progress {progress}")
        say(text.strip())
        share = float(text.split("exposed ", 1)[1].split(" %")[0])
        if progress == "poll":
            must("exposed exchange, at most 3 %", f"{share:.2f} %", share <= 3)


class Job:
    """One mpirun of bert-pretrain in a group of its own; it can be stopped, and its steps are read from metrics.jsonl."""

    def __init__(self, name, cores, data, batch):
        self.folder = f"{BUILD}/bench-comm/{name}"
        subprocess.run(["rm", "-rf", self.folder], check=True)
        command = mpirun(len(cores), cores) + [f"{BUILD}/bert-pretrain"] + training(data, batch, 8) + ["--output", self.folder, "--log-every", "1"]
        self.errors = open(f"{BUILD}/bench-comm/{name}.err", "w")
        self.process = subprocess.Popen(command, env=environment(), stdout=subprocess.DEVNULL, stderr=self.errors, start_new_session=True)

    def members(self):     # Open MPI gives each rank a group of its own
        text = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True).stdout
        parent = {int(p): int(q) for p, q in (line.split() for line in text.splitlines())}
        found, grown = {self.process.pid}, True
        while grown:
            new = {p for p, q in parent.items() if q in found} - found
            found, grown = found | new, bool(new)
        return sorted(found)

    def send(self, what):
        for pid in self.members():
            try:
                os.kill(pid, what)
            except ProcessLookupError:
                pass

    def steps(self):
        try:
            with open(f"{self.folder}/metrics.jsonl") as f:
                return [json.loads(line) for line in f if line.endswith("\n") and '"loss"' in line]
        except FileNotFoundError:
            return []

    def wait_steps(self, count, seconds=300):
        end = time.time() + seconds
        while len(self.steps()) < count:
            if self.process.poll() is not None or time.time() > end:
                sys.exit(f"comm.py: {self.folder}: ended or too slow; see {self.errors.name}")
            time.sleep(0.02)


def turn(jobs):
    """Tokens a second of jobs that run alone, summed: the first step was begun before the turn, the second is whole."""
    for j in jobs:
        j.send(signal.SIGCONT)
    before = [len(j.steps()) for j in jobs]
    for j, n in zip(jobs, before):
        j.wait_steps(n + 2)
    rates = [j.steps()[n + 1]["tokens_per_second"] for j, n in zip(jobs, before)]
    for j in jobs:
        j.send(signal.SIGSTOP)
    return sum(rates)


def weak(a, data):
    if os.cpu_count() < 2:
        say("\nweak scaling: skipped, one core only")
        return
    groups = {"2 ranks": [("weak2", (0, 1), 16)], "2 runs": [("weak1a", (0,), 8), ("weak1b", (1,), 8)]}
    jobs = {}
    try:
        for kind, members in groups.items():               # one group after the other: memory and cores for both at once would disturb
            jobs[kind] = [Job(name, cores, data, batch) for name, cores, batch in members]
            for j in jobs[kind]:
                j.wait_steps(1)
            for j in jobs[kind]:
                j.send(signal.SIGSTOP)
        rates = {kind: [] for kind in jobs}
        for i in range(a.pairs):
            for kind in (list(jobs) if i % 2 else list(jobs)[::-1]):
                rates[kind].append(turn(jobs[kind]))
    finally:
        for group in jobs.values():
            for j in group:
                j.send(signal.SIGKILL)
                j.process.wait()
    share = sorted(100 * two / one for two, one in zip(rates["2 ranks"], rates["2 runs"]))
    quartile = statistics.quantiles(share, n=4, method="inclusive") if len(share) > 1 else share * 3
    say(f"\nweak scaling, base, 2 ranks x 1 thread on 16 sequences a step against two runs on 8, {a.pairs} pairs: median {quartile[1]:.2f} %, "
        f"quartiles {quartile[0]:.2f} to {quartile[2]:.2f} %; {statistics.median(rates['2 ranks']):.1f} against {statistics.median(rates['2 runs']):.1f} tokens/s")
    must("weak scaling, at least 97 %", f"{quartile[1]:.2f} %", quartile[1] >= 97)


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--data")
    p.add_argument("--megabytes", type=float, default=440)
    p.add_argument("--rounds", type=int, default=7)
    p.add_argument("--pairs", type=int, default=7)
    p.add_argument("--only", action="append", choices=["alone", "under", "exposed", "weak"])
    a = p.parse_args()
    a.only = a.only or ["alone", "under", "exposed", "weak"]
    say(f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores")
    if "alone" in a.only or "under" in a.only:
        comm_bench(a)
    if "exposed" in a.only or "weak" in a.only:
        data = a.data or make_data(f"{BUILD}/bench-comm/data")
        os.makedirs(f"{BUILD}/bench-comm", exist_ok=True)
        if "exposed" in a.only:
            exposed(a, data)
        if "weak" in a.only:
            weak(a, data)
    with open(f"{BUILD}/bench-comm.txt", "a" if len(a.only) < 4 else "w") as f:
        f.write("\n".join(out) + "\n")
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return failed > 0


sys.exit(main())
