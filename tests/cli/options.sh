#!/usr/bin/env bash
# Options as a user meets them, with a toy program: where text goes, exit codes, width, documents that their readers accept.
set -u
toy=$BUILD/tests/tools/toy bad=0
fails() { echo "FAILED: $*"; bad=1; }
run() { "$toy" "$@" >"$TMPDIR/out" 2>"$TMPDIR/err"; code=$?; }
expect() {   # code, lines of stdout (or -), text of stderr
    [ "$code" -eq "$1" ] || fails "exit $code, expected $1: $(cat "$TMPDIR/err")"
    [ "$2" = - ] || [ "$(wc -l <"$TMPDIR/out")" -eq "$2" ] || fails "$(wc -l <"$TMPDIR/out") lines of output, expected $2"
    [ "$(cat "$TMPDIR/err")" = "$3" ] || fails "said '$(cat "$TMPDIR/err")', expected '$3'"
}
version=$(sed -n 's/^VERSION := //p' "$ROOT/Makefile")

run --version;                         expect 0 1 ''
[ "$(cat "$TMPDIR/out")" = "bert-toy $version" ] || fails "--version printed '$(cat "$TMPDIR/out")', expected 'bert-toy $version'"
run --learnin-rate 1;                  expect 2 0 'bert-toy: unknown option --learnin-rate; did you mean --learning-rate?'
run;                                   expect 2 0 'bert-toy: missing: --data, --output; --help tells what they are'
run --data d --steps 0 --help;         expect 0 - ''
help=$TMPDIR/help; cp "$TMPDIR/out" "$help"
[ "$(wc -L <"$help")" -le 100 ] || fails "--help is $(wc -L <"$help") columns wide, at most 100"
[ "$(sed -n 1p "$help")" = 'bert-toy: tests the options of all programs' ] || fails "--help begins with '$(sed -n 1p "$help")'"
grep -q '^Usage: bert-toy --data DIR' "$help" || fails "--help has no usage"
[ "$(tail -n 1 "$help")" = '  75  stopped on request after saving: run again to go on' ] || fails "--help ends with '$(tail -n 1 "$help")'"
grep -q '(steps; 1 to 1000000000000; default 1000)\|default 1000)' "$help" || fails "--help lacks a default"
order=$(grep -o '^  --[a-z-]*' "$help" | tr -d ' \n')
want=--data--output--title--steps--seed--learning-rate--optimizer--watchdog--checkpoint-every--bias-correction--force--config--quiet--version--help
[ "$order" = "$want" ] || fails "--help lists $order, expected $want"
columns=$(grep '^  --' "$help" | sed -E 's/^(  --[^ ]+( [^ ]+)?  +).*/\1/' | awk '{print length($0)}' | sort -u | wc -l)
[ "$columns" -eq 1 ] || fails "--help's meanings begin in $columns different columns"
"$toy" --help >/dev/full 2>"$TMPDIR/err"; code=$?; : >"$TMPDIR/out"; expect 1 0 'bert-toy: standard output: cannot be written'

printf 'data: d\nstepz: 3\n' >"$TMPDIR/run.yaml"
run --config "$TMPDIR/run.yaml";       expect 2 0 "bert-toy: $TMPDIR/run.yaml:2: unknown key \"stepz\"; did you mean \"steps\"?"
run --data $'a\nb' --output r --steps $'1\n2'
expect 2 0 'bert-toy: --steps: "1?2" is not accepted; give a whole number from 1 to 1000000000000'
run --data d --output r --force -- --x; expect 0 - ''
grep -qx -- '# --x' "$TMPDIR/out" || fails "what follows -- is no argument"
"$toy" --data d --output r | sed '/^#/d' >"$TMPDIR/effective.yaml"
run --config "$TMPDIR/effective.yaml" --output r; expect 0 - ''
cmp -s "$TMPDIR/out" "$TMPDIR/effective.yaml" || fails "the printed configuration does not read back: $(cat "$TMPDIR/out")"

run --print-docs html;                 expect 2 0 'bert-toy: --print-docs: give markdown, man or bash'
run --print-docs markdown;             expect 0 - ''
grep -q '^| `optimizer` | adamw\\|lamb | adamw |' "$TMPDIR/out" || fails "markdown has no row for optimizer"
[ "$(grep '^|' "$TMPDIR/out" | sed 's/\\|//g' | awk -F'|' '{print NF}' | sort -u)" = 7 ] || fails "markdown rows differ in cells"
run --print-docs man;                  expect 0 - ''
if command -v groff >/dev/null; then
    groff -man -ww -Tutf8 "$TMPDIR/out" >"$TMPDIR/man" 2>"$TMPDIR/err" && [ ! -s "$TMPDIR/err" ] || fails "groff: $(cat "$TMPDIR/err")"
fi
run --print-docs bash;                 expect 0 - ''
bash -n "$TMPDIR/out" || fails "the completion is no bash"
completed=$(bash -c '. "$1"; COMP_WORDS=(bert-toy --ste); COMP_CWORD=1; _bert_toy; echo "${COMPREPLY[*]}"; COMP_WORDS=(bert-toy --optimizer l); COMP_CWORD=2; _bert_toy; echo "${COMPREPLY[*]}"' - "$TMPDIR/out")
[ "$completed" = $'--steps\nlamb' ] || fails "completed to '$completed', expected --steps and lamb"
exit $bad
