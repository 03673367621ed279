"""exchange_model.py - a step of training in closed form: bandwidths, latencies, and what waits for what, bucket by bucket.

In the manner of LogGP (Alexandrov et al. 1995): a message of b bytes takes latency + b / bandwidth; a node's link is one resource, a rank's
memory another. No contention inside the network, no noise. It knows the algorithm of comm/exchange.c: on a node of 2^j ranks each reads its
part from the others, then k - j rounds of halving between nodes; the way back in reverse. For numbers of ranks that are powers of two."""
import math


def step(ranks, per_node, buckets, compute, leaves, memory, bandwidth, latency, windows=True, update_bytes=32, message=1 << 22):
    """Seconds of a step. buckets: elements, first ready first; memory: bytes/s of a rank; bandwidth: bytes/s of a node's link."""
    k, j = round(math.log2(ranks)), round(math.log2(per_node)) if windows and per_node > 1 else 0
    sharing = per_node if j else 1                     # ranks that send over one link at once
    per_byte = sharing / bandwidth

    def rounds(bytes_of_bucket):                       # between nodes: one way
        seconds = 0.0
        for s in range(j, k):
            half = bytes_of_bucket / 2 ** (s + 1)
            seconds += half * per_byte + latency * max(1, math.ceil(half / message))
        return seconds

    leaf, cpu, link = compute / leaves, 0.0, 0.0
    backward = leaf * 2 / 3
    cpu = compute - backward
    for elements in buckets:                           # ready evenly over the backward; reading neighbours takes compute's time
        size = 4 * elements
        cpu += backward / len(buckets)
        if j:
            cpu += (per_node + 1) * size / per_node / memory
        link = max(link, cpu) + rounds(size)
    last_add = 3 * 4 * buckets[-1] / ranks / memory if k > j else 0
    done = max(cpu, link) + last_add
    blocks = sum(buckets) / 1024 * 8
    done += (ranks - 1) * latency / 4 + blocks / bandwidth if ranks > 1 else 0
    link = copied = done
    for elements in reversed(buckets[1:]):
        size = 4 * elements
        done += elements / ranks * update_bytes / memory
        link = max(link, done) + rounds(size)
        if j:
            copied = max(copied, link) + 2 * size * (per_node - 1) / per_node / memory
    return max(link, copied, done)
