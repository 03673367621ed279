#!/usr/bin/env bash
# Several hosts on one machine, for tests: network namespaces on a bridge, each with a host name, an address and a /dev/shm of its own.
#
#   cluster/one_machine_hosts.sh COMMAND [ARGUMENT...]     runs the command on host h1, then ends what is left; its exit code is returned
#
# HOSTS (3) hosts h1, h2, ... The command's `mpirun --host h1:2,h2:2,h3:2 ...` starts ranks on them through the rsh launcher; between hosts they
# talk TCP. RATE=1gbit limits every link in both directions, where the kernel has the token bucket filter (tc, sch_tbf).
# Cutting a link: cluster/one_machine_hosts.sh --cut h3 (inside the command). Running something on a host: --on h3 COMMAND...
# Nothing outside is touched: own network, mount, host name and process namespaces. Exit 77 with a reason where they are not allowed.
set -u
HOSTS=${HOSTS:-3} RATE=${RATE:-}
say() { echo "one_machine_hosts: $*" >&2; }
self=$(cd "$(dirname "$0")" && pwd)/$(basename "$0")
PATH=$PATH:/usr/sbin:/sbin; export PATH

case ${1:-} in
    --cut) exec ip -n switch link set "to-$2" down ;;
    --on) # own host name: else Open MPI takes two hosts for one; own /dev/shm: else their segments would collide
        host=$2; shift 2
        exec ip netns exec "$host" unshare -u -m "$self" --there "$host" "$@" ;;
    --there)
        hostname "$2"; mount -t tmpfs tmpfs /dev/shm; shift 2
        exec "$@" ;;
    --remote) # mpirun's call: [options] HOST COMMAND WORDS, to be read by a shell as ssh would
        shift
        while [ "${1#-}" != "$1" ]; do shift; done
        host=$1; shift
        exec "$self" --on "$host" sh -c "$*" ;;
    --inside) shift ;;
    '') say "usage: $0 COMMAND [ARGUMENT...]"; exit 2 ;;
    *)  for program in ip unshare mpirun; do
            command -v "$program" >/dev/null || { say "$program is missing; make deps-check installs it"; exit 77; }
        done
        unshare -n -m -u -p -f --mount-proc true 2>/dev/null || { say "namespaces are not allowed here (unshare -n -m -u -p)"; exit 77; }
        made=$(mktemp -d "${TMPDIR:-/tmp}/hosts.XXXXXX") || exit 1
        BERT_HOSTS_DIR=$made HOSTS=$HOSTS RATE=$RATE unshare -n -m -u -p -f --kill-child --mount-proc "$self" --inside "$@"; code=$?
        rm -rf "$made"
        exit $code ;;
esac

trouble() { say "$1"; exit 77; }
mount -t tmpfs tmpfs /run && mkdir -p /run/netns || trouble "no file system can be mounted on /run"
ip netns attach switch $$ && ip link set lo up && ip link add switch type bridge && ip link set switch up || trouble "no bridge can be made (kernel module bridge)"
printf '127.0.0.1 localhost\n' >"$BERT_HOSTS_DIR/names"
for ((i = 1; i <= HOSTS; i++)); do
    { ip netns add h$i && ip link add to-h$i type veth peer name eth0 netns h$i && ip link set to-h$i master switch up &&
      ip -n h$i link set lo up && ip -n h$i address add 10.78.0.$i/24 dev eth0 && ip -n h$i link set eth0 up; } || trouble "host h$i cannot be made (veth, netns)"
    echo "10.78.0.$i h$i" >>"$BERT_HOSTS_DIR/names"
    if [ -n "$RATE" ]; then
        limit=(root tbf rate "$RATE" burst 1m latency 100ms)
        { tc qdisc add dev to-h$i "${limit[@]}" && tc -n h$i qdisc add dev eth0 "${limit[@]}"; } || trouble "no rate limit: the kernel has no sch_tbf, or tc is missing"
    fi
done
mount --bind "$BERT_HOSTS_DIR/names" /etc/hosts || trouble "/etc/hosts cannot be covered"
printf '#!/bin/sh\nexec "%s" --remote "$@"\n' "$self" >"$BERT_HOSTS_DIR/rsh" && chmod 755 "$BERT_HOSTS_DIR/rsh"

# mpirun: our rsh, one hop to each host (a tree of daemons would call it from inside a host), links by eth0; a lost host is noticed in seconds.
export OMPI_MCA_plm=rsh OMPI_MCA_plm_rsh_agent=$BERT_HOSTS_DIR/rsh OMPI_MCA_plm_rsh_no_tree_spawn=1
export OMPI_MCA_btl=self,vader,tcp OMPI_MCA_btl_tcp_if_include=eth0 OMPI_MCA_oob_tcp_if_include=eth0
export OMPI_MCA_oob_tcp_keepalive_time=3 OMPI_MCA_oob_tcp_keepalive_intvl=1 OMPI_MCA_oob_tcp_keepalive_probes=3
export OMPI_MCA_btl_vader_single_copy_mechanism=none OMPI_MCA_mpi_yield_when_idle=1
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
"$self" --on h1 "$@"; code=$?
exit $code
