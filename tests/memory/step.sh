#!/usr/bin/env bash
# A step allocates nothing of ours: 30 steps ask for as much memory as 10. And --dry-run's size of a rank is what it grows by, within 5 %.
# --recompute changes neither, nor any weight; it takes less, by what --dry-run says.
set -u
. "$ROOT/tests/faults/lib_pretrain.sh"
make_data
gcc -shared -fPIC -O1 -o "$TMPDIR/count.so" "$ROOT/tests/tools/preload/count_malloc.c" || exit 1

counted() {   # name, options...: "ALLOCATIONS PEAK_KIB" of a run
    local name=$1; shift
    COUNT_FILE="$TMPDIR/counted" COUNT_PROGRAM=bert-pretrain LD_PRELOAD="$TMPDIR/count.so" "$pretrain" --data "$TMPDIR/data" --output "$TMPDIR/$name" --checkpoint-every 0 --log-every 1000 \
        --quiet --threads 2 "$@" >"$TMPDIR/$name.out" 2>"$TMPDIR/$name.err" || { cat "$TMPDIR/$name.err" >&2; echo 0 0; return; }
    cat "$TMPDIR/counted"
    rm -f "$TMPDIR/counted"
}
allocations() { echo "${1%% *}"; }

said() { sed -n 's/^memory of a rank: \([0-9.]*\) MiB$/\1/p' "$TMPDIR/$1.out"; }
within() { awk -v a="$1" -v b="$2" -v share="$3" 'BEGIN { exit !(a > 0 && a > (1 - share) * b && a < (1 + share) * b) }'; }

# Past the last new block of examples, which the loader reads anew: global batch 8 of micro-batches 2 has blocks of many steps.
set -- --model "$TMPDIR/model.json" --global-batch 8 --micro-batch 2
for recompute in no yes; do
    ten=$(allocations "$(counted ten-$recompute "$@" --recompute $recompute --steps 10)")
    thirty=$(allocations "$(counted thirty-$recompute "$@" --recompute $recompute --steps 30)")
    echo "allocations of ours: $ten in 10 steps, $thirty in 30; --recompute $recompute"
    [ "$ten" -gt 100 ] || complain "only $ten allocations were seen: the counter does not count"
    [ "$ten" -eq "$thirty" ] || complain "20 more steps allocate $((thirty - ten)) times more; --recompute $recompute"
done
cmp "$TMPDIR"/thirty-*/checkpoint-0000030/model.safetensors || complain "other weights with --recompute"

# A model whose memory is far larger than what libraries take. Growth is counted from a process that stops just before it would build.
sed -i 's/"hidden_size": 32/"hidden_size": 256/; s/"intermediate_size": 64/"intermediate_size": 1024, "vocab_size": 30522/; s/"num_hidden_layers": 2/"num_hidden_layers": 8/' "$TMPDIR/model.json"
grows() {   # name, options...: sets $grown to MiB
    local name=$1 before after; shift
    before=$(counted "dry-$name" "$@" --steps 2 --dry-run) after=$(counted "grown-$name" "$@" --steps 2)
    grown=$(( (${after##* } - ${before##* }) / 1024 ))
    echo "$name: --dry-run says $(said "dry-$name") MiB, the process grew by $grown MiB"
    within "$(said "dry-$name")" $grown 0.05 || complain "$name: more than 5 % apart"
}
set -- --model "$TMPDIR/model.json" --global-batch 128 --micro-batch 64
grows lamb "$@" --optimizer lamb
grows adamw "$@"; kept=$grown
grows recompute "$@" --recompute
saved=$(awk -v a="$(said dry-adamw)" -v b="$(said dry-recompute)" 'BEGIN { print int(a - b) }')
echo "--recompute takes $((kept - grown)) MiB less; --dry-run says $saved"
[ "$saved" -gt 100 ] && within $saved $((kept - grown)) 0.15 || complain "--recompute takes $((kept - grown)) MiB less, --dry-run says $saved"
cmp "$TMPDIR"/grown-{adamw,recompute}/checkpoint-0000002/model.safetensors || complain "other weights with --recompute"
exit $failed
