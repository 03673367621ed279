#!/usr/bin/env bash
# Requests to stop, a second job on the same run, saves that fail, divergence: status.json, exit codes, and what stays on disk.
# limit: 240 s
set -u
. "$(dirname "$0")/lib_pretrain.sh"
make_data
cd "$TMPDIR" || exit 1
options="--data data --model model.json --global-batch 8 --micro-batch 2 --threads 1 --schedule constant"
running() { [ "$(status_of "$1")" = running ] && [ -s "$1/metrics.jsonl" ]; }
ranks_of() { pgrep -f "bert-pretrain .*--output $1 " ; }
ended() { wait "$job"; code=$?; }

# A second job on the run is refused and does not disturb the first; SIGUSR1 to mpirun then stops that one.
start_job 2 --output one $options --steps 1000000 --log-every 1
wait_for 30 running one
refuse 2 'in use by process' --output one $options --steps 1000000
kill -USR1 "$job"; ended
[ "$code" -eq 75 ] || complain "SIGUSR1: mpirun returned $code, wanted 75" "$(cat job.err)"
grep -q '"state": *"stopped"' one/status.json && grep -q '"code": *75' one/status.json || complain "SIGUSR1: $(cat one/status.json)"
step=$(sed 's/.*"step": *\([0-9]*\).*/\1/' one/status.json)
[ -d "$(printf 'one/checkpoint-%07d' "$step")" ] || complain "no checkpoint of step $step: $(ls one)"
[ "$(tail -n 1 one/metrics.jsonl | sed 's/.*"step": *\([0-9]*\).*/\1/')" = "$step" ] || complain "metrics do not end at step $step"

# SIGTERM to one rank.
for signal in TERM INT; do
    start_job 2 --output "two$signal" $options --steps 1000000 --log-every 1
    wait_for 30 running "two$signal"
    kill -$signal "$(pgrep -f "^$pretrain --output two$signal " | tail -n 1)"; ended
    [ "$code" -eq 75 ] || complain "SIG$signal to a rank: mpirun returned $code, wanted 75" "$(cat job.err)"
    [ "$(status_of "two$signal")" = stopped ] || complain "SIG$signal to a rank: $(cat "two$signal/status.json")"
done

# A rank killed outright: the job ends at once, and the next one goes on from the newest checkpoint, the lock being free again.
start_job 2 --output dead $options --steps 1000000 --log-every 1 --checkpoint-every 20
wait_for 30 test -e dead/latest
kill -9 "$(pgrep -f "^$pretrain --output dead " | head -n 1)"; began=$SECONDS; ended
[ "$code" -ge 128 ] && [ $((SECONDS - began)) -le 10 ] || complain "a killed rank: mpirun returned $code after $((SECONDS - began)) s"
"$MPIRUN" -np 1 "$pretrain" --output dead $options --steps 1000000 --stop-after 1 >dead.out 2>err; code=$?
[ "$code" -eq 75 ] && grep -q ', from dead/checkpoint-' err || complain "after a killed rank: exit code $code" "$(cat err)"

# Saves fail (a file-size limit from outside) after a first good one: warned three times, then 4; the good one stays and is named.
start_job 1 --output full $options --steps 1000000 --log-every 1 --checkpoint-every 20
wait_for 30 test -e full/latest
pid=$(pgrep -f "^$pretrain --output full " | tail -n 1)
prlimit --pid "$pid" --fsize=40000
ended
[ "$code" -eq 4 ] || complain "failing saves: exit code $code, wanted 4" "$(cat job.err)"
[ "$(grep -c 'warning: checkpoint of step' job.err)" -eq 3 ] || complain "failing saves: not three warnings" "$(cat job.err)"
grep -q '"state": *"failed"' full/status.json && grep -q '"code": *4' full/status.json || complain "failing saves: $(cat full/status.json)"
"$BUILD/bert-inspect" --verify "full/$(cat full/latest)" >inspected 2>&1 || complain "the last good checkpoint: $(cat inspected)"
[ -z "$(find full -name '*.tmp-*')" ] || complain "left behind: $(find full -name '*.tmp-*')"

# stop-after in steps and in time; --steps 0.
"$MPIRUN" -np 2 "$pretrain" --output after $options --steps 1000 --stop-after 3 --quiet >/dev/null 2>err; code=$?
[ "$code" -eq 75 ] && [ "$(status_of after)" = stopped ] && [ -d after/checkpoint-0000003 ] || complain "stop-after 3: $code" "$(cat err)" "$(ls after)"
"$MPIRUN" -np 2 "$pretrain" --output after $options --steps 1000000 --stop-after 1s --quiet >/dev/null 2>err; code=$?
[ "$code" -eq 75 ] || complain "stop-after 1s: $code" "$(cat err)"
"$MPIRUN" -np 2 "$pretrain" --output zero $options --steps 0 --quiet >zero.out 2>err; code=$?
[ "$code" -eq 0 ] && [ "$(cat zero.out)" = zero/checkpoint-0000000 ] && [ "$(status_of zero)" = done ] || complain "--steps 0: $code" "$(cat err zero.out)"

# A dry run tells the sizes and writes nothing.
"$MPIRUN" -np 2 "$pretrain" --output dry $options --steps 10 --dry-run >dry.out 2>err || complain "dry run: $(cat err)"
grep -q '^parameters: ' dry.out && grep -q '^memory of a rank: ' dry.out && [ "$(grep -c '^steps: ' dry.out)" -eq 2 ] || complain "dry run: $(cat dry.out)"
[ ! -e dry ] || complain 'the dry run wrote something'

# Bound to one core with two threads: said once, with the flags that help.
if [ "$(nproc)" -ge 2 ]; then
    mpirun -np 1 --bind-to core "$pretrain" --output dry $options --threads 2 --steps 10 --dry-run >dry.out 2>err
    [ "$(grep -c 'warning: ranks are bound to fewer cores (1) than they have threads (2); .*--map-by slot:PE=2 --bind-to core' err)" -eq 1 ] || complain "bound ranks: $(cat err)"
    mpirun -np 1 --bind-to none "$pretrain" --output dry $options --threads 2 --steps 10 --dry-run >dry.out 2>err
    grep -q warning err && complain "unbound ranks: $(cat err)"
fi

# --help under mpirun is said once.
"$MPIRUN" -np 2 "$pretrain" --help >help.out && [ "$(grep -c 'trains a BERT' help.out)" -eq 1 ] || complain "--help under mpirun: $(cat help.out)"
exit $failed
