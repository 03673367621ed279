#!/usr/bin/env bash
# comm-bench: table and JSON on stdout, bytes at the bound on both paths, sums checked by itself, one line for a bad option.
set -u
bench=$BUILD/comm-bench bad=0
export OMP_NUM_THREADS=1
fails() { echo "FAILED: $*"; cat "$TMPDIR/out" "$TMPDIR/err"; bad=1; }
run() { local np=$1; shift; "$MPIRUN" -np "$np" "$bench" --megabytes 1 --repeat 2 "$@" >"$TMPDIR/out" 2>"$TMPDIR/err"; code=$?; }

for way in '1 auto messages' '2 windows shared.windows' '2 messages messages' '3 auto messages' '4 auto shared.windows'; do
    read -r np path said <<<"$way"
    run "$np" --compute 0.02 --buckets 3 --message 5000 --path "$path"
    [ $code -eq 0 ] || fails "$np ranks, $path: exit $code"
    grep -q "^$np ranks on 1 node, 1.0 MB in 3 buckets, by $said; medians of 2 rounds$" "$TMPDIR/out" || fails "$np ranks, $path: first line"
    if [ "$np" -gt 1 ]; then grep -Eq '^exchange( +[0-9.]+){4} +1\.0000 +-?[0-9.]+$' "$TMPDIR/out" || fails "$np ranks, $path: bytes are not the least"; fi
    [ "$(grep -cE '^MPI_I?[Aa]llreduce ' "$TMPDIR/out")" -eq 2 ] || fails "$np ranks, $path: MPI's own ways are missing"
done
run 2 --compute 0 --json
python3 - "$TMPDIR/out" <<'PY' || fails "the JSON object"
import json, sys
o = json.load(open(sys.argv[1]))
assert o["ranks"] == 2 and set(o["ways"]) == {"exchange", "MPI_Allreduce", "MPI_Iallreduce"}, o
assert abs(o["exchange_bytes_per_rank"] / o["least_bytes_per_rank"] - 1) < 1e-9, o
assert all(0 < w["seconds_quartile_1"] <= w["seconds"] <= w["seconds_quartile_3"] and "exposed_seconds" not in w for w in o["ways"].values()), o
PY
run 2 --path sideways
[ $code -eq 2 ] && [ "$(grep -c '^comm-bench: ' "$TMPDIR/err")" -eq 1 ] && [ ! -s "$TMPDIR/out" ] || fails "a bad option: exit $code"
exit $bad
