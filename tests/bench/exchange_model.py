"""exchange_model.py - a step of training in closed form: bandwidths, latencies, and what waits for what, bucket by bucket.

In the manner of LogGP (Alexandrov et al. 1995): a message of b bytes takes latency + b / bandwidth; a node's link is one resource, a rank's
memory another. No contention inside the network, no noise. It knows the algorithm of comm/exchange.c: on a node of 2^j ranks each reads its
part from the others, then k - j rounds of halving between nodes; the way back in reverse, one bucket after the other. Of the last bucket, the
lookup part of the word matrix, only touched rows are summed. For numbers of ranks that are powers of two."""
import functools
import math


@functools.lru_cache(maxsize=None)
def touched(draws, rows):
    """The share of rows that so many draws by Zipf's law touch, p ~ 1 / (row + 2.7); everything travels when it is more than half."""
    whole = math.log((rows + 2.7) / 2.7)
    expected = sum(1 - (1 - math.log((r + 3.7) / (r + 2.7)) / whole) ** draws for r in range(rows))
    return 1.0 if expected > rows / 2 else expected / rows


def step(ranks, per_node, buckets, compute, leaves, memory, bandwidth, latency, windows=True, update_bytes=32, message=1 << 22, tokens=0,
         rows=30522):
    """Seconds of a step. tokens: of a rank, whose rows of the last bucket travel; 0: all. buckets: elements, first ready first; memory: bytes/s of a rank; bandwidth: bytes/s of a node's link."""
    k, j = round(math.log2(ranks)), round(math.log2(per_node)) if windows and per_node > 1 else 0
    sharing = per_node if j else 1                     # ranks that send over one link at once
    per_byte = sharing / bandwidth

    def share(ranks_in_sum):                           # of the last bucket
        return touched(tokens * ranks_in_sum, rows) if tokens else 1.0

    def rounds(bytes_of_bucket, of=lambda ranks_in_sum: 1.0):    # between nodes: one way
        seconds = 0.0
        for s in range(j, k):
            half = bytes_of_bucket / 2 ** (s + 1) * of(2 ** s)
            seconds += half * per_byte + latency * max(1, math.ceil(half / message))
        return seconds

    # From the end of the first forward to the gathers' start; then the next first forward: together one step in a row of many.
    leaf = compute / leaves
    backward, cpu, link = leaf * 2 / 3, compute - leaf, 0.0
    for b, elements in enumerate(buckets):             # ready evenly over the backward; reading neighbours takes compute's time
        size, of = 4 * elements, share if b == len(buckets) - 1 else lambda ranks_in_sum: 1.0
        cpu += backward / len(buckets)
        if j:
            cpu += (per_node * of(1) + of(per_node)) * size / per_node / memory
        link = max(link, cpu) + rounds(size, of)
    last_add = 3 * 4 * buckets[-1] * share(ranks // 2) / ranks / memory if k > j else 0
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
