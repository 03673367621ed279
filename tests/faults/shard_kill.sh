#!/usr/bin/env bash
# bert-shard killed at 50 points of its work, then run again: the same bytes, with what was finished taken over. A second sharder on one folder,
# a rank that dies, temporary files that find no place.
# limit: 200 s
. tests/cli/lib_text.sh
"${CC:-cc}" -shared -fPIC -o "$TMPDIR/count.so" tests/faults/count_calls.c -ldl
cd "$TMPDIR"
shard=$BUILD/bert-shard
make_vocab >vocab.txt
make_text 5 400 >text.txt
go() { "$shard" --vocab vocab.txt --seq-length 32 --shards 8 --threads 2 --output "$@"; }
sanitizer() { ldd "$shard" | sed -n 's/.*=> \(.*lib[a]san[^ ]*\).*/\1 /p'; }     # it must come first
preload="$(sanitizer)$TMPDIR/count.so"
equal() { diff -r good "$1" >/dev/null || { echo "after $2: other bytes"; diff -rq good "$1"; exit 1; }; }

go good --quiet text.txt
COUNT_FILE=count LD_PRELOAD=$preload go other --quiet text.txt; equal other "counting"; rm -r other
calls=$(cat count)
[ "$calls" -gt 100 ] || { echo "only $calls calls were counted"; exit 1; }

# Killed, seen to be in the middle, run again. Threads make the count vary a little at the end: the last points keep off it.
taken=0
for i in $(seq 50); do
    at=$((2 + (calls - 12) * i / 50))
    code=0; { KILL_AT=$at LD_PRELOAD=$preload go dir --quiet text.txt; } 2>/dev/null || code=$?
    same "$code $([ -e dir ] && echo finished) $([ -d .dir.unfinished ] && echo unfinished)" "137  unfinished" "killed at call $at of $calls"
    go dir text.txt >report; equal dir "death at call $at"
    found=$(sed -n 's/.*(\([0-9]*\) found finished).*/\1/p' report); taken=$((taken + ${found:-0}))
    same "$(ls -A | grep -c unfinished || true)" 0 "left over"; rm -r dir
done
[ $taken -gt 50 ] || { echo "only $taken shards were taken over in 50 runs"; exit 1; }

# Killed once more by another seed: nothing is taken over, nothing of it is left.
{ KILL_AT=$((calls - 12)) LD_PRELOAD=$preload go dir --quiet --seed 9 text.txt; } 2>/dev/null || true
[ -n "$(ls .dir.unfinished/*.done)" ] || { echo "no finished shard was left to be refused"; exit 1; }
go dir text.txt >report; equal dir "other work"; if grep -q found report; then echo "took over other work"; exit 1; fi; rm -r dir
# Nor with a vocabulary that gives the same ids but has another token, which the text never uses.
other() { "$shard" --vocab "$1" --seq-length 32 --shards 8 --threads 2 --quiet --output "$2" text.txt; }
for word in here there; do (cat vocab.txt; echo "$word") >$word.txt; done
{ KILL_AT=$((calls - 12)) LD_PRELOAD=$preload other here.txt dir; } 2>/dev/null || true
[ -n "$(ls .dir.unfinished/*.done)" ] || { echo "no finished shard was left to be refused"; exit 1; }
other there.txt dir; other there.txt fresh
diff -r fresh dir >/dev/null || { echo "took over shards of another vocabulary"; exit 1; }; rm -r dir fresh
# A finished shard that changed since is made again.
{ KILL_AT=$((calls - 12)) LD_PRELOAD=$preload go dir --quiet text.txt; } 2>/dev/null || true
done=$(ls .dir.unfinished/*.done | head -n 1); printf X | dd of="${done%.done}" bs=1 seek=3000 conv=notrunc status=none
go dir --quiet text.txt; equal dir "a spoilt shard"; rm -r dir

# Ranks: one is killed, all end; run again, by another number of them. Standard input that never ends holds them in the middle.
for at in 3 20 40; do
    code=0; KILL_AT=$at KILL_RANK=$((at % 2)) LD_PRELOAD=$preload timeout 60 "$MPIRUN" -np 2 "$shard" --vocab vocab.txt --seq-length 32 --shards 8 --threads 1 --quiet \
        --output dir text.txt >out.txt 2>&1 || code=$?
    [ $code -ne 0 ] && [ $code -ne 124 ] && [ ! -e dir ] || { echo "a killed rank: exit $code"; cat out.txt; exit 1; }
    "$MPIRUN" -np 3 "$shard" --vocab vocab.txt --seq-length 32 --shards 8 --threads 1 --quiet --output dir text.txt; equal dir "the death of a rank"; rm -r dir
done

# A second sharder on the same folder.
mkfifo pipe; go dir --quiet pipe & pid=$!
exec 7>pipe; for i in $(seq 100); do [ -e .dir.unfinished/lock ] && break; sleep 0.05; done
expect 2 'in use by process' "$shard" --vocab vocab.txt --output dir text.txt
cat text.txt >&7; exec 7>&-; wait $pid; equal dir "a second sharder"; rm -r dir

# Temporary files: no such folder, no room.
expect 2 'give another --temp' "$shard" --vocab vocab.txt --output dir --temp missing text.txt
expect 2 'give another --temp' "$shard" --vocab vocab.txt --output dir --temp /proc text.txt
mkdir temp; export FREE_BYTES=100000
code=0; LD_PRELOAD=$preload "$shard" --vocab vocab.txt --output dir text.txt 2>err || code=$?
same "$code $(wc -l <err)" "2 1"; grep -q "GB are free, but the shards will take" err || { cat err; exit 1; }
unset FREE_BYTES
same "$(ls -A | grep -c unfinished || true)" 0 "left when there was no space"
make_text 6 3000 >large.txt
least=$("$shard" --vocab vocab.txt --memory 1 --threads 1 --output x text.txt 2>&1 | sed 's/.*least //')
code=0; (ulimit -f 200; trap '' XFSZ; exec "$shard" --vocab vocab.txt --quiet --seq-length 32 --threads 1 --memory "$least" --temp temp --output dir large.txt) >out.txt 2>err || code=$?
same "$code $(wc -l <err) $(ls temp) $(ls -A | grep -c unfinished || true)" "1 1  0" "no room: $(cat err)"
grep -q 'give a --temp with more space' err || { cat err; exit 1; }
