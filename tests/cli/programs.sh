#!/usr/bin/env bash
# What every program promises: --version, --help (stdout, 0, at most 100 columns, exit codes), one line and 2 for an unknown option.
set -u
bad=0 seen=0
fails() { echo "FAILED: $*"; bad=1; }
version=$(sed -n 's/^VERSION := //p' "$ROOT/Makefile")
for name in bert-vocab bert-shard bert-inspect bert-pretrain bert-fill bert-report comm-bench; do
    program=$BUILD/$name
    [ -x "$program" ] || continue
    seen=$((seen + 1))
    out=$("$program" --version 2>"$TMPDIR/err"); code=$?
    [ "$code" -eq 0 ] && [ "$out" = "$name $version" ] && [ ! -s "$TMPDIR/err" ] || fails "$name --version: exit $code, '$out', expected '$name $version'; $(cat "$TMPDIR/err")"
    "$program" --help >"$TMPDIR/help" 2>"$TMPDIR/err"; code=$?
    [ "$code" -eq 0 ] && [ ! -s "$TMPDIR/err" ] || fails "$name --help: exit $code; $(cat "$TMPDIR/err")"
    [ "$(wc -L <"$TMPDIR/help")" -le 100 ] || fails "$name --help is $(wc -L <"$TMPDIR/help") columns wide, at most 100"
    grep -q "^Usage: .*$name" "$TMPDIR/help" || fails "$name --help has no usage"
    grep -q '^Exit codes' "$TMPDIR/help" || fails "$name --help has no exit codes"
    "$program" --hlep >"$TMPDIR/out" 2>"$TMPDIR/err"; code=$?
    [ "$code" -eq 2 ] && [ ! -s "$TMPDIR/out" ] && [ "$(cat "$TMPDIR/err")" = "$name: unknown option --hlep; did you mean --help?" ] ||
        fails "$name --hlep: exit $code, '$(cat "$TMPDIR/err")'"
    for kind in markdown man bash; do "$program" --print-docs $kind >"$TMPDIR/out" 2>&1 || fails "$name --print-docs $kind: $(cat "$TMPDIR/out")"; done
done
[ "$seen" -gt 0 ] || { echo "no program is built"; exit 77; }
exit $bad
