#!/usr/bin/env bash
# bert-shard: the same bytes from any number of ranks, threads, budget; held-out, short, equal documents; the number of files.
# limit: 120 s
. tests/cli/lib_text.sh
cd "$TMPDIR"
shard=$BUILD/bert-shard
make_vocab >vocab.txt
make_text 4 3000 >text.txt
least() { "$shard" --vocab vocab.txt --memory 1 --threads "$1" --output x text.txt 2>&1 | sed 's/.*least //'; }
go() { local out=$1; shift; "$shard" --vocab vocab.txt --seq-length 64 --duplicates 2 --eval-fraction 0.1 --output "$out" --quiet "$@"; }
equal() { diff -r "$1" "$2" >/dev/null || { echo "$1 and $2 differ"; diff -rq "$1" "$2"; exit 1; }; }

go a --threads 1 text.txt
same "$(ls a | tr '\n' ' ')" "lengths-test.u16 lengths.u16 manifest.json test_00000.hdf5 training_00000.hdf5 training_00001.hdf5 vocab.txt "
"$BUILD/bert-inspect" --verify a >/dev/null

# Threads, budgets. The smallest budget is below what the text needs, so that temporary files are used: they can be seen to be.
for t in 1 2 4; do
    go b --threads $t text.txt; equal a b; rm -r b
    mkdir temp; go b --threads $t --memory "$(least $t)" --temp temp text.txt & pid=$!
    seen=0; while kill -0 $pid 2>/dev/null; do [ -s "$(echo temp/*/rows-0)" ] && seen=1; sleep 0.01; done; wait $pid
    equal a b; same "$seen $(ls temp)" "1 " "temporary files seen, and gone"; rm -r b temp
done

# Ranks; text from files and on standard input, with a blank line between files.
for np in 1 2 3; do "$MPIRUN" -np $np "$shard" --vocab vocab.txt --seq-length 64 --duplicates 2 --eval-fraction 0.1 --threads 1 --output b --quiet text.txt; equal a b; rm -r b; done
mkdir parts; awk 'BEGIN { RS = ""; ORS = "\n\n" } { print >"parts/" (NR % 2 ? "a" : "b") int(NR / 500) }' text.txt
(for f in parts/*; do cat "$f"; echo; done) >joined.txt
go c parts; go d - <joined.txt; equal c d; rm -r d
"$MPIRUN" -np 2 "$shard" --vocab vocab.txt --seq-length 64 --duplicates 2 --eval-fraction 0.1 --threads 1 --output d --quiet - <joined.txt; equal c d

# Number of files.
go e --shards 5 text.txt
same "$(ls e | grep -c training)" 5; "$BUILD/bert-inspect" --verify e >/dev/null
expect 2 '--shards' "$shard" --vocab vocab.txt --output f --shards 99999 text.txt

# Short and equal documents: as if they were not in the text.
make_text 4 60 >small.txt
(cat small.txt; printf 'ab.\n\n'; head -c 3000 small.txt | awk 'BEGIN { RS = ""; ORS = "\n\n" } NR <= 2'; printf 'ab c.\n\n'; cat small.txt) >more.txt
plain() { local out=$1; shift; "$shard" --vocab vocab.txt --seq-length 64 --output "$out" --quiet "$@"; }
plain g small.txt; plain h --deduplicate --min-tokens 10 more.txt
cmp g/training_00000.hdf5 h/training_00000.hdf5
grep -q '"equal_documents_left_out": 62' h/manifest.json; grep -q '"short_documents_left_out": 2' h/manifest.json
"$MPIRUN" -np 3 "$shard" --vocab vocab.txt --seq-length 64 --output i --quiet --deduplicate --min-tokens 10 --threads 1 more.txt; equal h i

# Held-out documents: as many as were asked for, on both sides enough.
grep -q '"test_documents": 300' a/manifest.json
expect 2 '--eval-fraction' "$shard" --vocab vocab.txt --output j --eval-fraction 0.01 small.txt
plain j --eval-fraction 0.01 --no-nsp small.txt
same "$(ls j | grep -c test_)" 1
