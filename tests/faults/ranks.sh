#!/usr/bin/env bash
# One SHA-256 of model.safetensors for each number of micro-batches M, whatever the ranks and threads, stopped and resumed or not; other
# numbers of ranks within rounding. 20 steps with dropout.
# limit: 400 s
set -u
. "$(dirname "$0")/lib_pretrain.sh"
make_data
cd "$TMPDIR" || exit 1
steps=20

train() {   # output M np threads options...
    local output=$1 M=$2 np=$3 threads=$4; shift 4
    "$MPIRUN" -np "$np" "$pretrain" --quiet --data data --model model.json --output "$output" --steps $steps --global-batch $((2 * M)) --micro-batch 2 \
        --learning-rate 1e-3 --warmup-steps 5 --log-every 1 --threads "$threads" --check-every 7 "$@" >/dev/null 2>err
}
hash_of() { sha256sum <"$1/checkpoint-$(printf %07d $steps)/model.safetensors" | cut -c1-64; }
loss_of() { tail -n 1 "$1/metrics.jsonl" | sed 's/.*"loss": *\([0-9.e+-]*\).*/\1/'; }

for M in 8 12 16; do
    case $M in 8) exact='1:1 1:2 2:1 2:2 4:1 4:2 8:1 8:2'; near='3 5' ;; 12) exact='1:1 1:2 3:1 3:2 6:1 6:2 12:1 12:2'; near='2 5' ;;
               16) exact='1:1 1:2 2:1 2:2 4:1 4:2 8:1 8:2 16:1 16:2'; near=6 ;; esac
    first=
    for way in $exact; do
        np=${way%:*} threads=${way#*:}
        train "m$M.$np.$threads" $M "$np" "$threads" || complain "M $M, np $np: $(cat err)"
        hash=$(hash_of "m$M.$np.$threads")
        [ -z "$first" ] && first=$hash
        [ "$hash" = "$first" ] || complain "M $M: np $np with $threads threads gives $hash, np 1 gave $first"
    done
    case $M in 8) from=2 to=4 ;; 12) from=3 to=1 ;; 16) from=4 to=2 ;; esac
    train "m$M.stopped" $M $from 1 --stop-after 10; code=$?
    [ $code -eq 75 ] || complain "M $M: stop after 10 steps gave $code: $(cat err)"
    train "m$M.stopped" $M $to 2 || complain "M $M, resumed: $(cat err)"
    hash=$(hash_of "m$M.stopped")
    [ "$hash" = "$first" ] || complain "M $M: stopped after 10 on np $from, resumed on np $to: $hash, unbroken $first"
    lines=$(wc -l <"m$M.stopped/metrics.jsonl")
    [ "$lines" -eq $steps ] || complain "M $M: $lines lines of metrics after the resume, wanted $steps"
    for np in $near; do
        train "m$M.$np.near" $M "$np" 1 || complain "M $M, np $np: $(cat err)"
        awk -v a="$(loss_of "m$M.$np.near")" -v b="$(loss_of "m$M.1.1")" 'BEGIN { d = a - b; exit !(d < 1e-4 && d > -1e-4) }' ||
            complain "M $M: np $np ends at loss $(loss_of "m$M.$np.near"), np 1 at $(loss_of "m$M.1.1")"
    done
    eval "hash$M=$first"
done

# Whoever moves the exchange: one more thread gives the same bits, by windows and (3 ranks) by messages.
for way in 8:2 12:3; do
    M=${way%:*} np=${way#*:}
    train "thread$M" $M $np 1 --comm-progress thread || complain "M $M, np $np, a thread: $(cat err)"
    eval "wanted=\$hash$M"
    [ "$(hash_of "thread$M")" = "$wanted" ] || complain "M $M, np $np, messages moved by a thread: $(hash_of "thread$M"), wanted $wanted"
done

# Rounded messages: other bits, nearly the same loss, and never mixed with the first kind.
train bf16 12 3 1 --wire bf16 || complain "wire bf16: $(cat err)"
[ "$(hash_of bf16)" != "$hash12" ] || complain "wire bf16 changed nothing"
awk -v a="$(loss_of bf16)" -v b="$(loss_of m12.1.1)" 'BEGIN { d = a - b; exit !(d < 2e-2 && d > -2e-2) }' ||
    complain "wire bf16 ends at loss $(loss_of bf16), fp32 at $(loss_of m12.1.1)"
train bf16.more 12 3 1 --wire bf16 --stop-after 5
train bf16.more 12 3 1; code=$?
[ $code -eq 2 ] && grep -q 'wire was bf16 and is now fp32' err || complain "resumed with another wire: exit $code: $(cat err)"
grep -q '"rank_wait_seconds": *\[[0-9.e-]*, *[0-9.e-]*, *[0-9.e-]*\]' m12.3.1/metrics.jsonl || complain "no waiting time of 3 ranks: $(tail -n 1 m12.3.1/metrics.jsonl)"

# Ranks of different abilities take the lowest kernel set among them: the bits of that set alone.
BERT_ISA=base train base 8 1 1 || complain "BERT_ISA=base: $(cat err)"
common="--quiet --data data --model model.json --output mixed --steps $steps --global-batch 16 --micro-batch 2 --learning-rate 1e-3 --warmup-steps 5"
"$MPIRUN" -np 1 -x BERT_ISA=base "$pretrain" $common : -np 1 "$pretrain" $common >/dev/null 2>err || complain "mixed kernel sets: $(cat err)"
[ "$(hash_of mixed)" = "$(hash_of base)" ] || complain "mixed kernel sets: $(hash_of mixed), base alone $(hash_of base)"
[ "$hash8" != "$hash12" ] || complain "M 8 and M 12 gave the same weights: the test compares nothing"
exit $failed
