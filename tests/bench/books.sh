#!/usr/bin/env bash
# Trains model mini on a folder of books: tests/bench/books.sh TEXT VOCAB OUT [more bert-pretrain options]
# Shards once, then trains configs/mini-books.yaml on 2 ranks x 1 thread; run again to resume. Ends with the curve.
set -eu
cd "$(dirname "$0")/../.."
text=$1 vocab=$2 out=$3; shift 3
BUILD=${BUILD:-build}
[ -e "$out/shards/manifest.json" ] || "$BUILD/bert-shard" --vocab "$vocab" --split-sentences --seq-length 128 --output "$out/shards" "$text"
tests/mpirun.sh -np 2 "$BUILD/bert-pretrain" --config configs/mini-books.yaml --data "$out/shards" --output "$out/run" --log-every 1 --threads 1 "$@"
python3 tests/bench/curve.py "$out/run" 20 50 100 200 300 400 600 800 1000 1200 1400 1600 1800 2000
