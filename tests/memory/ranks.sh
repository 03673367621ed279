#!/usr/bin/env bash
# Four ranks share the moments: each keeps a quarter, and takes at most 0.7 of what one rank alone takes; by --dry-run's sum and by what is resident.
# Three exchange by messages: --dry-run's sum holds the slots that these need.
set -u
. "$ROOT/tests/faults/lib_pretrain.sh"
make_data
cd "$TMPDIR" || exit 1
sed -i 's/"hidden_size": 32/"hidden_size": 256/; s/"intermediate_size": 64/"intermediate_size": 1024, "vocab_size": 30522/' model.json

train() {   # np M options...
    local np=$1 M=$2; shift 2
    "$MPIRUN" -np "$np" "$pretrain" --quiet --data data --model model.json --global-batch $((4 * M)) --micro-batch 4 --threads 1 --steps 2 --log-every 1 \
        --checkpoint-every 0 "$@" 2>err || complain "np $np: $(cat err)"
}
said() { sed -n "s/^$2: \([0-9.]*\) MiB\$/\1/p" "dry$1"; }
resident() { tail -n 1 "run$1/metrics.jsonl" | sed 's/.*"peak_memory_bytes": *\([0-9]*\).*/\1/' | awk '{ printf "%.1f", $1 / 1048576 }'; }
at_most() { awk -v a="$1" -v b="$2" -v share="$3" 'BEGIN { exit !(a > 0 && b > 0 && a <= share * b) }'; }

for np in 1 3 4; do
    M=$((np == 3 ? 3 : 4))
    train $np $M --dry-run --output none >dry$np
    train $np $M --output run$np >/dev/null
    echo "$np ranks: moments $(said $np 'of it, moments') MiB; a rank, by --dry-run $(said $np 'memory of a rank') MiB, resident $(resident $np) MiB"
done
at_most "$(said 4 'of it, moments')" "$(said 1 'of it, moments')" 0.26 || complain "moments of a rank: more than 0.26 of one rank's"
at_most "$(said 4 'memory of a rank')" "$(said 1 'memory of a rank')" 0.7 || complain "a rank by --dry-run: more than 0.7 of one rank's"
at_most "$(resident 4)" "$(resident 1)" 0.7 || complain "a rank, resident: more than 0.7 of one rank's"
# What the sum leaves out is the program and its libraries: as much with one rank as with three. It may hold more than is resident: slots of packed
# rows (16 MiB here) are hardly touched where a step looks up few, and ranks that share windows touch none.
awk -v a="$(said 1 'memory of a rank')" -v b="$(resident 1)" -v c="$(said 3 'memory of a rank')" -v d="$(resident 3)" \
    'BEGIN { more = (d - c) - (b - a); exit !(more > -24 && more < 8) }' || complain "three ranks take more than --dry-run says, or far less"
exit $failed
