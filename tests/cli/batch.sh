#!/usr/bin/env bash
# cluster/pretrain.sbatch judges each end of a run rightly: exit code, queued again or not, and the command that it starts.
# Slurm, mpirun and the program are stand-ins here; the real ones: tests/cluster/slurm.sh.
set -u
cd "${ROOT:-$(dirname "$0")/../..}" || exit 1
TMPDIR=${TMPDIR:-$(mktemp -d)}
bin=$TMPDIR/bin; mkdir "$bin" || exit 1
cat >"$bin/mpirun" <<'END'
#!/bin/sh
# Writes what the case asks for, then returns its code. A trial of the binding runs "true".
case "$*" in
    *bind-to\ core*\ true) [ -z "$NO_BINDING" ]; exit ;;
    *\ true) exit 0 ;;
esac
mkdir -p "$RUN"
if [ -n "$MAKE_STATUS" ]; then echo "$MAKE_STATUS" >"$RUN/status.new"; mv "$RUN/status.new" "$RUN/status.json"; fi
if [ -n "$MAKE_LATEST" ]; then echo "$MAKE_LATEST" >"$RUN/latest"; fi
exit "$MPIRUN_CODE"
END
printf '#!/bin/sh\ncase $1 in show) echo "   Requeue=$REQUEUE Restarts=0" ;; requeue) echo "requeued $2" ;; esac\n' >"$bin/scontrol"
printf '#!/bin/sh\n' >"$bin/sleep"
printf '#!/bin/sh\n' >"$bin/bert-pretrain"
chmod +x "$bin"/*
export PATH=$bin:$PATH RUN=$TMPDIR/run REQUEUE DATA=shards
export SLURM_JOB_ID=7 SLURM_JOB_NAME=test SLURM_TASKS_PER_NODE='2(x2)' SLURM_NTASKS=4 SLURM_CPUS_PER_TASK=3 SLURM_CPUS_ON_NODE=6
export SLURM_JOB_NODELIST="n[1-2]" SLURM_SUBMIT_DIR=$TMPDIR SLURM_RESTART_COUNT MAKE_STATUS MAKE_LATEST MPIRUN_CODE NO_BINDING=''
failed=0
check() {   # name, exit code wanted, text wanted; the case is in the environment
    local output code
    output=$(bash cluster/pretrain.sbatch --steps 5 2>&1); code=$?
    if [ $code != "$2" ] || ! grep -q -- "$3" <<<"$output"; then echo "$1: wanted exit $2 and \"$3\", got exit $code and:"; echo "$output"; failed=1; fi
    rm -rf "$RUN"
}
old() { mkdir -p "$RUN"; echo "{\"state\": \"$1\", \"code\": $2}" >"$RUN/status.json"; echo checkpoint-0000010 >"$RUN/latest"; }
status() { MAKE_STATUS="{\"state\": \"$1\", \"code\": $2, \"step\": 20, \"checkpoint\": \"checkpoint-0000020\"}"; MAKE_LATEST=${3:-}; MPIRUN_CODE=$4; }
REQUEUE=1 SLURM_RESTART_COUNT=0

status "done" 0 checkpoint-0000020 0;     check "done" 0 'slot:PE=3 --bind-to core.*bert-pretrain --data shards --output .* --threads 3 --steps 5'
status stopped 75 checkpoint-0000020 75; check "stopped" 75 'requeued 7'
status stopped 75 checkpoint-0000020 1; check "stopped, but mpirun returned 1" 75 'requeued 7'
old stopped 75; status stopped 75 checkpoint-0000010 75; check "stopped without progress" 75 'not queued again'
status failed 3 '' 3;                   check "diverged" 3 'another try would end alike'
status failed 1 '' 1;                   check "machine failed" 1 'requeued 7'
status running 0 '' 137;                check "rank killed" 137 'requeued 7'
old stopped 75; MAKE_STATUS='' MAKE_LATEST='' MPIRUN_CODE=205; check "node lost; the old verdict does not count" 205 'requeued 7'
old "done" 0; MAKE_STATUS='' MPIRUN_CODE=0; check "finished before" 0 'done'
MPIRUN_CODE=2;                          check "bad option" 2 'another try would end alike'
MPIRUN_CODE=127;                        check "no mpirun" 127 'cannot be started'
SLURM_RESTART_COUNT=10 MPIRUN_CODE=137; check "too many failures" 137 'used up'
SLURM_RESTART_COUNT=0 REQUEUE=0
status stopped 75 checkpoint-0000020 75; check "stopped, --no-requeue" 75 'submit again'
unset SLURM_CPUS_PER_TASK
check "threads from the node's processors" 75 'slot:PE=[1-3] '
NO_BINDING=yes check "cores cannot be bound" 75 'mpirun --bind-to none .*--threads [1-3] '
bash cluster/pretrain.sbatch --output x >"$TMPDIR/out" 2>&1; code=$?
[ $code = 2 ] && grep -q 'RUN=FOLDER' "$TMPDIR/out" || { echo "--output: wanted exit 2, got $code: $(cat "$TMPDIR/out")"; failed=1; }
exit $failed
