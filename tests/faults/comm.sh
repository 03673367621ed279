#!/usr/bin/env bash
# A rank that fails or dies while the others wait in the exchange ends the job in seconds, with one line of ours and its code.
set -u
bad=0
tool=$BUILD/tests/tools/comm_fault

expect() {   # np, code, lines of ours, seconds, pattern, arguments of the tool...
    local np=$1 code=$2 lines=$3 limit=$4 pattern=$5 began=$SECONDS got; shift 5
    timeout -k 2 30 "$MPIRUN" -np "$np" "$tool" "$@" >"$TMPDIR/out" 2>"$TMPDIR/err"; got=$?
    local ours; ours=$(grep -c '^comm_fault: ' "$TMPDIR/err")
    if [ "$got" -ne "$code" ] || [ "$ours" -ne "$lines" ] || [ $((SECONDS - began)) -gt "$limit" ] || ! grep -qE "$pattern" "$TMPDIR/err"; then
        echo "comm_fault $* on $np ranks: exit $got (expected $code), $ours lines of ours (expected $lines), $((SECONDS - began)) s; stderr:"
        cat "$TMPDIR/err"
        bad=1
    fi
}

expect 3 1 1 15 '^comm_fault: rank 1 \([^)]+\): shard.h5: short read; check the disk$' 1 1 fail
expect 4 3 1 15 '^comm_fault: rank 3 \([^)]+\): shard.h5: short read; check the disk$' 3 3 fail
expect 2 137 0 15 'rank 1.*signal 9' 1 0 die
expect 4 2 1 15 '^comm_fault: rank 2 \([^)]+\): vocab.txt: no such file; give --vocab$' 2 2 refuse
expect 3 1 1 15 '^comm_fault: rank 2 \([^)]+\): weights after step 300: hash [0-9a-f]{16} differs from the other ranks.' 2 1 odd
expect 5 1 1 15 '^comm_fault: rank 0 \([^)]+\): weights after step 300: ' 0 1 odd

# Without a launcher: one rank, no place in the line, the code of ours, and no line of anybody else's.
alone() {   # code, expected stderr
    local got; timeout -k 2 30 env -u OMPI_COMM_WORLD_SIZE "$tool" 0 "$1" alone >"$TMPDIR/out" 2>"$TMPDIR/err"; got=$?
    if [ "$got" -ne "$1" ] || [ "$(cat "$TMPDIR/out")" != "launched 0 rank 0 of 1 nodes 1" ] || [ "$(cat "$TMPDIR/err")" != "$2" ]; then
        echo "alone: exit $got, expected $1; stdout and stderr:"; cat "$TMPDIR/out" "$TMPDIR/err"; bad=1
    fi
}
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
alone 0 ''
alone 1 'comm_fault: shard.h5: short read'
exit $bad
