# For scripts: make_text SEED DOCUMENTS > text, make_vocab > vocab; equal on every machine.
set -eu
make_text() {   # sentences of made-up words of letters a..l, one per line, blank line between documents
    awk -v seed="$1" -v documents="$2" 'function r(n) { seed = (seed * 16807) % 2147483647; return seed % n }
        BEGIN { for (d = 0; d < documents; d++) { for (s = 3 + r(20); s > 0; s--) { line = ""
            for (w = 3 + r(25); w > 0; w--) { word = ""; for (l = 1 + r(5); l > 0; l--) word = word substr("abcdefghijkl", 1 + r(12), 1)
                line = line (line == "" ? "" : " ") word }
            print line "." } print "" } }'
}
make_vocab() { printf '%s\n' '[PAD]' '[UNK]' '[CLS]' '[SEP]' '[MASK]' . a b c d e f g h i j k l '##a' '##b' '##c' '##d' '##e' '##f' '##g' '##h' '##i' '##j' '##k' '##l' 'ab' '##ba'; }

# expect CODE WORD PROGRAM ARGUMENTS...: the exit code, and exactly one line on stderr that begins with the program's name and holds WORD.
expect() {
    local code=$1 word=$2 got=0; shift 2
    "$@" >"$TMPDIR/out" 2>"$TMPDIR/err" || got=$?
    [ "$got" -eq "$code" ] || { echo "$*: exit $got, expected $code"; cat "$TMPDIR/err"; exit 1; }
    [ "$(wc -l <"$TMPDIR/err")" -eq 1 ] || { echo "$*: not one line on stderr but:"; cat "$TMPDIR/err"; exit 1; }
    case $(cat "$TMPDIR/err") in "${1##*/}: "*"$word"*) ;; *) echo "$*: '$(cat "$TMPDIR/err")' should begin with '${1##*/}: ' and hold '$word'"; exit 1 ;; esac
}
same() { [ "$1" = "$2" ] || { echo "'$1' is not '$2' (${3-})"; exit 1; }; }
