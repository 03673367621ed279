#!/usr/bin/env bash
# --precision bf16: trains nearly as fp32 does; one SHA-256 of the weights for each kernel set, whatever the ranks and threads, stopped and
# resumed or not, and emulated the same as with AMX; never mixed with fp32; refused where it cannot be had. 30 steps with dropout.
# limit: 400 s
set -u
. "$(dirname "$0")/lib_pretrain.sh"
make_data
cd "$TMPDIR" || exit 1
steps=30
unset BERT_BF16 BERT_GEMM BERT_ISA

train() {   # output np threads options...
    local output=$1 np=$2 threads=$3; shift 3
    "$MPIRUN" -np "$np" "$pretrain" --quiet --data data --model model.json --output "$output" --steps $steps --global-batch 16 --micro-batch 2 \
        --learning-rate 3e-3 --warmup-steps 5 --log-every 1 --threads "$threads" --check-every 7 "$@" >/dev/null 2>err
}
hash_of() { sha256sum <"$1/checkpoint-$(printf %07d $steps)/model.safetensors" | cut -c1-64; }

train fp32 1 2 || complain "fp32: $(cat err)"
sets=emulated
BERT_BF16=avx512bf16 train probe 1 1 --precision bf16 --dry-run && sets="$sets avx512bf16"
BERT_BF16=amx train probe 1 1 --precision bf16 --dry-run && sets="$sets amx"
for set in $sets; do
    export BERT_BF16=$set
    train $set.1.1 1 1 --precision bf16 || complain "$set: $(cat err)"
    for way in 1:2 2:1 4:2; do
        train $set.$way ${way%:*} ${way#*:} --precision bf16 || complain "$set, $way: $(cat err)"
        [ "$(hash_of $set.$way)" = "$(hash_of $set.1.1)" ] || complain "$set: np:threads $way gives $(hash_of $set.$way), 1:1 gave $(hash_of $set.1.1)"
    done
    train $set.stopped 2 1 --precision bf16 --stop-after 11; code=$?
    [ $code -eq 75 ] || complain "$set: stop after 11 steps gave $code: $(cat err)"
    train $set.stopped 1 2 --precision bf16 || complain "$set, resumed: $(cat err)"
    [ "$(hash_of $set.stopped)" = "$(hash_of $set.1.1)" ] || complain "$set: stopped and resumed: $(hash_of $set.stopped), unbroken $(hash_of $set.1.1)"
    grep -q "\"kernel_set\": *\"[a-z0-9]*, bf16 $set\"" $set.1.1/checkpoint-*/manifest.json || complain "$set is not in the manifest"

    # Losses of all steps: near those of fp32, and yet not the same.
    paste -d' ' fp32/metrics.jsonl $set.1.1/metrics.jsonl | sed 's/.*"loss": *\([0-9.e+-]*\),.*"loss": *\([0-9.e+-]*\),.*/\1 \2/' |
        awk '{ d = $1 - $2; if (d < 0) d = -d; if (d > most) most = d; first = NR == 1 ? $1 : first; last = $1 }
             END { print NR, most, first - last; exit !(NR == 30 && most > 1e-6 && most < 0.002 && first - last > 0.3) }' >band ||
        complain "$set: steps, largest difference of losses to fp32, fall of the loss: $(cat band)"
    cat band
    unset BERT_BF16
done
case $sets in *amx*) [ "$(hash_of emulated.1.1)" = "$(hash_of amx.1.1)" ] || complain "emulated $(hash_of emulated.1.1), AMX $(hash_of amx.1.1)" ;; esac
case $sets in *avx512bf16*) [ "$(hash_of emulated.1.1)" != "$(hash_of avx512bf16.1.1)" ] || complain "two orders of additions, one result" ;; esac

# Ranks of different abilities take the lowest set among them.
common="--quiet --data data --model model.json --output mixed --steps $steps --global-batch 16 --micro-batch 2 --learning-rate 3e-3 --warmup-steps 5 --precision bf16"
last=${sets##* }
"$MPIRUN" -np 1 -x BERT_BF16=emulated "$pretrain" $common : -np 1 -x BERT_BF16=$last "$pretrain" $common >/dev/null 2>err || complain "mixed sets: $(cat err)"
grep -q '"kernel_set": *"[a-z0-9]*, bf16 emulated"' mixed/checkpoint-*/manifest.json || complain "mixed sets: $(grep kernel_set mixed/checkpoint-*/manifest.json)"

# Resumed: another precision is refused, another set is said.
good="--data data --model model.json --global-batch 16 --micro-batch 2 --learning-rate 3e-3 --warmup-steps 5 --check-every 7 --log-every 1 --steps 31"
refuse 2 'precision was bf16 and is now fp32' $good --output emulated.1.1
BERT_BF16=emulated refuse 2 'precision was fp32 and is now bf16' $good --output fp32 --precision bf16 --threads 1
if [ "$sets" != emulated ]; then
    BERT_BF16=avx512bf16 "$pretrain" $good --output emulated.1.1 --precision bf16 --quiet >/dev/null 2>err || complain "resumed with another set: $(cat err)"
    grep -q 'bf16 emulated, resumed with .*bf16 avx512bf16: bits will differ' err || complain "another set is not said: $(cat err)"
fi

# Where it cannot be had: one line, before anything is written.
export BERT_BF16=emulated
BERT_GEMM=openblas refuse 2 'BERT_GEMM asks for openblas' $good --output refused --precision bf16
BERT_BF16=fp8 refuse 2 'BERT_BF16=fp8' $good --output refused --precision bf16
BERT_BF16=fp8 refuse 2 'BERT_BF16=fp8' NP=2 $good --output refused --precision bf16
refuse 2 'precision' $good --output refused --precision fp16
unset BERT_BF16
for level in ref base avx2; do      # another kernel set is needed; on a CPU that has none: another CPU
    BERT_ISA=$level refuse 2 'precision: bf16 needs' $good --output refused --precision bf16
done
exit $failed
