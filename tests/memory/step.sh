#!/usr/bin/env bash
# A step allocates nothing of ours: 30 steps ask for as much memory as 10. And --dry-run's size of a rank is what it grows by, within 5 %.
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

# Past the last new block of examples, which the loader reads anew: global batch 8 of micro-batches 2 has blocks of many steps.
set -- --model "$TMPDIR/model.json" --global-batch 8 --micro-batch 2
ten=$(allocations "$(counted ten "$@" --steps 10)") thirty=$(allocations "$(counted thirty "$@" --steps 30)")
echo "allocations of ours: $ten in 10 steps, $thirty in 30"
[ "$ten" -gt 100 ] || complain "only $ten allocations were seen: the counter does not count"
[ "$ten" -eq "$thirty" ] || complain "20 more steps allocate $((thirty - ten)) times more"

# A model whose memory is far larger than what libraries take. Growth is counted from a process that stops just before it would build.
sed -i 's/"hidden_size": 32/"hidden_size": 256/; s/"intermediate_size": 64/"intermediate_size": 1024, "vocab_size": 30522/' "$TMPDIR/model.json"
for kind in adamw lamb; do
    set -- --model "$TMPDIR/model.json" --global-batch 64 --micro-batch 32 --optimizer $kind
    before=$(counted dry-$kind "$@" --steps 2 --dry-run) after=$(counted grown-$kind "$@" --steps 2)
    said=$(sed -n 's/^memory of a rank: \([0-9.]*\) MiB$/\1/p' "$TMPDIR/dry-$kind.out")
    grown=$(( (${after##* } - ${before##* }) / 1024 ))
    echo "$kind: --dry-run says $said MiB, the process grew by $grown MiB"
    awk -v said="$said" -v grown="$grown" 'BEGIN { exit !(said > 0.95 * grown && said < 1.05 * grown) }' || complain "$kind: more than 5 % apart"
done
exit $failed
