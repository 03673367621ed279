#!/usr/bin/env bash
# limit: 280 s
# Training over several hosts (network namespaces of this machine): the weights of one host, bit for bit, also over a slow link; a rank
# killed and a link cut end the job in seconds, with no rank left behind, and the remaining hosts go on from the last checkpoint.
set -u
ROOT=${ROOT:-$(cd "$(dirname "$0")/../.." && pwd)}
BUILD=${BUILD:-$ROOT/build}
beds=$ROOT/cluster/one_machine_hosts.sh
if [ "${1:-}" != --inside ]; then
    export ROOT BUILD
    export HOSTS=4
    "$beds" bash "$0" --inside; code=$?
    [ $code -eq 0 ] || exit $code
    RATE=200mbit exec "$beds" bash "$0" --inside --slow
fi
. "$ROOT/tests/faults/lib_pretrain.sh"
TMPDIR=$(mktemp -d "$TMPDIR/part.XXXXXX") || exit 1
make_data
cd "$TMPDIR" || exit 1
common=(--quiet --data data --model "$ROOT/configs/models/tiny.json" --micro-batch 2 --learning-rate 1e-3 --schedule constant --warmup-steps 5
        --threads 1 --log-every 1)
seconds_since() { awk -v n=$(($(date +%s%N) - $1)) 'BEGIN { printf "%.1f", n / 1e9 }'; }

train() {   # output, M, steps, mpirun's options -- bert-pretrain's: on the hosts
    local output=$1 M=$2 steps=$3 launch=(); shift 3
    while [ $# -gt 0 ] && [ "$1" != -- ]; do launch+=("$1"); shift; done; shift
    mpirun --bind-to none "${launch[@]}" "$pretrain" "${common[@]}" --output "$output" --global-batch $((2 * M)) --steps "$steps" "$@" </dev/null >"$output.out" 2>"$output.err"
}
hash_of() { sha256sum <"$1/$(cat "$1/latest" 2>/dev/null)/model.safetensors" | cut -c1-64; }
same() {   # run, run of one host
    local one two; one=$(hash_of "$1") two=$(hash_of "$2")
    if [ -s "$1/latest" ] && [ "$one" = "$two" ]; then echo "$1: $one, as on one host"
    else complain "$1: weights $one, on one host $two" "$(tail -n 20 "$1.err")"; fi
}
ranks_left() { pgrep -c -f "^$pretrain "; }

if [ "${2:-}" = --slow ]; then     # messages that wait for the link change nothing
    train slow-one 8 6 --host h1:1 -- || complain "one host: $(cat slow-one.err)"
    began=$(date +%s%N)
    train slow 8 6 --host h1:2,h2:2,h3:2,h4:2 -- || complain "slow links: $(cat slow.err)"
    echo "slow: 6 steps over links of $RATE in $(seconds_since "$began") s"
    same slow slow-one
    exit $failed
fi

# 1. The same weights: ranks host after host, dealt over the hosts in turn, one a host, unequal numbers, an odd number of hosts.
for M in 8 12; do train "one-$M" $M 6 --host h1:1 -- || complain "M $M, one host: $(cat one-$M.err)"; done
while read -r name M np places; do
    # shellcheck disable=SC2086   # words on purpose
    train "$name" "$M" 6 -np "$np" $places -- --check-every 2 || complain "$name: $(tail -n 20 "$name.err")"
    same "$name" "one-$M"
done <<'RUNS'
four-hosts-of-one 8 4 --host h1:1,h2:1,h3:1,h4:1
four-hosts-of-two 8 8 --host h1:2,h2:2,h3:2,h4:2
dealt-in-turn 8 8 --host h1:2,h2:2,h3:2,h4:2 --map-by node
unequal-hosts 8 4 --host h1:2,h2:1,h3:1
three-hosts-of-two 12 6 --host h1:2,h2:2,h3:2
RUNS

# 2. Faults: the job ends in seconds, says what was lost, leaves nobody behind; the other hosts go on.
fault() {   # name, seconds allowed, exit codes, words, command...
    local name=$1 limit=$2 codes=$3 words=$4 code began i; shift 4
    train "$name" 8 1000000 --host h1:2,h2:1,h3:1 -- --checkpoint-every 20 &
    local job=$!
    for ((i = 0; i < 300; i++)); do [ -s "$name/latest" ] && break; sleep 0.1; done
    began=$(date +%s%N)
    "$@" || complain "$name: $* failed"
    for ((i = 0; i < limit * 10; i++)); do kill -0 $job 2>/dev/null || break; sleep 0.1; done
    if kill -0 $job 2>/dev/null; then complain "$name: still running after $limit s" "$(tail -n 20 "$name.err")"; kill -9 $job; fi
    wait $job; code=$?
    echo "$name: exit $code after $(seconds_since "$began") s: $(grep -iE -m 1 "$words" "$name.err")"
    case " $codes " in *" $code "*) ;; *) complain "$name: exit code $code, wanted one of $codes" "$(tail -n 20 "$name.err")" ;; esac
    grep -qiE "$words" "$name.err" || complain "$name: nothing says /$words/" "$(tail -n 20 "$name.err")"
    for ((i = 0; i < 100; i++)); do [ "$(ranks_left)" -eq 0 ] && break; sleep 0.1; done
    [ "$(ranks_left)" -eq 0 ] || { complain "$name: $(ranks_left) ranks run on after 10 s"; pkill -9 -f "^$pretrain "; }
    local steps; steps=$(sed 's/checkpoint-0*//' "$name/latest")
    steps=$((steps + 10))
    train "$name" 8 $steps --host h1:1,h2:1 -- || complain "$name: did not go on: $(tail -n 20 "$name.err")"
    train "$name-one" 8 $steps --host h1:1 -- || complain "$name, one host: $(tail -n 20 "$name-one.err")"
    same "$name" "$name-one"
}
kill_one() { local pid; for pid in $(ip netns pids "$1"); do case $(tr '\0' ' ' <"/proc/$pid/cmdline") in "$pretrain "*) kill -9 "$pid"; return ;; esac; done; return 1; }

fault rank-killed 10 '137' 'h2.*signal 9|signal 9.*h2' kill_one h2
fault link-cut 20 '205' 'h3' "$beds" --cut h3
exit $failed
