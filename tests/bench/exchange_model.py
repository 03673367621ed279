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

    # From the end of the first forward to the gathers' start; then the next first forward: together one step in a row of many.
    leaf = compute / leaves
    backward, cpu, link = leaf * 2 / 3, compute - leaf, 0.0
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
    here = {}                                          # when a bucket's new weights are
    for b in range(len(buckets) - 1, 0, -1):
        done += buckets[b] / ranks * update_bytes / memory
        link = max(link, done) + rounds(4 * buckets[b])
        copy = 2 * 4 * buckets[b] * (per_node - 1) / per_node / memory if j else 0
        copied = max(copied, link) + copy
        here[b] = copied, copy
    clock, layers = done, max(1, len(buckets) - 3)     # the next forward: embeddings at once, layers in turn, heads last
    for b in range(len(buckets) - 1, 0, -1):
        arrived, copy = here[b]
        clock = max(clock + copy, arrived)             # the copy is the rank's own work
        if b <= layers:
            clock += leaf / 3 / layers
    return clock
