#!/usr/bin/env bash
# Text and vocabulary as bad as they come: the right bytes, or one line that names the place, and nothing half-written.
. tests/cli/lib_text.sh
faults=$PWD/tests/faults
cd "$TMPDIR"
shard=$BUILD/bert-shard
make_text 5 40 >text.txt
make_vocab >vocab.txt
mkdir place
go() { local out=$1; shift; "$shard" --vocab vocab.txt --seq-length 32 --quiet --output "$out" "$@"; }
equal() { local a=$1 b=$2 f; for f in manifest.json lengths.u16 training_00000.hdf5; do cmp "$a/$f" "$b/$f" || { echo "$a and $b should be equal"; exit 1; }; done; }
refused() {   # CODE WORD ARGUMENTS...
    local code=$1 word=$2; shift 2
    expect "$code" "$word" "$shard" --vocab vocab.txt --seq-length 32 --output place/out "$@"
    same "$(ls -A place)" "" "left in the place of the output by $*"
}
go good text.txt

# Bytes that are no UTF-8: overlong, surrogate, above U+10FFFF, cut off at the end of a line and of the text.
for bad in '\300\257' '\340\200\257' '\360\200\200\257' '\355\240\200' '\364\220\200\200' '\365\200\200\200' '\342\202' '\360\237\230' '\200' '\377'; do
    { cat text.txt; printf "a${bad}b.\nc d e.\n"; } >invalid.txt
    refused 2 "invalid.txt:$(($(wc -l <invalid.txt) - 1)): invalid UTF-8 (byte 0x" invalid.txt
    { cat text.txt; printf 'ab.\nc d e.\n'; } >mended.txt        # the tokenizer drops U+FFFD
    go replaced --invalid-utf8 replace invalid.txt; go mended --invalid-utf8 replace mended.txt
    for f in lengths.u16 training_00000.hdf5; do cmp replaced/$f mended/$f || exit 1; done
    { cat text.txt; printf 'c d e.\n'; } >without.txt
    go skipped --invalid-utf8 skip invalid.txt; go without --invalid-utf8 skip without.txt
    for f in lengths.u16 training_00000.hdf5; do cmp skipped/$f without/$f || exit 1; done
    grep -q '"segments_left_out": 1' skipped/manifest.json
    { cat text.txt; printf "A b. C ${bad}d. E f! ${bad}\n"; } >invalid.txt; { cat text.txt; printf 'A b. E f!\n'; } >without.txt    # of a paragraph its other sentences stay
    go skipped --force --split-sentences --invalid-utf8 skip invalid.txt; go without --force --split-sentences without.txt
    for f in lengths.u16 training_00000.hdf5; do cmp skipped/$f without/$f || exit 1; done
    grep -q '"segments_left_out": 2' skipped/manifest.json
    printf "{\"text\": \"a b.\"}\n{\"text\": \"c${bad}d.\"}\n" >invalid.jsonl
    refused 2 'invalid.jsonl:2: invalid UTF-8' --no-nsp invalid.jsonl
    go json --no-nsp --invalid-utf8 skip invalid.jsonl
    grep -q '"documents": 1' json/manifest.json && grep -q '"segments_left_out": 1' json/manifest.json
    go json --force --no-nsp --invalid-utf8 replace invalid.jsonl
    grep -q '"documents": 2' json/manifest.json
    rm -rf replaced mended skipped without json
done
printf '{"text": "a \\u0000b \\ud83d c \\ude00 d."}\n' >escapes.jsonl; printf '{"text": "a b  c  d."}\n' >plain.jsonl
refused 2 'escapes.jsonl:1: \u0000 or half a surrogate pair' --no-nsp escapes.jsonl
go escapes --no-nsp --invalid-utf8 replace escapes.jsonl; go plain --no-nsp --invalid-utf8 replace plain.jsonl
cmp escapes/training_00000.hdf5 plain/training_00000.hdf5

# A byte order mark, carriage returns, NUL, no newline at the end: nothing of it reaches the rows.
{ printf '\357\273\277'; sed 's/$/\r/' text.txt | sed 's/ /\x00 /'; } >dressed.txt
go dressed dressed.txt
cmp good/training_00000.hdf5 dressed/training_00000.hdf5
gzip -c dressed.txt >dressed.gz; go dressed-gz dressed.gz; equal dressed dressed-gz
head -c -2 text.txt >no-newline.txt; go no-newline no-newline.txt; cmp good/training_00000.hdf5 no-newline/training_00000.hdf5
{ printf '\357\273\277{"text": "a b."}\n'; } >mark.jsonl; go mark --no-nsp mark.jsonl; gzip -c mark.jsonl >mark.jsonl.gz; go mark-gz --no-nsp mark.jsonl.gz; equal mark mark-gz

# Lines without end. One of 8 MB is read; one above 256 MiB is refused, compressed (a bomb) or not.
{ cat text.txt; head -c 8000000 /dev/zero | tr '\0' 'a'; } >long.txt; go long long.txt       # one word: [UNK]
grep -q '"unknown_tokens": 1,' long/manifest.json
head -c 270000000 /dev/zero | refused 2 'a line of more than 256 MiB' -
head -c 270000000 /dev/zero | gzip -1 >bomb.gz; [ "$(stat -c %s bomb.gz)" -lt 3000000 ]
refused 2 'bomb.gz:1: a line of more than 256 MiB' bomb.gz

# Documents too small for a pair of their own; a text of two tokens.
printf 'a\n\nb\n\nc\n' >tiny.txt; go tiny tiny.txt
grep -q '"rows": 3' tiny/manifest.json
printf 'a b.\nc.\n' >one.txt; go one --sentence-order one.txt; go one-alone --no-nsp one.txt
printf 'a\n' >token.txt; refused 2 'the text gives no rows' --sentence-order token.txt

# Compressed text that is damaged.
gzip -c text.txt >whole.gz; size=$(stat -c %s whole.gz)
for at in $((size - 8)) $((size - 3)) $((size / 2)); do
    cp whole.gz bent.gz; printf '\125' | dd of=bent.gz bs=1 seek="$at" conv=notrunc status=none
    cmp -s whole.gz bent.gz && continue
    refused 2 'bent.gz: compressed text is damaged near its line' bent.gz
done
for keep in 3 12 $((size / 2)) $((size - 1)); do head -c "$keep" whole.gz >cut.gz; refused 2 'cut.gz' cut.gz; done
{ cat whole.gz; echo junk; } >tail.gz; refused 2 'tail.gz' tail.gz
{ awk 'BEGIN { RS = ""; ORS = "\n\n" } NR <= 9' text.txt | gzip; awk 'BEGIN { RS = ""; ORS = "\n\n" } NR > 9' text.txt | gzip -1; head -c 512 /dev/zero; } >members.gz
go members members.gz; equal good members
printf '\375\067zXZ\000\000' >t.xz; refused 2 'xz -dc FILE' t.xz
printf 'BZh91AY&SYxxxx' >t.bz2; refused 2 'bzip2 -dc FILE' t.bz2
printf 'PK\003\004xx' >t.zip; refused 2 'unzip -p FILE' t.zip
printf 'PAR1\025xx' >t.parquet; refused 2 'Parquet' t.parquet

# Inputs that are no files; names that are no words. A pipe works.
mkfifo pipe; cat text.txt >pipe & go piped pipe; equal good piped
refused 2 'is a device' /dev/zero
refused 2 'is a device' text.txt /dev/null
ln -s around around; refused 2 'around' around
mkdir circle && ln -s ../circle circle/again && cp text.txt circle/
refused 2 'circle' circle
mkdir hollow; refused 2 'hollow' hollow
refused 2 'File name too long' "$(printf '%0300d' 0)"
[ "$(id -u)" -eq 0 ] || { mkdir shut; cp text.txt shut/; chmod 000 shut; refused 2 'shut' shut; chmod 700 shut; }
for name in 'two words' $'new\nline' $'latin-\351' "$(printf '%0255d' 0)"; do
    cp text.txt "$name"; go named "$name"; equal good named; rm -rf named
    printf '\377\n' >"$name"; refused 2 'invalid UTF-8' "$name"
done

# Reading that is slow, interrupted, broken.
if command -v cc >/dev/null && ! grep -q __asan_init "$shard"; then
    cc -shared -fPIC -o read.so "$faults/lib_read.c" -ldl
    export READ_FAULT_PATH=$PWD/te READ_FAULT_BYTES=7
    LD_PRELOAD=$PWD/read.so go slow text.txt; equal good slow
    gzip -c text.txt >te.gz; LD_PRELOAD=$PWD/read.so go slow-gz te.gz; equal good slow-gz
    LD_PRELOAD=$PWD/read.so READ_FAULT_EIO=5 refused 1 'text.txt: reading failed: Input/output error' text.txt
    unset READ_FAULT_PATH READ_FAULT_BYTES
fi

# Vocabularies.
spoiled() {   # WORD; vocabulary on standard input
    cat >spoiled.txt
    expect 2 "$1" "$shard" --vocab spoiled.txt --output place/out text.txt
    same "$(ls -A place)" "" "left in the place of the output"
}
for special in PAD UNK CLS SEP MASK; do grep -vF "[$special]" vocab.txt | spoiled "[$special]"; done
{ cat vocab.txt; echo a; } | spoiled "spoiled.txt:$(($(wc -l <vocab.txt) + 1))"
{ cat vocab.txt; echo; echo zz; } | spoiled "spoiled.txt:$(($(wc -l <vocab.txt) + 1))"
{ cat vocab.txt; head -c 1001 /dev/zero | tr '\0' z; echo; } | spoiled 'a token of 1001 bytes'
{ cat vocab.txt; printf 'z\000z\n'; } | spoiled NUL
{ cat vocab.txt; printf 'z\377\n'; } | spoiled 'invalid UTF-8'
{ printf '\357\273\277'; cat vocab.txt; } | spoiled 'byte order mark'
: | spoiled spoiled.txt
yes '' | head -n 5000000 | awk '{ print NR }' | cat vocab.txt - | spoiled 'at most 4194304 tokens'
sed 's/$/\r/' vocab.txt >dos.txt; "$shard" --vocab dos.txt --seq-length 32 --quiet --output dos text.txt; equal good dos

# Google's way of reading has no JSON lines and no options of ours.
refused 2 'no JSON lines' --compat google plain.jsonl
for option in --no-nsp --sentence-order --split-sentences --json-key=text --special-tokens=keep --strip-accents=yes; do refused 2 "${option%%=*}: Google's script" --compat google $option text.txt; done
refused 2 'invalid.txt' --compat google invalid.txt
refused 2 'memory: 50 MiB are too few' --compat google --memory 50 --duplicates 1000 text.txt
refused 2 'memory: 48 MiB are too few' --compat google --memory 48 text.txt
printf '\343\200\200\n \034\n' >white.txt; refused 2 'the text is empty' --compat google white.txt
refused 2 '--sentence-order' --no-nsp --sentence-order text.txt
