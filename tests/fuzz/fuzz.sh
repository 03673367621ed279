#!/usr/bin/env bash
# limit: 300 s
# Runs every fuzz target (tests/fuzz/fuzz_X.c) on its seeds (tests/fuzz/seeds/X) and on inputs made of them, under AddressSanitizer and
# UndefinedBehaviorSanitizer. The same inputs every time; with FUZZ_SECONDS=N for N seconds in all instead, from another start each time.
# A finding is copied to finding-X in $FUZZ_FINDINGS (default: the folder of the programs); once it is fixed it joins the seeds.
set -u
cd "$(dirname "$0")/../.."
BUILD=${BUILD:-build} bad=0
findings=${FUZZ_FINDINGS:-$BUILD/fuzz}
case $findings in /*) ;; *) findings=$PWD/$findings ;; esac
unset ASAN_OPTIONS UBSAN_OPTIONS LSAN_OPTIONS
work=$(mktemp -d /dev/shm/fuzz.XXXXXX 2>/dev/null || mktemp -d) || exit 1     # files that the targets write; memory is faster
trap 'rm -rf "$work"' EXIT
export TMPDIR=$work
targets=$(cd tests/fuzz && ls fuzz_*.c | sed 's/^fuzz_//; s/\.c$//')
runs() { case $1 in shard) echo 60 ;; manifest|text) echo 3000 ;; *) echo 5000 ;; esac; }
for t in $targets; do
    program=$BUILD/fuzz/tests/fuzz/fuzz_$t
    case $program in /*) ;; *) program=$PWD/$program ;; esac
    [ -x "$program" ] || { echo "$program is not there; make fuzzers builds it"; exit 1; }
    how=(--runs "$(runs "$t")")
    # shellcheck disable=SC2086   # a list of words
    [ -z "${FUZZ_SECONDS:-}" ] || how=(--seconds "$((FUZZ_SECONDS / $(set -- $targets; echo $#) + 1))" --seed "$RANDOM$RANDOM")
    seeds=$PWD/tests/fuzz/seeds/$t
    (cd "$work" && "$program" "${how[@]}" "$seeds") && continue
    bad=1
    [ ! -e "$work/finding-$t" ] || mv "$work/finding-$t" "$findings/"
    echo "FOUND in $t by ${how[*]}: $findings/finding-$t; again: $program --runs 0 $findings/finding-$t"
done
exit $bad
