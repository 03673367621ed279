#!/usr/bin/env bash
# Bad text, bad vocabulary, bad output, damaged shards: one line that begins with the program's name, the documented code, nothing half-written.
. tests/cli/lib_text.sh
cd "$TMPDIR"
shard=$BUILD/bert-shard inspect=$BUILD/bert-inspect
make_text 3 60 >text.txt
make_vocab >vocab.txt
mkdir place
refused() {   # CODE WORD ARGUMENTS...: bert-shard refuses, and the place of the output is as empty as before
    local code=$1 word=$2; shift 2
    expect "$code" "$word" "$shard" --vocab vocab.txt --seq-length 32 --output place/out "$@"
    same "$(ls -A place)" "" "left in the place of the output by $*"
}

# Text.
: >empty.txt; printf '\n \n\t\n' >blank.txt; printf 'a b.\n\nc\xff d.\n' >invalid.txt; printf 'a b.\nc d.\n' >single.txt
refused 2 'the text is empty' empty.txt
refused 2 'the text is empty' blank.txt empty.txt
refused 2 'invalid.txt:3: invalid UTF-8' invalid.txt
refused 2 '--no-nsp' single.txt
refused 2 'missing.txt' text.txt missing.txt
refused 2 'no text given'
gzip -c text.txt | head -c 2000 >cut.gz
refused 2 'ends too early' cut.gz
printf '{"text": "a"}\n{"text": \n' >bad.jsonl
refused 2 'bad.jsonl:2' bad.jsonl
printf '{"body": "a"}\n' >bad.jsonl
refused 2 'text' bad.jsonl
[ "$(id -u)" -eq 0 ] || { cp text.txt secret.txt; chmod 000 secret.txt; refused 2 'secret.txt' text.txt secret.txt; }
for how in replace skip; do "$shard" --vocab vocab.txt --quiet --output "ok-$how" --invalid-utf8 $how invalid.txt text.txt || exit 1; done

# Vocabulary and options.
grep -v MASK vocab.txt >no-mask.txt
expect 2 '[MASK]' "$shard" --vocab no-mask.txt --output place/out text.txt
(echo zz; cat vocab.txt) >pad-late.txt
expect 2 '[PAD]' "$shard" --vocab pad-late.txt --output place/out text.txt
expect 2 'missing-vocab.txt' "$shard" --vocab missing-vocab.txt --output place/out text.txt
refused 2 '--max-predictions' --max-predictions 33 text.txt
refused 2 'did you mean --seq-length' --seq-lenght 64 text.txt
refused 2 '--seq-length' --seq-length 4 text.txt
refused 2 '--mask-prob' --mask-prob 0 text.txt
expect 2 '--output' "$shard" --vocab vocab.txt text.txt

# Output that cannot be written: found before the text is read.
touch file
expect 2 'file/out' "$shard" --vocab vocab.txt --output file/out text.txt
expect 2 'is not a folder' "$shard" --vocab vocab.txt --output file text.txt
expect 2 'cannot be written' "$shard" --vocab vocab.txt --output /proc/out text.txt
if [ -w /dev/full ]; then got=0; "$inspect" --tokenize --vocab vocab.txt text.txt >/dev/full 2>err || got=$?; same "$got $(wc -l <err)" "1 1" "full disk under stdout"; fi

# A disk that fills up in the middle of writing.
code=0; (ulimit -f 8; trap '' XFSZ; exec "$shard" --vocab vocab.txt --quiet --output place/out text.txt) >out 2>err || code=$?
same "$code $(wc -l <err) $(ls -A place)" "1 1 " "no room: $(cat err)"
grep -q '^bert-shard: ' err

# Damaged shards.
"$shard" --vocab vocab.txt --seq-length 32 --quiet --output good text.txt
damage() {   # CODE WORD; the folder "bad" has been damaged
    expect "$1" "$2" "$inspect" --verify bad
    rm -rf bad
}
fresh() { rm -rf bad; cp -r good bad; }
size=$(stat -c %s good/training_00000.hdf5)
fresh; truncate -s $((size / 2)) bad/training_00000.hdf5; damage 5 'its manifest says'
fresh; printf 'X' | dd of=bad/training_00000.hdf5 bs=1 seek=$((size / 2)) conv=notrunc status=none; damage 5 'SHA-256'
fresh; rm bad/manifest.json; damage 2 '--adopt'
fresh; rm bad/training_00000.hdf5; damage 2 'the manifest lists it'
fresh; echo extra >>bad/vocab.txt; damage 5 'vocab.txt'
fresh; sed -i 's/"seed": 12345/"seed": 12346/' bad/manifest.json; damage 5 'manifest.json'
fresh; echo '{' >bad/manifest.json; damage 2 'manifest.json'
fresh; head -c 40 /dev/zero >bad/lengths.u16; damage 5 'lengths.u16'

# Files without a record: never more than one line, never a crash, wherever they are cut or changed.
for at in 0 1 8 50 96 200 400 800 1000 1500 2048 3000 5000; do
    mkdir one && cp good/training_00000.hdf5 one/ && printf '\377\377\377\377' | dd of=one/training_00000.hdf5 bs=1 seek=$at conv=notrunc status=none
    code=0; "$inspect" --adopt one --vocab vocab.txt >out 2>err || code=$?
    case "$code $(wc -l <err)" in "2 1"|"0 0") ;; *) echo "changed at $at: exit $code"; cat err; exit 1 ;; esac
    [ $code -eq 0 ] || same "$(ls one)" training_00000.hdf5 "left after a refused adoption"
    rm -rf one; mkdir one; head -c "$at" good/training_00000.hdf5 >one/training_00000.hdf5
    expect 2 'training_00000.hdf5' "$inspect" --adopt one --vocab vocab.txt
    rm -rf one
done
