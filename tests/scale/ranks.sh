#!/usr/bin/env bash
# One SHA-256 of model.safetensors on 1, 16 and 64 ranks: model tiny, M = 64 micro-batches, 20 steps with dropout, more ranks than cores.
# limit: 290 s
set -u
. "$(dirname "$0")/../faults/lib_pretrain.sh"
make_data
cd "$TMPDIR" || exit 1
steps=20 M=64 first=

for np in 1 16 64; do
    began=$(date +%s%N)
    "$MPIRUN" -np $np "$pretrain" --quiet --data data --model "$ROOT/configs/models/tiny.json" --output "np$np" --steps $steps \
        --global-batch $((2 * M)) --micro-batch 2 --learning-rate 1e-3 --warmup-steps 5 --log-every 1 --threads 1 --check-every 7 >out 2>err ||
        { complain "np $np: exit $?: $(tail -n 20 err)"; continue; }
    hash=$(sha256sum <"np$np/checkpoint-$(printf %07d $steps)/model.safetensors"); hash=${hash%% *}
    lines=$(wc -l <"np$np/metrics.jsonl")
    echo "np $np: $hash, $(awk -v n=$(($(date +%s%N) - began)) 'BEGIN { printf "%.1f", n / 1e9 }') s"
    [ "$lines" -eq $steps ] || complain "np $np: $lines lines of metrics, wanted $steps"
    [ -n "$first" ] || first=$hash
    [ "$hash" = "$first" ] || complain "np $np gives $hash, np 1 gave $first"
done

# The hash tells weights apart: another seed must give another one.
"$MPIRUN" -np 16 "$pretrain" --quiet --data data --model "$ROOT/configs/models/tiny.json" --output other --steps $steps --seed 4 \
    --global-batch $((2 * M)) --micro-batch 2 --learning-rate 1e-3 --warmup-steps 5 --threads 1 >out 2>err || complain "another seed: $(tail -n 20 err)"
other=$(sha256sum <"other/checkpoint-$(printf %07d $steps)/model.safetensors")
[ "${other%% *}" != "$first" ] || complain "another seed gave the same weights: the test compares nothing"
exit $failed
