#!/usr/bin/env bash
# A /dev/shm that is too small for the node's windows: one warning, messages instead, the same bits.
set -u
. "$(dirname "$0")/lib_pretrain.sh"
apart=()                         # root by right; others as root of a user namespace of their own, where the kernel grants one
for way in "unshare -m" "unshare -rm"; do
    [ ${#apart[@]} -eq 0 ] && $way bash -c 'mount -t tmpfs -o size=24m tmpfs /dev/shm' 2>/dev/null && read -ra apart <<<"$way"
done
[ ${#apart[@]} -gt 0 ] || { echo "no right to mount a small /dev/shm"; exit 77; }
make_data
cd "$TMPDIR" || exit 1
sed -i 's/"hidden_size": 32/"hidden_size": 256/; s/"intermediate_size": 64/"intermediate_size": 1024/' model.json
export pretrain MPIRUN

train() {   # output; in a mount namespace where the caller says so
    "$MPIRUN" -np 2 "$pretrain" --data data --model model.json --output "$1" --steps 3 --global-batch 8 --micro-batch 2 --threads 1 >/dev/null 2>"$1.err"
}
export -f train

train roomy || complain "with room: $(cat roomy.err)"
"${apart[@]}" bash -c 'mount -t tmpfs -o size=24m tmpfs /dev/shm && train narrow' || complain "without room: $(cat narrow.err)"
grep -q 'exchange by shared windows' roomy.err || complain "no shared windows though there is room: $(cat roomy.err)"
grep -q 'exchange by messages' narrow.err || complain "no messages though there is no room: $(cat narrow.err)"
[ "$(grep -c 'warning: /dev/shm of .* MiB free, .* MiB are needed' narrow.err)" -eq 1 ] || complain "not one warning: $(cat narrow.err)"
cmp roomy/checkpoint-0000003/model.safetensors narrow/checkpoint-0000003/model.safetensors || complain "other weights by messages than by shared windows"
exit $failed
