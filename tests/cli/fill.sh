#!/usr/bin/env bash
# bert-fill: what it prints, and one line with the documented code for what it refuses.
set -u
cd "$TMPDIR" || exit 1
bad=0
no() { printf '%s\n' "$*"; bad=1; }
make_it() { "$MPIRUN" -np 1 "$BUILD/tests/tools/checkpoint" make config.json vocab.txt "$1" uncased 2>>noise || { cat noise; exit 1; }; }
printf '%s\n' '[PAD]' '[UNK]' '[CLS]' '[SEP]' '[MASK]' the cat '##s' sat on mat . >vocab.txt
echo '{"model_type":"bert","hidden_size":16,"num_hidden_layers":1,"num_attention_heads":2,"intermediate_size":32,"max_position_embeddings":16}' >config.json
checkpoint=$(make_it run)

refused() {   # code, word, arguments...
    local code=$1 word=$2; shift 2
    "$BUILD/bert-fill" "$@" >out 2>err </dev/null; local got=$?
    [ "$got" = "$code" ] || no "bert-fill $*: exit $got, expected $code: $(cat err)"
    [ "$(wc -l <err)" = 1 ] && grep -q '^bert-fill: ' err || no "bert-fill $*: not one line of its own: $(cat err)"
    grep -q -- "$word" err || no "bert-fill $*: '$word' is not in: $(cat err)"
}

"$BUILD/bert-fill" --checkpoint "$checkpoint" --top 2 'The [MASK] sat on [MASK] mat.' 'the [MASK]' >out 2>err || no "exit $?: $(cat err)"
[ "$(grep -c '^  \[MASK\] [12]:  [^ ]* 0\.[0-9]*  [^ ]* 0\.[0-9]*$' out)" = 3 ] || no "three lines of two words each: $(cat out)"
[ "$(head -n 1 out)" = 'The [MASK] sat on [MASK] mat.' ] || no "the text first: $(cat out)"
printf 'the [MASK]\r\n\n[MASK] cat' | "$BUILD/bert-fill" --checkpoint "$checkpoint" --top 2 --threads 1 - >lines 2>err || no "exit $?: $(cat err)"
[ "$(grep -c '^  \[MASK\] 1:' lines)" = 2 ] || no "a line of input is a text: $(cat lines)"
[ "$(grep -A 1 '^the \[MASK\]$' lines)" = "$(grep -A 1 '^the \[MASK\]$' out)" ] || no "the same text gave other words"
"$BUILD/bert-fill" --checkpoint "$checkpoint" --top 1000 '[MASK]' >all 2>err || no "exit $?: $(cat err)"
[ "$(tr ' ' '\n' <all | grep -c '^0\.')" = 12 ] || no "--top beyond the vocabulary shows it all: $(cat all)"

refused 2 'no \[MASK\]' --checkpoint "$checkpoint" 'the cat'
refused 2 'the model takes 16' --checkpoint "$checkpoint" "[MASK] $(printf 'cat %.0s' {1..14})"
refused 2 'TEXT is missing' --checkpoint "$checkpoint"
refused 2 'checkpoint' 'the [MASK]'
refused 2 'no such folder' --checkpoint nowhere '[MASK]'
refused 2 'top' --checkpoint "$checkpoint" --top 0 '[MASK]'
mkdir empty; cp config.json empty
sed -i 's/{/{"vocab_size":12,/' empty/config.json
refused 2 'no model.safetensors' --checkpoint empty '[MASK]'
cp -r "$checkpoint" older
sed -i 's/"format_version": 1/"format_version": 2/' older/manifest.json
refused 2 'use a newer one' --checkpoint older '[MASK]'
cp -r "$checkpoint" damaged
printf 'X' | dd of=damaged/model.safetensors bs=1 seek=1000 conv=notrunc 2>/dev/null
refused 5 'SHA-256' --checkpoint damaged '[MASK]'
cp -r "$checkpoint" copy && rm copy/training.h5
"$BUILD/bert-fill" --checkpoint copy '[MASK]' >out 2>err || no "a copy without training.h5: exit $?: $(cat err)"
exit $bad
