#!/usr/bin/env python3
"""make simulate: the exchange of training under SimGrid on 16 to 1,024 ranks, a closed model for more, and how far both are from real runs.

Everything printed here is SIMULATED unless it says "real". Writes BUILD/simulate.txt and BUILD/simulate.svg. SHORT=yes leaves out what takes
longest (1,024 ranks; 256 ranks but once)."""
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import chart
import exchange_model

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get("BUILD", "build"))
PROGRAM = os.path.join(BUILD, "obj/simulate/exchange")
SHORT = os.environ.get("SHORT", "") not in ("", "no", "0")

# Memory of a node: 300 GB/s, a server of two sockets with eight DDR4-3200 channels each, less than its data sheet's 410; shared by its ranks.
NODE_MEMORY = 300e9
# SimGrid's factors of a large message: 94 % of the bandwidth, 11.6 times the latency of the links it crosses.
BANDWIDTH_FACTOR, LATENCY_FACTOR = 0.940694, 11.6436
PLATFORMS = {  # file: bandwidth of a node's link, latency of a way between nodes
    "fat_tree_100g": (12.5e9, 4e-6),
    "cluster_10g": (1.25e9, 20e-6),
    "hosts_1g": (125e6, 40e-6),
}
VOCABULARY = 30522
# Of a rank and step: 32 sequences of 128, more than most ranks compute in a second. Rows of the word matrix that they touch are drawn by Zipf's law.
TOKENS = 4096
# Of a backward. Counted in a real one (base, one thread, 8 sequences, 933 tokens): 2,550, and 1,150 in its forward.
POLLS = 1000
REAL_ROUNDS = 3
passed = failed = skipped = 0
out = []


def say(text=""):
    print(text, flush=True)
    out.append(text)


def check(good, what):
    global passed, failed
    passed, failed = passed + bool(good), failed + (not good)
    if not good:
        say("FAILED: " + what)


def model_buckets(layers, width):
    """Elements of each bucket in the order in which backward finishes them: decoder, heads, layers, embeddings, lookup."""
    vocabulary = VOCABULARY
    head = width * width + 3 * width + vocabulary + width * width + width + 2 * width + 2 + 2 * width
    layer = 12 * width * width + 13 * width
    return [vocabulary * width, head] + [layer] * layers + [(512 + 2 + 2) * width, vocabulary * width]


BASE, LARGE = model_buckets(12, 768), model_buckets(24, 1024)


def simulate(ranks, per_node, platform, buckets, compute, leaves=1, memory=None, update_bytes=32, path="auto", tokens=TOKENS):
    memory = memory or NODE_MEMORY / per_node
    with tempfile.NamedTemporaryFile("w", suffix=".hosts") as hosts:
        hosts.write("".join(f"node{i // per_node}\n" for i in range(ranks)))
        hosts.flush()
        command = ["smpirun", "-np", str(ranks), "-platform", f"{ROOT}/cluster/platforms/{platform}.xml", "-hostfile", hosts.name,
                   "--cfg=smpi/simulate-computation:no", "--cfg=smpi/host-speed:1Gf", "--cfg=smpi/test:0", "--cfg=smpi/wtime:0",
                   "--cfg=smpi/coll-selector:ompi", "--log=root.thres:error", PROGRAM, "--buckets", ",".join(map(str, buckets)),
                   "--compute", repr(compute), "--leaves", str(leaves), "--memory", repr(memory / 1e9), "--update-bytes", repr(update_bytes),
                   "--path", path, "--polls", str(POLLS), "--tokens", str(tokens), "--width", str(max(1, buckets[-1] // VOCABULARY))]
        run = subprocess.run(command, capture_output=True, text=True)
    lines = [line for line in run.stdout.splitlines() if line.startswith("{")]
    if run.returncode or len(lines) != 1:
        sys.exit(f"simulate.py: {' '.join(command)}: exit {run.returncode}:\n{run.stdout}{run.stderr}")
    return json.loads(lines[0])


def modelled(ranks, per_node, platform, buckets, compute, leaves=1, memory=None, update_bytes=32, tokens=TOKENS):
    bandwidth, latency = PLATFORMS[platform]
    return exchange_model.step(ranks, per_node, buckets, compute, leaves, memory or NODE_MEMORY / per_node, bandwidth * BANDWIDTH_FACTOR,
                               latency * LATENCY_FACTOR, update_bytes=update_bytes, tokens=tokens, rows=VOCABULARY)


def scaling(name, sizes, more, per_node, platform, buckets, compute_of, leaves_of):
    """A table; returns {ranks: efficiency} of the simulation and of the model."""
    say(f"\n{name}")
    say("    ranks  compute s   step s  efficiency   after backward: sums    norms   update   wait for weights      model's step   error")
    simulated, model = {}, {}
    for ranks in sorted(set(sizes) | set(more)):
        compute, leaves = compute_of(ranks), leaves_of(ranks)
        closed = modelled(ranks, per_node, platform, buckets, compute, leaves)
        model[ranks] = compute / closed
        if ranks not in sizes:
            say(f"{ranks:>9,}  {compute:9.4f}        -           -                       -        -        -                  -         {closed:9.4f}       -")
            continue
        r = simulate(ranks, per_node, platform, buckets, compute, leaves)
        simulated[ranks] = compute / r["step"]
        say(f"{ranks:>9,}  {compute:9.4f}  {r['step']:7.4f}     {100 * simulated[ranks]:6.2f} %                 {r['sum']:7.4f}  {r['norm']:7.4f}"
            f"  {r['update']:7.4f}            {r['gather']:7.4f}         {closed:9.4f}  {100 * (closed / r['step'] - 1):+5.1f} %")
        whole = sum(buckets[:-1]) + sum(buckets[1:])   # elements that are summed, and gathered; touched rows apart
        least = (ranks - 1) / ranks * 4 * whole
        check(r["bytes_per_rank"] <= 1.02 * least, f"{ranks} ranks move {r['bytes_per_rank']:.4g} bytes each, the least is {least:.4g}")
        check(abs(closed / r["step"] - 1) < 0.10, f"the closed model is {100 * (closed / r['step'] - 1):+.1f} % off the simulation on {ranks} ranks")
    return simulated, model


def real_run(ranks, hosts, megabytes):
    """Seconds of one exchange; None where namespaces or the rate limit are not allowed. One TCP connection does not fill a limited link: two."""
    places = ",".join(f"h{i + 1}:{ranks // hosts}" for i in range(hosts))
    run = subprocess.run([f"{ROOT}/cluster/one_machine_hosts.sh", "mpirun", "--bind-to", "none", "--mca", "btl_tcp_links", "2", "--host", places,
                          "-np", str(ranks), f"{BUILD}/comm-bench", "--megabytes", str(megabytes), "--compute", "0", "--repeat", "3", "--json"],
                         env=dict(os.environ, HOSTS=str(hosts), RATE="1gbit", OMP_NUM_THREADS="1"), capture_output=True, text=True)
    if run.returncode == 77:
        say("skipped: " + run.stderr.strip().splitlines()[-1])
        return None
    if run.returncode:
        sys.exit(f"simulate.py: comm-bench over hosts: exit {run.returncode}:\n{run.stdout}{run.stderr}")
    return json.loads(run.stdout)["ways"]["exchange"]["seconds"]


def real_hosts():
    """The exchange alone over network namespaces limited to 1 Gb/s, beside its simulation and model: figures, no verdict, since other work on
    this machine slows the real runs alone. They alternate; medians are compared."""
    global skipped
    say("\nAgainst real runs: the exchange alone, 40 MB in 14 buckets, hosts of this machine, every link limited to 1 Gb/s (cluster/one_machine_hosts.sh).")
    say(f"Nothing was fitted to these runs. Real: median (least, most) of {REAL_ROUNDS} runs in turn; processors' load before: {os.getloadavg()[0]:.1f}.")
    cases, real = ((2, 2), (4, 4), (4, 2)), {}
    elements = [-(-10000000 // 14 // 1024) * 1024] * 14
    for _ in range(REAL_ROUNDS):
        for case in cases:
            seconds = real_run(*case, sum(elements) * 4 / 1e6)
            if seconds is None:
                skipped += 1
                return
            real.setdefault(case, []).append(seconds)
    say("    ranks  hosts   real s                        simulated s   error    model s   error")
    for ranks, hosts in cases:
        per_node, runs = ranks // hosts, real[ranks, hosts]
        # In comm-bench every bucket has weights; in training's step the first has none: an empty one goes before.
        r = simulate(ranks, per_node, "hosts_1g", [0] + elements, 0.0, memory=10e9 / per_node, update_bytes=8, tokens=0)
        closed = modelled(ranks, per_node, "hosts_1g", [0] + elements, 0.0, memory=10e9 / per_node, update_bytes=8, tokens=0)
        simulated, middle = r["step"] - r["norm"], statistics.median(runs)
        say(f"{ranks:>9}  {hosts:>5}  {middle:7.4f} ({min(runs):7.4f}, {max(runs):7.4f})       {simulated:7.4f}  {100 * (simulated / middle - 1):+5.1f} %"
            f"    {closed:7.4f}  {100 * (closed / middle - 1):+5.1f} %")


def main():
    began = time.time()
    say("SIMULATED with SimGrid " + subprocess.run(["smpirun", "-version"], capture_output=True, text=True).stdout.split("\n")[0].replace("SimGrid version ", ""))
    say("The exchange is comm/'s own code; compute is time that passes; additions and copies are bytes / memory bandwidth; rounds of messages begin")
    say(f"only at {POLLS:,} modelled poll points of a backward (half of them in a forward; real ones: 2,550 and 1,150) and while a rank waits. Of the lookup part")
    say(f"of the word matrix those rows travel that {TOKENS:,} tokens of a rank touch, drawn by Zipf's law, more than real text has.")
    say("efficiency = compute / step: what the update of the weights takes counts as lost, too.")
    one, two, three = [16, 64], [16, 64, 256], [16, 64, 256, 1024]
    long = [4096, 16384]
    weak = dict(compute_of=lambda n: 1.0, leaves_of=lambda n: 1)
    curves = {}
    runs = [
        ("weak scaling, base, 8 ranks a node, 100 Gb/s", two if SHORT else three, 8, "fat_tree_100g", BASE, weak),
        ("weak scaling, base, 1 rank a node, 100 Gb/s", one if SHORT else three, 1, "fat_tree_100g", BASE, weak),
        ("weak scaling, base, 1 rank a node, 10 Gb/s", one if SHORT else two, 1, "cluster_10g", BASE, weak),
        ("weak scaling, large, 8 ranks a node, 100 Gb/s, 3.3 s of compute", one if SHORT else two, 8, "fat_tree_100g", LARGE,
         dict(compute_of=lambda n: 3.3, leaves_of=lambda n: 1)),
        ("strong scaling, base, 8 ranks a node, 100 Gb/s, 1,024 micro-batches of 0.25 s", one if SHORT else two, 8, "fat_tree_100g", BASE,
         dict(compute_of=lambda n: 256 / n, leaves_of=lambda n: max(1, 1024 // n))),
    ]
    targets = {64: 0.95, 256: 0.92, 1024: 0.90}
    for name, sizes, per_node, platform, buckets, how in runs:
        simulated, model = scaling(name + ": SIMULATED", sizes, long + [n for n in three if n not in sizes], per_node, platform, buckets, **how)
        short = name.replace(" scaling", "").replace(" of compute", "").replace(", 1,024 micro-batches of 0.25 s", "")
        curves[short] = [(n, 100 * e) for n, e in simulated.items()]
        if per_node == 8 and buckets is BASE and "weak" in name:
            curves[short + ", model"] = [(n, 100 * e) for n, e in model.items()]
            for n in sorted(set(targets) & set(simulated)):
                check(simulated[n] >= targets[n], f"{n:,} ranks: {100 * simulated[n]:.2f} % of {100 * targets[n]:.0f} %")
                say(f"    target at {n:,} ranks: {100 * targets[n]:.0f} %: {'reached' if simulated[n] >= targets[n] else 'MISSED'} with {100 * simulated[n]:.2f} %")
    real_hosts()
    with open(f"{BUILD}/simulate.txt", "w") as f:
        f.write("\n".join(out) + "\n")
    low = math.floor(min(y for points in curves.values() for _, y in points) / 10) * 10
    chart.save(f"{BUILD}/simulate.svg", chart.lines("Simulated: compute / step of training", "ranks", "%", curves, log_x=True, low=low, high=100,
                                                    note="SIMULATED with SimGrid: make simulate; dashed: closed model"))
    print(f"{BUILD}/simulate.txt and .svg written after {time.time() - began:.0f} s")
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return failed > 0


sys.exit(main())
