#!/usr/bin/env bash
# bert-shard: one text in every dress gives the same bytes; output is finished or not there.
. tests/cli/lib_text.sh
cd "$TMPDIR"
shard=$BUILD/bert-shard
make_text 1 60 >text.txt
make_vocab >vocab.txt
go() { local out=$1; shift; "$shard" --vocab vocab.txt --seq-length 64 --output "$out" --quiet "$@"; }
equal() { for f in manifest.json lengths.u16 vocab.txt training_00000.hdf5; do cmp "$1/$f" "$2/$f" || exit 1; done; }

# Equal input, equal bytes: again a second later, from pieces, a folder, a pipe, gzip.
go a text.txt
same "$(ls a | tr '\n' ' ')" "lengths.u16 manifest.json training_00000.hdf5 vocab.txt "
same "$(ls -A | grep -c tmp || true)" 0 "work folders left"
same "$(stat -c %a a)" "$(mkdir plain && stat -c %a plain)" "permissions"
sleep 1.1
go b text.txt; equal a b
mkdir -p parts/sub
awk 'BEGIN { RS = ""; ORS = "\n\n" } NR <= 20' text.txt >parts/a; awk 'BEGIN { RS = ""; ORS = "\n\n" } NR > 20 && NR <= 40' text.txt >parts/sub/x
awk 'BEGIN { RS = ""; ORS = "\r\n\r\n" } NR > 40 { gsub("\n", "\r\n"); print }' text.txt | gzip >parts/t
go c parts; equal a c
go d - <text.txt; equal a d
go e <(cat text.txt); equal a e
awk 'BEGIN { RS = "" } { gsub("\n", "\\n"); print "{\"id\": " NR ", \"text\": \"" $0 "\"}" }' text.txt >text.jsonl
go f text.jsonl; equal a f

# Options that decide the bytes do.
go g --seed 7 text.txt
cmp -s a/training_00000.hdf5 g/training_00000.hdf5 && { echo "another seed, equal bytes"; exit 1; }
rows() { sed -n 's/.*"rows": \([0-9]*\).*/\1/p' "$1/manifest.json" | head -n 1; }
go h --duplicates 2 text.txt
[ "$(rows h)" -gt $(($(rows a) * 9 / 5)) ] || { echo "2 duplicates: $(rows h) rows, 1: $(rows a)"; exit 1; }
go i --no-nsp text.txt
grep -q '"next_sentence": false' i/manifest.json
"$BUILD/bert-inspect" --verify i >/dev/null

# Finished output is kept unless --force; replaced whole.
expect 2 'holds finished shards' "$shard" --vocab vocab.txt --seq-length 64 --output a text.txt
go a --force --seed 7 text.txt; equal a g
go a --force text.txt; equal a b
same "$(ls -A | grep -c 'tmp-' || true)" 0 "hidden folders left"
mkdir other && touch other/file
expect 2 'is not empty' "$shard" --vocab vocab.txt --output other --force text.txt

# The summary tells what matters; warnings where casing or vocabulary look wrong.
"$shard" --vocab vocab.txt --output j text.txt >report 2>/dev/null
grep -q 'tokens used 100.00 %, random next' report || { cat report; exit 1; }
(make_vocab; echo Abc) >capitals.txt
expect 0 'warning: the vocabulary holds capitals' "$shard" --vocab capitals.txt --output k --quiet text.txt
sed 's/[a-l]/z/g' text.txt >unknown.txt
expect 0 'are [UNK]' "$shard" --vocab vocab.txt --output l --quiet unknown.txt
mkdir model && cp vocab.txt model/ && echo '{"do_lower_case": false, "tokenizer_class": "BertTokenizer"}' >model/tokenizer_config.json
"$shard" --vocab model --output m --quiet text.txt
grep -q '"lowercase": false' m/manifest.json

# Interrupted: nothing is left.
mkdir place
(cat text.txt; sleep 2) | "$shard" --vocab vocab.txt --output place/n - 2>/dev/null & pid=$!
sleep 0.5; kill -TERM $pid
code=0; wait $pid || code=$?
same "$code" 143 "exit of a terminated one"
same "$(ls -A place | wc -l)" 0 "left after SIGTERM"
