#!/usr/bin/env bash
# bert-vocab: what it writes, that it repeats, and that each refusal is one line with its exit code and leaves nothing behind.
set -u
vocab=$BUILD/bert-vocab bad=0
cd "$TMPDIR" && mkdir work && cd work || exit 1
fails() { echo "FAILED: $*"; bad=1; }
run() { "$vocab" "$@" >../out 2>../err </dev/null; code=$?; }
refused() {   # exit code, a text that the one line holds, arguments...
    local want=$1 text=$2 before; shift 2; before=$(ls -A | sort)
    run "$@"
    [ "$code" -eq "$want" ] || fails "bert-vocab $*: exit $code, expected $want: $(cat ../err)"
    [ "$(wc -l <../err)" -eq 1 ] && grep -q '^bert-vocab: ' ../err || fails "bert-vocab $*: expected one line of bert-vocab, got: $(cat ../err)"
    grep -qF -- "$text" ../err || fails "bert-vocab $*: expected '$text' in: $(cat ../err)"
    [ ! -s ../out ] || fails "bert-vocab $*: wrote to stdout: $(head -c 200 ../out)"
    [ "$before" = "$(ls -A | sort)" ] || fails "bert-vocab $*: left files behind: $(ls -A)"
}
same() { cmp "$1" "$2" || fails "$1 and $2 differ"; }

awk 'BEGIN { split("the quick brown fox jumps over a lazy dog while Zoë naïvely reads Größe low lower lowest newer wider 日本", w, " ");
             for (s = i = 1; i <= 4000; i++) { s = (s * 1103 + 12345) % 65536; printf "%s%s", w[1 + s % 18], i % 11 ? " " : ".\n" } }' >text
printf 'low low low low low\nlower lower\n' >low

run --size 60 --output a.txt text
[ "$code" -eq 0 ] || fails "exit $code: $(cat ../err)"
[ "$(head -n 5 a.txt | tr '\n' ' ')" = '[PAD] [UNK] [CLS] [SEP] [MASK] ' ] || fails "begins with $(head -n 5 a.txt | tr '\n' ' ')"
[ "$(wc -l <a.txt)" -eq 60 ] || fails "$(wc -l <a.txt) tokens, expected 60"
[ -z "$(sort a.txt | uniq -d)" ] || fails "tokens stand twice: $(sort a.txt | uniq -d)"
tail -n +6 a.txt | grep -q -e '[A-Z]' -e ë -e ï && fails "capitals or accents in an uncased vocabulary"
run --size 60 --output b.txt text;                      same a.txt b.txt
split -l 100 text part.; run --size 60 --output c.txt part.* ; same a.txt c.txt
"$vocab" --size 60 --output d.txt - <text 2>../err;     same a.txt d.txt
gzip -c text >text.gz; run --size 60 --output e.txt text.gz; same a.txt e.txt
tac text >backwards; run --size 60 --output f.txt backwards; same a.txt f.txt
for n in 1 2 7; do run --size 60 --threads $n --force --output g.txt text part.*; cp g.txt "threads$n"; done; same threads1 threads2; same threads1 threads7
run --size 100 --cased --output cased.txt text
grep -q Z cased.txt && grep -qF '##ë' cased.txt || fails "--cased lost capitals or accents"
run --size 100 --strip-accents no --output accents.txt text
grep -qF '##ë' accents.txt && ! grep -q Z accents.txt || fails "--strip-accents no lost accents or kept capitals"

# by hand: (##o ##w) and (l ##o) 7 times each; l came first; then (lo ##w); ##e ##r are seen together twice
run --size 100 --min-frequency 3 --output low.txt low
[ "$(tail -n +6 low.txt | tr '\n' ' ')" = 'l ##e ##o ##r ##w e o r w ' ] && fails "beginnings must come before continuations"
[ "$(tail -n +6 low.txt | tr '\n' ' ')" = 'e l o r w ##e ##o ##r ##w lo low ' ] || fails "learned $(tail -n +6 low.txt | tr '\n' ' ')"
run --size 100 --quiet --output lower.txt low
[ "$(tail -n +17 lower.txt | tr '\n' ' ')" = '##er lower ' ] || fails "learned $(tail -n +17 lower.txt | tr '\n' ' ') after low"
[ ! -s ../err ] || fails "--quiet said $(cat ../err)"

# by hand: o, w, e and r, l stand 7, 7, 2 and 2, 7 times; with three kept, the smaller code points of l, o, w; lower cannot be spelled
run --size 100 --limit-alphabet 3 --output few.txt low
[ "$(tail -n +6 few.txt | tr '\n' ' ')" = 'l o w ##o ##w lo low ' ] || fails "--limit-alphabet 3 learned $(tail -n +6 few.txt | tr '\n' ' ')"
grep -q '2 words (28.57 %) become \[UNK\]' ../err || fails "words left out are not reported: $(cat ../err)"

refused 2 'exists already' --size 60 --output a.txt text
run --size 70 --force --output a.txt text; [ "$(wc -l <a.txt)" -eq 70 ] || fails "--force did not replace"
: >empty; printf ' \n\n\t\n' >blank; printf '\377\300\n' >broken; printf 'good text\n\303\n' >half; mkdir nothing
refused 2 'no word' --size 60 --output x.txt empty
refused 2 'no word' --size 60 --output x.txt blank
refused 2 'no word' --size 60 --output x.txt broken
refused 2 'nothing' --size 60 --output x.txt nothing
refused 2 'absent' --size 60 --output x.txt text absent
refused 2 'TEXT' --size 60 --output x.txt
refused 2 '--size' --output x.txt text
refused 2 '--output' --size 60 text
refused 2 '--size' --size 0 --output x.txt text
refused 2 '--size' --size 1e3 --output x.txt text
refused 2 '--min-frequency' --size 60 --min-freqency 1 --output x.txt text
refused 2 'too small' --size 30 --output x.txt text
refused 2 '--limit-alphabet' --size 30 --output x.txt text
refused 2 '--threads' --size 60 --threads -1 --output x.txt text
refused 2 'cannot be written' --size 60 --output absent/x.txt text
refused 2 'cannot be written' --size 60 --output text/x.txt text
refused 2 'is a folder' --size 60 --output nothing text
run --size 30 --output half.txt half; [ "$code" -eq 0 ] || fails "a broken byte in the text: exit $code: $(cat ../err)"
"$vocab" --version | grep -q '^bert-vocab ' || fails "--version"
"$vocab" --help | grep -q -- '--min-frequency' || fails "--help"
exit $bad
