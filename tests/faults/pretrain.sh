#!/usr/bin/env bash
# Bad input to bert-pretrain: exactly one line that begins with the program's name, the documented exit code, no hang, nothing half-written.
# limit: 240 s
set -u
. "$(dirname "$0")/lib_pretrain.sh"
make_data
cd "$TMPDIR" || exit 1
good="--data data --model model.json --output refused --steps 4 --global-batch 8 --micro-batch 2"

refuse 2 'unknown option --leaning-rate; did you mean --learning-rate?' $good --leaning-rate 1
refuse 2 'missing: --data, --output'
refuse 2 '--steps or --epochs' --data data --model model.json --output refused
refuse 2 'unknown option --leaning-rate' NP=2 $good --leaning-rate 1
refuse 2 'beta1' $good --beta1 1.5
printf 'steps: 4\nseed: 1\nsteps: 5\n' >twice.yaml
refuse 2 'twice.yaml:3' --config twice.yaml --data data --model model.json --output refused

refuse 2 '8 or 10 would do' --data data --model model.json --output refused --steps 4 --global-batch 9 --micro-batch 2
refuse 2 'at most -np 4' NP=5 $good
refuse 2 'at most 4' $good --warmup-steps 5
refuse 2 'linear or polynomial' $good --schedule cosine --decay-from zero
refuse 2 'fewer than global-batch' $good --global-batch 1048576
refuse 2 'missing: --model' --data data --output refused --steps 4

sed 's/"hidden_size": 32/"hidden_size": 33/' model.json >odd.json
refuse 2 'hidden_size' $good --model odd.json
sed 's/"model_type"/"vocab_size": 100, "model_type"/' model.json >small.json
refuse 2 'vocab_size' $good --model small.json
sed 's/"max_position_embeddings": 64/"max_position_embeddings": 16/' model.json >short.json
refuse 2 'max_position_embeddings' $good --model short.json
sed 's/"gelu"/"gelu_new"/' model.json >tanh.json
refuse 2 'gelu_new' $good --model tanh.json
echo '{"hidden_size": ' >torn.json
refuse 2 'torn.json' $good --model torn.json
refuse 2 'absent.json' $good --model absent.json

shard=training_00000.hdf5
cp -r data truncated && truncate -s -64 truncated/$shard
refuse 5 "$shard" $good --data truncated
cp -r data flipped && printf '\377' | dd of=flipped/$shard bs=1 seek=3000 conv=notrunc status=none
refuse 5 "$shard" $good --data flipped
refuse 5 "$shard" NP=2 $good --data flipped
cp -r data bare && rm bare/manifest.json
refuse 2 'adopt' $good --data bare
mkdir empty
refuse 2 'adopt' $good --data empty
refuse 2 'absent' $good --data absent
cp -r data words && sed -i 's/^w195$/other/' words/vocab.txt
refuse 5 'vocab' $good --data words

echo file >occupied
refuse 2 'occupied' $good --output occupied
refuse 2 '/proc' $good --output /proc/refused
refuse 2 'dump-order' $good --dump-order /nonexistent/order
refuse 2 'absent' $good --init-from absent
refuse 2 'absent' $good --resume absent

# Ranks that were told different things: named, not hung.
timeout -k 5 60 "$MPIRUN" -np 1 "$pretrain" $good : -np 1 "$pretrain" $good --seed 5 2>err; code=$?
[ $code -eq 2 ] && [ "$(grep -c '^bert-pretrain: .*rank 1 .*seed: 5' err)" -eq 1 ] || complain "ranks with different seeds: exit code $code" "$(cat err)"
[ ! -e refused ] || complain 'ranks with different seeds left something behind'

# A run, then what may not change on resume; both values are named. Then more steps than are left.
"$MPIRUN" -np 2 "$pretrain" $good --output run --quiet >/dev/null || complain 'the plain run failed'
[ "$(status_of run)" = done ] || complain "status $(cat run/status.json)"
refuse 2 'learning-rate was 0.0001 and is now 0.5' $good --output run --steps 6 --learning-rate 0.5
refuse 2 'seed was 12345 and is now 1' $good --output run --steps 6 --seed 1
sed 's/"num_attention_heads": 2/"num_attention_heads": 4/' model.json >heads.json
refuse 2 'num_attention_heads was 2 and is now 4' $good --output run --steps 6 --model heads.json
refuse 2 'holds checkpoints' $good --output run --steps 6 --resume no
"$BUILD/bert-shard" --quiet --seed 2 --vocab vocab.txt --seq-length 32 --output data2 text.txt
refuse 2 'other data' $good --output run --steps 6 --data data2
[ "$(status_of run)" = done ] || complain "a refusal touched status.json: $(cat run/status.json)"

# Finished: says so, 0. Every checkpoint corrupt: refused rather than begun anew.
"$MPIRUN" -np 2 "$pretrain" $good --output run >out 2>err || complain "a finished run does not end with 0: $(cat err)"
grep -q 'finished at step 4' err && [ "$(cat out)" = run/checkpoint-0000004 ] || complain "finished run: $(cat out err)"

# More steps are allowed; another kernel set is said.
BERT_ISA=base "$pretrain" $good --output run --steps 6 --quiet >out 2>err; code=$?
[ $code -eq 0 ] && [ "$(cat out)" = run/checkpoint-0000006 ] || complain "two more steps: exit code $code" "$(cat out err)"
grep -q 'bits will differ' err || grep -q '"kernel_set": *"base' run/checkpoint-0000004/manifest.json || complain "another kernel set is not said: $(cat err)"
for step in 4 6; do printf 'x' | dd of=run/checkpoint-000000$step/model.safetensors bs=1 seek=2000 conv=notrunc status=none; done
timeout 60 "$pretrain" $good --output run --steps 8 2>err
[ $? -eq 5 ] && grep -q '^bert-pretrain: .*verifies' err || complain "corrupt checkpoint: $(cat err)"
exit $failed
