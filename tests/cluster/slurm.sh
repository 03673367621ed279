#!/usr/bin/env bash
# limit: 420 s
# cluster/pretrain.sbatch under a real Slurm of two nodes on this machine: stopped by the time limit, submitted again, a rank killed,
# stopped by hand, queued again each time; the weights equal those of one plain run.
set -u
ROOT=${ROOT:-$(cd "$(dirname "$0")/../.." && pwd)}
BUILD=${BUILD:-$ROOT/build}
MPIRUN=${MPIRUN:-$ROOT/tests/mpirun.sh}
cd "$ROOT" || exit 1
if [ "${1:-}" != --inside ]; then
    export ROOT BUILD MPIRUN
    exec cluster/one_machine_slurm.sh "$0" --inside
fi

dir=$BERT_SLURM_DIR/work
run=$dir/run
mkdir -p "$dir" || exit 1
cd "$dir" || exit 1
began=$SECONDS
say() { printf '%3d s  %s\n' $((SECONDS - began)) "$*"; }
die() { tail -n 25 "$dir"/job-*.log 2>/dev/null; squeue; scontrol -o show job; tail -n 20 "$BERT_SLURM_DIR/slurmctld.log"; say "FAILED: $*"; exit 1; }
status() { sed -n 's/.*"'"$1"'": *"\{0,1\}\([A-Za-z0-9_-]*\).*/\1/p' "$run/status.json" 2>/dev/null | head -n 1; }
until_true() {   # seconds, what, command...
    local seconds=$1 what=$2 i; shift 2
    for ((i = 0; i < seconds * 5; i++)); do "$@" && return 0; sleep 0.2; done
    die "not in $seconds s: $what"
}
job() { scontrol -o show job "$1" | tr ' ' '\n' | sed -n "s/^$2=//p" | head -n 1; }
is() { [ "$(job "$1" "$2")" = "$3" ]; }
# Slurm revokes a requeued job's credential to the second, which is why it waits two minutes by itself: not at once, then.
start_now() { sleep 4; until_true 90 "job $1 may start" scontrol update job="$1" StartTime=now; }
newer() { [ "$(cat "$run/latest" 2>/dev/null)" != "$1" ]; }

# Text: 24 documents of 30 sentences over a few hundred made-up words.
awk 'BEGIN { srand(7); n = split("ba de ki lo mu na pe ri so tu va ze", part, " ")
    for (i = 1; i <= 300; i++) { w[i] = ""; for (j = 0; j < 1 + i % 3; j++) w[i] = w[i] part[1 + int(rand() * n)] }
    for (d = 0; d < 24; d++) { for (s = 0; s < 30; s++) { line = ""
        for (k = 0; k < 5 + int(rand() * 8); k++) line = line w[1 + int(300 * rand() * rand())] " "
        print line "." } print "" } }' >text
"$BUILD/bert-vocab" --size 400 --output vocab.txt text >out.log 2>&1 || { cat out.log; die "bert-vocab"; }
"$BUILD/bert-shard" --vocab vocab.txt --seq-length 64 --output shards text >out.log 2>&1 || { cat out.log; die "bert-shard"; }

# The schedule is constant, so that a later end does not change the rates of the steps before it.
train=(--model "$ROOT/configs/models/tiny.json" --global-batch 8 --micro-batch 2 --schedule constant --warmup-steps 10 --checkpoint-every 50 --keep 2)
submit() {   # sbatch's options -- bert-pretrain's
    local options=()
    while [ "$1" != -- ]; do options+=("$1"); shift; done; shift
    DATA=$dir/shards RUN=$run PROGRAM=$BUILD/bert-pretrain OMPI_MCA_mpi_yield_when_idle=1 sbatch --parsable --ntasks-per-node=2 \
        --output="$dir/job-%j.log" "${options[@]}" "$ROOT/cluster/pretrain.sbatch" "${train[@]}" "$@"
}

# 1. The time limit: one minute, asked to save 50 s before its end. Slurm looks twice a minute.
first=$(submit --no-requeue --time=1 --signal=B:USR1@50 -- --steps 1000000) || die "sbatch"
until_true 90 "job $first runs" is "$first" JobState RUNNING
until_true 90 "job $first ends after its signal" is "$first" JobState FAILED
is "$first" ExitCode 75:0 || die "exit code $(job "$first" ExitCode) instead of 75:0"
[ "$(status state)" = stopped ] || die "state '$(status state)' instead of stopped"
stopped=$(status step)
seconds=$(($(date -d "$(job "$first" EndTime)" +%s) - $(date -d "$(job "$first" StartTime)" +%s)))
say "job $first: stopped by the time limit's signal at step $stopped after $seconds s, exit code 75"

# 2. Submitted again: goes on. A rank is killed: queued again. Asked to stop: queued again. Then it finishes.
steps=$((stopped + 6 * stopped / (seconds > 0 ? seconds : 1) + 100))
second=$(submit -- --steps "$steps") || die "sbatch"
until_true 90 "job $second saves a checkpoint" newer "$(printf 'checkpoint-%07d' "$stopped")"
kill -9 "$(pgrep -n -f "^([^ ]*bash )?$BUILD/bert-pretrain ")" || die "no rank to kill"
until_true 90 "job $second is queued again" is "$second" Restarts 1
grep -q 'a machine failed' "$dir/job-$second.log" || die "the log does not say that a machine failed"
say "job $second: a rank was killed, queued again"
seen=$(cat "$run/latest")
start_now "$second"
until_true 90 "job $second saves a checkpoint" newer "$seen"
scancel --batch --signal=USR1 "$second" || die "scancel"
until_true 90 "job $second is queued again" is "$second" Restarts 2
[ "$(status state)" = stopped ] || die "state '$(status state)' instead of stopped"
say "job $second: asked to stop at step $(status step) of $steps, queued again"
start_now "$second"
until_true 90 "job $second completes" is "$second" JobState COMPLETED
[ "$(status state)" = "done" ] && [ "$(status step)" = "$steps" ] || die "state '$(status state)' at step $(status step) instead of done at $steps"
resumed=$(grep -c "step [0-9]* of $steps, from .*/checkpoint-" "$dir/job-$second.log")
[ "$resumed" = 3 ] || die "$resumed of 3 tries say that they went on from a checkpoint"
say "job $second: done at step $steps, third try"

# 3. The same in one go, on two ranks without Slurm.
unset OMPI_MCA_btl OMPI_MCA_btl_tcp_if_include OMPI_MCA_oob_tcp_if_include
"$MPIRUN" -np 2 "$BUILD/bert-pretrain" "${train[@]}" --data "$dir/shards" --output "$dir/plain" --threads 1 --steps "$steps" >out.log 2>&1 ||
    { tail -n 20 out.log; die "the plain run"; }
one=$(sha256sum <"$run/$(cat "$run/latest")/model.safetensors")
two=$(sha256sum <"$dir/plain/$(cat "$dir/plain/latest")/model.safetensors")
[ "$one" = "$two" ] || die "weights differ: ${one%% *} under Slurm, ${two%% *} in one go"
say "weights equal those of one plain run: ${one%% *}"
