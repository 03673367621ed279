#!/usr/bin/env bash
# make demo: from text to a trained BERT in less than ten minutes on two cores. Everything lies in build/demo.
#
#   cluster/demo.sh          [TEXT=file or folder: other text, one segment a line or paragraphs, a blank line between documents]
#
# Stages: what is needed, build, text, vocabulary, shards, training on two ranks for MINUTES (4), words guessed before and after.
# A finished stage is not repeated unless its inputs changed; an interrupted training goes on.
set -u
cd "$(dirname "$0")/.." || exit 1
BUILD=${BUILD:-build} TEXT=${TEXT:-} MINUTES=${MINUTES:-4}
demo=$BUILD/demo
sentences=("This function returns the [MASK] of the string." "For more information, see the [MASK] page." "You can use a regular [MASK] to match the text.")
mkdir -p "$demo/stages" || exit 2
say() { printf '\n== %s\n' "$*"; }
die() { echo "demo: $*" >&2; exit "${code:-1}"; }

# stage NAME INPUT... -- COMMAND...: skipped when the same command finished on the same inputs (files and folders).
stage() {
    local name=$1 inputs=() key began=$SECONDS; shift
    while [ "$1" != -- ]; do inputs+=("$1"); shift; done; shift
    key=$(printf '%s ' "$@"; find -L "${inputs[@]}" -type f -exec cksum {} + | sort)
    if [ "$(cat "$demo/stages/$name" 2>/dev/null)" = "$key" ]; then say "$name: finished before"; return 0; fi
    say "$name: $*"
    rm -f "$demo/stages/$name"
    "$@"; code=$?
    [ "$code" = "${stop_code:-}" ] && code=0   # stopped on request is the end that was asked for
    [ $code -eq 0 ] || die "$name: ended with $code after $((SECONDS - began)) s"
    printf '%s\n' "$key" >"$demo/stages/$name"
    printf '   %s: %d s\n' "$name" $((SECONDS - began))
}

# Debian's Perl documentation: prose, packaged everywhere, 3 MB when the code is taken out. No root needed.
perl_text() {
    local folder=$demo/perl-doc
    rm -rf "$folder"; mkdir -p "$folder" || return 1
    echo "   apt-get download perl-doc; dpkg-deb -x perl-doc_*.deb; awk -f cluster/pod_to_text.awk *.pod"
    if ! command -v apt-get >/dev/null || ! (cd "$folder" && apt-get download perl-doc >apt.log 2>&1); then
        echo "demo: the package perl-doc cannot be downloaded; give other text: make demo TEXT=FILE" >&2
        return 1
    fi
    dpkg-deb -x "$folder"/perl-doc_*.deb "$folder/files" || return 1
    # Not prose in English: lists of contents and of functions, changes, tables, translations.
    find "$folder/files" -name '*.pod' ! -name 'perltoc.pod' ! -name 'perlapi.pod' ! -name 'perl*delta.pod' ! -name 'perluniprops.pod' \
        ! -name 'perlcn.pod' ! -name 'perljp.pod' ! -name 'perlko.pod' ! -name 'perltw.pod' | LC_ALL=C sort >"$folder/list"
    [ -s "$folder/list" ] || { echo "demo: the package perl-doc holds no .pod file" >&2; return 1; }
    xargs -d '\n' env LC_ALL=C awk -f cluster/pod_to_text.awk <"$folder/list" >"$demo/text.part" && mv "$demo/text.part" "$demo/text" && rm -rf "$folder"
}

# Cores (not hardware threads) that this shell may use; bounded by a container's share of time.
usable_cores() {
    local quota period cores
    cores=$(lscpu -p=CPU,CORE,SOCKET 2>/dev/null | awk -F, -v allowed="$(sed -n 's/^Cpus_allowed_list:[ \t]*//p' /proc/self/status)" '
        BEGIN { n = split(allowed, part, ","); for (i = 1; i <= n; i++) { m = split(part[i], ends, "-")
            for (c = ends[1]; c <= ends[m]; c++) may[c + 0] = 1 } }
        !/^#/ && ($1 in may) && !seen[$2 "," $3]++ { cores++ }
        END { print cores + 0 }')
    [ "${cores:-0}" -ge 1 ] || cores=$(nproc)
    if read -r quota period 2>/dev/null </sys/fs/cgroup/cpu.max && [ "$quota" != max ] && [ $((quota / period)) -lt "$cores" ]; then
        cores=$((quota / period > 0 ? quota / period : 1))
    fi
    echo "$cores"
}

newest() { echo "$1/$(cat "$1/latest")"; }
fill() {   # title, run
    local command=("$BUILD/bert-fill" --checkpoint "$(newest "$2")" "${sentences[@]}")
    say "$1: ${command[*]}"
    "${command[@]}" || die "bert-fill failed"
}

say "what is needed: make deps"
${MAKE:-make} --no-print-directory deps || die "see above what to install"
say "build: make all"
began=$SECONDS
${MAKE:-make} --no-print-directory -j "$(nproc)" BUILD="$BUILD" all || die "the build failed"
printf '   build: %d s\n' $((SECONDS - began))

if [ -n "$TEXT" ]; then
    [ -r "$TEXT" ] || { code=2; die "$TEXT: no such text"; }
    text=$TEXT
else
    stage text cluster/pod_to_text.awk -- perl_text
    text=$demo/text
fi
stage vocabulary "$BUILD/bert-vocab" "$text" -- "$BUILD/bert-vocab" --size 8000 --force --output "$demo/vocab.txt" "$text"
stage shards "$BUILD/bert-shard" "$text" "$demo/vocab.txt" -- "$BUILD/bert-shard" --vocab "$demo/vocab.txt" --split-sentences --seq-length 128 --force \
    --output "$demo/shards" "$text"

# Two ranks, bound to half of the cores each; one core for both: unbound. Quiet: else mpirun explains at length that 75 is not 0.
cores=$(usable_cores)
threads=$((cores / 2))
if [ "$threads" -ge 1 ]; then launch=(mpirun --quiet -np 2 --map-by "slot:PE=$threads" --bind-to core)
else threads=1; launch=(mpirun --quiet -np 2 --oversubscribe --bind-to none); fi
[ "$(id -u)" != 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_btl=self,vader OMPI_MCA_btl_vader_single_copy_mechanism=none   # one machine; containers forbid the single copy

# Another program, vocabulary or setting: the old runs are of no use.
inputs=("$BUILD/bert-pretrain" "$demo/shards/manifest.json" configs/demo.yaml configs/models/demo.json)
cksum "${inputs[@]}" >"$demo/inputs.new"
cmp -s "$demo/inputs.new" "$demo/inputs" || rm -rf "$demo/before" "$demo/run"
mv "$demo/inputs.new" "$demo/inputs"
train=("${launch[@]}" "$BUILD/bert-pretrain" --config configs/demo.yaml --data "$demo/shards" --threads "$threads")
stage before "${inputs[@]}" -- "${train[@]}" --output "$demo/before" --steps 0 --warmup-steps 0
stop_code=75
stage training "${inputs[@]}" -- "${train[@]}" --output "$demo/run" --stop-after "${MINUTES}m"

checkpoint=$(newest "$demo/run")
fill "words guessed before training" "$demo/before"
fill "words guessed after training" "$demo/run"
say "loss: $demo/run/metrics.jsonl"
awk -f cluster/loss_curve.awk "$demo/run/metrics.jsonl"
say "the checkpoint: $checkpoint"
cat <<PYTHON
   Python loads it as it is:
       from transformers import BertForMaskedLM, BertTokenizerFast
       tokenizer = BertTokenizerFast.from_pretrained("$checkpoint")
       model = BertForMaskedLM.from_pretrained("$checkpoint")
PYTHON
printf '\ndemo: %d s in all\n' "$SECONDS"
