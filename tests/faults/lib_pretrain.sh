# Sourced by the tests of bert-pretrain: a small vocabulary, text, shards and model in $TMPDIR, and how a refusal is checked.
export OMP_WAIT_POLICY=passive OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
pretrain=$BUILD/bert-pretrain
failed=0
complain() { printf '%s\n' "$@"; failed=1; }

make_data() {   # $TMPDIR/vocab.txt, text.txt, data/ (S 32), model.json (2 layers of 32)
    { printf '%s\n' '[PAD]' '[UNK]' '[CLS]' '[SEP]' '[MASK]'; for i in $(seq 0 195); do echo "w$i"; done; } >"$TMPDIR/vocab.txt"
    awk 'BEGIN { srand(7); for (d = 0; d < 60; d++) { for (s = 0; s < 12; s++) { n = 4 + int(rand() * 10); line = "";
         for (i = 0; i < n; i++) line = line " w" int(196 * rand() * rand()); print substr(line, 2) } print "" } }' >"$TMPDIR/text.txt"
    "$BUILD/bert-shard" --quiet --vocab "$TMPDIR/vocab.txt" --seq-length 32 --output "$TMPDIR/data" "$TMPDIR/text.txt" || exit 1
    cat >"$TMPDIR/model.json" <<'JSON'
{"architectures": ["BertForPreTraining"], "model_type": "bert", "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
 "intermediate_size": 64, "hidden_act": "gelu", "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1,
 "max_position_embeddings": 64, "type_vocab_size": 2, "initializer_range": 0.02, "layer_norm_eps": 1e-12, "pad_token_id": 0}
JSON
}

# refuse CODE WORDS [NP=n] OPTIONS...: exactly one line of ours, with WORDS in it, the exit code, within 60 s, and no checkpoint at $out.
refuse() {
    local code=$1 words=$2 np=1 got lines; shift 2
    case ${1:-} in NP=*) np=${1#NP=}; shift ;; esac
    if [ "$np" -eq 1 ]; then timeout -k 5 60 "$pretrain" "$@" >"$TMPDIR/out" 2>"$TMPDIR/err"; got=$?      # mpirun takes 2 s to end badly
    else timeout -k 5 60 "$MPIRUN" -np "$np" "$pretrain" "$@" >"$TMPDIR/out" 2>"$TMPDIR/err"; got=$?; fi
    lines=$(grep -c '^bert-pretrain: ' "$TMPDIR/err")
    [ "$got" -eq "$code" ] || complain "exit code $got, wanted $code: $*" "$(cat "$TMPDIR/err")"
    [ "$lines" -eq 1 ] || complain "$lines lines of ours, wanted 1: $*" "$(cat "$TMPDIR/err")"
    grep '^bert-pretrain: ' "$TMPDIR/err" | grep -qF -- "$words" || complain "the line lacks \"$words\": $*" "$(cat "$TMPDIR/err")"
    [ -s "$TMPDIR/out" ] && complain "something on stdout: $*" "$(cat "$TMPDIR/out")"
    [ -n "$(find "$TMPDIR/refused" -name 'checkpoint-*' 2>/dev/null)" ] && complain "something half-written: $*" "$(find "$TMPDIR/refused")"
    rm -rf "$TMPDIR/refused"
}

status_of() { sed 's/.*"state": *"\([a-z]*\)".*/\1/' "$1/status.json" 2>/dev/null; }

# A job that runs until told otherwise: start_job NP OPTIONS...; $job is mpirun, rank_pid its first rank.
start_job() {
    local np=$1; shift
    "$MPIRUN" -np "$np" "$pretrain" "$@" >"$TMPDIR/job.out" 2>"$TMPDIR/job.err" &
    job=$!
}
wait_for() {   # seconds, command...
    local limit=$1; shift
    for _ in $(seq $((limit * 10))); do "$@" && return 0; sleep 0.1; done
    complain "waited $limit s for: $*" "$(cat "$TMPDIR/job.err" 2>/dev/null)"
    return 1
}
