#!/usr/bin/env bash
# Runs the tests of the layers named (lint unit mpi cli parity faults cluster scale hosts ...) and ends with one line: N passed, N failed, N skipped.
#
#   tests/run.sh unit cli            all of these layers
#   tests/run.sh cli/inspect         one test (the file's path under tests/, without its ending)
#
# A test is a program or script that exits 0 (passed), 77 (skipped; it printed why) or anything else (failed; its output is shown).
#   tests/unit/test_X.c  tests/mpi/test_X.c ("// np: 1 2 3" on its first line)  tests/LAYER/X.sh  tests/LAYER/test_X.py
# Scripts find: BUILD (programs), PYTHON (virtual environment), MPIRUN (a wrapper), TMPDIR (a fresh folder, removed afterwards).
set -u
cd "$(dirname "$0")/.."
export ROOT=$PWD BUILD=${BUILD:-build} VENV=${VENV:-${BUILD:-build}/venv}
case $BUILD in /*) ;; *) BUILD=$ROOT/$BUILD ;; esac
case $VENV in /*) ;; *) VENV=$ROOT/$VENV ;; esac
export PYTHON=$VENV/bin/python MPIRUN=$ROOT/tests/mpirun.sh PYTHONDONTWRITEBYTECODE=1 HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false
export OMP_WAIT_POLICY=passive
passed=0 failed=0 skipped=0

run() {   # name, seconds allowed, command...
    local name=$1 limit=$2 began=$SECONDS code; shift 2
    export TMPDIR; TMPDIR=$(mktemp -d "${TMPBASE:-/tmp}/bert-test.XXXXXX")
    timeout -k 5 "$limit" "$@" >"$TMPDIR/.output" 2>&1 </dev/null; code=$?
    case $code in
        0)  passed=$((passed + 1));   printf 'ok    %-44s %4d s\n' "$name" $((SECONDS - began)) ;;
        77) skipped=$((skipped + 1)); printf 'skip  %-44s %s\n' "$name" "$(tail -n 1 "$TMPDIR/.output")" ;;
        *)  failed=$((failed + 1));   printf 'FAIL  %-44s exit %d after %d s; its last lines:\n' "$name" $code $((SECONDS - began))
            tail -n "${SHOW:-40}" "$TMPDIR/.output" | sed 's/^/      /' ;;
    esac
    rm -rf "$TMPDIR"; unset TMPDIR
}

one() {   # path of a test's source
    local source=$1 name=${1#tests/}; name=${name%.*}
    local limit; limit=$(sed -n 's/^[#/ ]*limit: \([0-9]*\) s.*/\1/p' "$source" | head -n 1)
    case $source in
        tests/unit/*.c) run "$name" "${limit:-120}" "$BUILD/tests/$name" ;;
        tests/mpi/*.c)  for np in $(sed -n '1s,^// np: ,,p' "$source"); do [ "$np" -gt "${MAX_NP:-64}" ] || run "$name np=$np" "${limit:-120}" "$MPIRUN" -np "$np" "$BUILD/tests/$name"; done ;;
        *.sh)           run "$name" "${limit:-300}" bash "$source" ;;
        *.py)           run "$name" "${limit:-600}" "$PYTHON" "$source" ;;
    esac
}

for what in "$@"; do
    case $what in
        lint) run lint 60 bash tests/lint.sh; continue ;;
        parity) tests/venv.sh "$VENV" || { echo "the Python parts could not be installed"; exit 1; } ;;
    esac
    if [ -d "tests/$what" ]; then
        for source in tests/"$what"/test_*.c tests/"$what"/*.sh tests/"$what"/test_*.py; do
            case $source in */lib.sh|*/lib_*) continue ;; esac
            [ -e "$source" ] && one "$source"
        done
    else
        for source in tests/"$what".c tests/"$what".sh tests/"$what".py; do [ -e "$source" ] && one "$source"; done
    fi
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
