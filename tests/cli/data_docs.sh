#!/usr/bin/env bash
# limit: 120 s
# Every command of docs/data.md, as it stands there, on small texts of the kinds that the page speaks of.
. tests/cli/lib_text.sh
docs=$PWD/docs/data.md
mkdir "$TMPDIR/bin" && printf '#!/bin/sh\nPATH="%s" exec "%s" "$@"\n' "$PATH" "$MPIRUN" >"$TMPDIR/bin/mpirun" && chmod +x "$TMPDIR/bin/mpirun"
sed -n '/^```sh$/,/^```$/p' "$docs" | grep -v '^```' >"$TMPDIR/commands.sh"
cd "$TMPDIR"
ln -s "$BUILD" build
mkdir books ko nvidia
for i in 1 2 3; do make_text "$i" 200 | tr '\n' ' ' | sed 's/  /\n\n/g; s/ \([a-l]\)\([a-l]*\)\./ \1\2. M\2/g' >"books/book-$i.txt"; done
make_text 4 60 | awk 'BEGIN { RS = "" } { gsub("\n", "\\n"); printf "{\"id\": \"%d\", \"title\": \"T\", \"text\": \"%s\"}\n", NR, $0 } NR == 7 { printf "{\"text\": \"%s\"}\n{\"text\": \"A stub.\"}\n", $0 }' | gzip >wiki.jsonl.gz
awk 'function r(n) { seed = (seed * 16807) % 2147483647; return seed % n }
     BEGIN { seed = 5; n = split("영화 배우 감독 이야기 음악 장면 관객 시간 사람 마음 작품 연기 한국 세계 사랑", w, " "); m = split("은 는 이 가 을 를 에서 으로 도", p, " ")
             k = split("재미있다. 좋았어요. 지루하다. 보았습니다. 슬프다! 왜일까? 추천합니다.", v, " ")
             for (d = 0; d < 80; d++) { for (s = 0; s < 6; s++) printf "%s%s %s%s %s ", w[1 + r(n)], p[1 + r(m)], w[1 + r(n)], p[1 + r(m)], v[1 + r(k)]; print "\n" } }' >ko/reviews.txt

# The adopted folder is made by the commands before it.
grep -n 'build/bert-inspect --adopt nvidia' commands.sh >/dev/null
sed -i 's|^build/bert-inspect --adopt nvidia|cp shards/training_00000.hdf5 nvidia/elsewhere_training_0.hdf5; &|' commands.sh
[ "$(grep -c '^build/\|^mpirun ' commands.sh)" -ge 14 ] || { echo "only these commands were found:"; cat commands.sh; exit 1; }
PATH=$TMPDIR/bin:$PATH bash -eu -o pipefail -x commands.sh >out 2>err || { echo "failed:"; tail -n 5 err; exit 1; }

# What the page says about the results.
grep -q '^  held out     0 test rows' out && grep -q '^  test  ' out || { echo "nothing was held out"; cat out; exit 1; }
grep -q '^equal: ' out
grep -q '"deduplicate": true' wiki-shards/manifest.json && grep -q '"documents": 60,' wiki-shards/manifest.json
grep -q '한\|영' ko-vocab.txt && ! grep -q 'ᄒ\|ᄋ' ko-vocab.txt
grep -q '"verified": true' report.json
