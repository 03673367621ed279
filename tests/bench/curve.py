#!/usr/bin/env python3
"""Prints the MLM loss of a run around given steps (mean of the last 20 logged steps), tokens/s and memory: curve.py RUN [STEP ...]"""
import json, statistics, sys
rows = {r["step"]: r for r in map(json.loads, open(sys.argv[1] + "/metrics.jsonl", encoding="utf-8")) if "mlm_loss" in r}
steps = [int(s) for s in sys.argv[2:]] or [s for s in range(100, max(rows) + 1, 100)]
for s in steps:
    last = [rows[k] for k in range(s - 19, s + 1) if k in rows]
    if last:
        print(f"step {s:6d}  mlm loss {statistics.mean(r['mlm_loss'] for r in last):.4f}  nsp loss {statistics.mean(r['nsp_loss'] for r in last):.4f}"
              f"  mlm accuracy {statistics.mean(r['mlm_accuracy'] for r in last):.4f}  nsp accuracy {statistics.mean(r['nsp_accuracy'] for r in last):.4f}  (mean of {len(last)})")
rate = [r["tokens_per_second"] for r in rows.values()]
print(f"tokens/s: median {statistics.median(rate):.0f}, quartiles {statistics.quantiles(rate, n=4)[0]:.0f} {statistics.quantiles(rate, n=4)[2]:.0f}; "
      f"peak memory of a rank {max(r['peak_memory_bytes'] for r in rows.values()) / 2**20:.0f} MiB")
