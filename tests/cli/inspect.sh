#!/usr/bin/env bash
# bert-inspect: describes, verifies, shows, compares, adopts, tokenizes.
. tests/cli/lib_text.sh
cd "$TMPDIR"
inspect=$BUILD/bert-inspect
make_text 2 40 >text.txt
make_vocab >vocab.txt
go() { local out=$1; shift; "$BUILD/bert-shard" --vocab vocab.txt --seq-length 32 --output "$out" --quiet "$@"; }
go a text.txt
go b --mask-prob 0.3 text.txt
code() { local want=$1 got=0; shift; "$@" >out 2>err || got=$?; same "$got" "$want" "$*: $(cat out err)"; }

code 0 "$inspect" --verify a
grep -q 'a: shards, sequence length 32, at most 5 predictions, next sentence yes' out && grep -q 'verified     hashes and every value' out || { cat out; exit 1; }
code 0 "$inspect" --verify a/training_00000.hdf5
grep -q 'one shard' out

# --stats and --json; nothing but the object on stdout, nothing at all when something is wrong.
code 0 "$inspect" --verify --stats a
grep -q 'lengths      training: ' out && [ "$(grep -c '^ *[0-9]*-[0-9]* .* %' out)" -eq 16 ] && grep -q '^ *31-32 .*####' out || { cat out; exit 1; }
grep -q 'labels       0: ' out && grep -q 'repeated     0 rows in every value' out && grep -q '\[UNK\]        ' out && grep -q 'as \[MASK\] ' out || { cat out; exit 1; }
grep -v -e '  options ' -e '  summary ' out | awk 'length > 80 { print "wider than 80 columns: " $0; exit 1 }'
code 0 "$inspect" --verify --stats --json a a/training_00000.hdf5
same "$(head -n 1 out)$(tail -n 1 out) $(grep -c '"path"' out) $(grep -c '"verified": true' out) $(wc -c <err)" '{} 2 2 0'
expect 2 'goes with' "$inspect" --json --example 0 a
expect 2 'goes with' "$inspect" --stats --diff a b
expect 2 'leave it out' "$inspect" --vocab vocab.txt a
expect 2 'nothing' "$inspect" --json a nothing
[ ! -s out ] || { echo 'stdout is not empty after an error:'; cat out; exit 1; }
tr -d . <text.txt | sed 's/[a-l]\{4,\}/zebra/g' >strange.txt
go strange strange.txt 2>err
code 0 "$inspect" --verify strange; grep -q 'are \[UNK\]' err || { cat out err; exit 1; }

# A row in words is the text again: its A begins with [CLS], what was masked is shown.
code 0 "$inspect" --example 0 a
grep -q '^A: \[CLS\] .*\[SEP\]$' out && grep -q '^B: .*\[SEP\]$' out && grep -q ':[#a-l.]*\]' out || { cat out; exit 1; }
go swapped --sentence-order text.txt
for row in $(seq 0 20); do "$inspect" --example "$row" swapped || exit 1; done >out
grep -q ', A follows B: they are swapped (label 1)$' out && grep -q ', B follows A (label 0)$' out && ! grep -q 'elsewhere' out || { cat out; exit 1; }
for row in $(seq 0 20); do "$inspect" --example "$row" a || exit 1; done >out
grep -q ', B is from elsewhere (label 1)$' out && ! grep -q 'swapped' out || { cat out; exit 1; }
code 0 "$inspect" swapped; grep -q 'sentence order (label 1: swapped)$' out || { cat out; exit 1; }
expect 2 'has rows 0 to' "$inspect" --example 1000000 a

# --diff: 0 equal, 5 different.
cp -r a c
code 0 "$inspect" --diff a c; grep -q '^equal: ' out
code 5 "$inspect" --diff a b; grep -q '^different: training row [0-9]*: input_ids' out
go d --seq-length 40 text.txt
code 5 "$inspect" --diff a d; grep -q 'sequence length' out
expect 2 'needs two paths' "$inspect" --diff a

# --adopt: our own files without what stands beside them, under other names.
mkdir e f && cp a/training_00000.hdf5 e/wiki_training_7.h5 && cp a/training_00000.hdf5 f/shard_test_1.hdf5
expect 2 '--adopt' "$inspect" e
code 0 "$inspect" --adopt e --vocab vocab.txt
same "$(ls e | tr '\n' ' ')" "lengths.u16 manifest.json vocab.txt wiki_training_7.h5 "
code 0 "$inspect" --diff a e
code 0 "$inspect" --verify e
cmp a/lengths.u16 e/lengths.u16
code 0 "$inspect" --adopt f --vocab vocab.txt; [ -e f/lengths-test.u16 ]
expect 2 'nothing to adopt' "$inspect" --adopt e --vocab vocab.txt
mkdir g && cp a/training_00000.hdf5 g/
(printf '%s\n' '[PAD]' '[UNK]' '[MASK]' '[CLS]' '[SEP]'; sed 1,5d vocab.txt) >other.txt
expect 2 'is --vocab the vocabulary' "$inspect" --adopt g --vocab other.txt
head -n 12 vocab.txt >short.txt
expect 2 'outside the vocabulary' "$inspect" --adopt g --vocab short.txt
same "$(ls g)" training_00000.hdf5 "left after a refused adoption"
expect 2 'needs --vocab' "$inspect" --adopt g

# Files without a record are read in a child process; what it may use is limited.
[ -n "${ASAN_OPTIONS:-}" ] || expect 2 'needs more than 1 MiB' "$inspect" --verify --parse-memory 1 e/wiki_training_7.h5
[ -n "${ASAN_OPTIONS:-}" ] || expect 2 'needs more than 1 MiB' "$inspect" --adopt g --vocab vocab.txt --parse-memory 1
code 0 "$inspect" --verify --vocab vocab.txt e/wiki_training_7.h5; grep -q '\[UNK\]  ' out
mkfifo pipe.h5; expect 2 'pipe.h5' "$inspect" pipe.h5

# --tokenize: a line of ids per line; \r, blanks and empty lines as they stand; specials are kept unless told otherwise.
printf 'ab. [MASK]\n\n \r\nAB' >lines.txt
code 0 "$inspect" --tokenize --vocab vocab.txt lines.txt
same "$(tr '\n' '|' <out)" "30 5 4|||30|"
code 0 "$inspect" --tokenize --cased --special-tokens split --vocab vocab.txt - <lines.txt
same "$(tr '\n' '|' <out)" "30 5 1 1 1|||1|"

# Checkpoints: tensors by name, type, shape and bytes; files by the manifest's hashes.
tensors() {   # file, text of 12 bytes
    local head='{"__metadata__":{"format":"pt"},"bert.b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"bert.a":{"dtype":"F16","shape":[2,2],"data_offsets":[4,12]}}'
    printf "\\x$(printf %x ${#head})\0\0\0\0\0\0\0%s%s" "$head" "$2" >"$1"
}
for k in x y; do
    mkdir $k; tensors $k/model.safetensors abcdefghijkl; echo '{}' >$k/config.json
    manifest() { printf '{"format": "bert-checkpoint", "step": 40, "run_uuid": "%s", "files": {' $k
        for f in config.json model.safetensors; do printf '"%s": {"bytes": %d, "sha256": "%s"}' $f "$(stat -c %s $k/$f)" "$(sha256sum <$k/$f | cut -c1-64)"; [ $f = config.json ] && printf ', '; done
        printf '}}\n'; }
    manifest >$k/manifest.json
done
code 0 "$inspect" --verify x
grep -q 'x: checkpoint, 2 tensors, 5 parameters' out && grep -q 'verified     sizes and hashes of 2 files' out && grep -q 'bert.a .* F16 2 x 2' out || { cat out; exit 1; }
code 0 "$inspect" --verify --json x
grep -q '"kind": "checkpoint"' out && grep -q '"parameters": 5' out && grep -q '"verified": true' out && grep -q '"step": 40' out || { cat out; exit 1; }
expect 2 'holds no shards' "$inspect" --stats x
code 0 "$inspect" --diff x y
echo '{"a": 1}' >y/config.json; k=y; manifest >y/manifest.json
code 5 "$inspect" --diff x y; grep -q 'different: config.json' out
tensors y/model.safetensors abcdefghijkm
code 5 "$inspect" --diff x y; grep -q 'different: bert.a: values' out
expect 5 'differs from what its manifest recorded' "$inspect" --verify y
tensors y/model.safetensors abcdefghijk
expect 2 'its bytes are not in the file' "$inspect" y
printf '\377\377\377\377\377\377\377\177{}' >y/model.safetensors
expect 2 'its header of' "$inspect" y
expect 2 'no such file' "$inspect" nothing
