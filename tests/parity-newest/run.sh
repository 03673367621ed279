#!/usr/bin/env bash
# Checkpoints against the newest transformers instead of the pinned one, text out of the newest datasets: tests/parity-newest/run.sh [FOLDER of the virtual environment]
# Not part of `make check`: it depends on what was released yesterday. BUILD must hold the programs and tests (make all tests).
set -eu
cd "$(dirname "$0")/../.."
export BUILD=${BUILD:-build} VENV=${1:-${BUILD:-build}/venv-newest}
case $BUILD in /*) ;; *) BUILD=$PWD/$BUILD ;; esac
case $VENV in /*) ;; *) VENV=$PWD/$VENV ;; esac
tests/venv.sh "$VENV" tests/parity-newest/requirements.txt
export MPIRUN=$PWD/tests/mpirun.sh PYTHONDONTWRITEBYTECODE=1 HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false
TMPDIR=$(mktemp -d "${TMPBASE:-/tmp}/bert-test.XXXXXX")
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT
"$VENV/bin/python" tests/parity/test_checkpoint.py
bash tests/parity-newest/datasets.sh
