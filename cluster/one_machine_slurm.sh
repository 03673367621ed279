#!/usr/bin/env bash
# A real Slurm cluster on one machine, for tests: munged, slurmctld and two slurmd in a namespace of their own.
#
#   cluster/one_machine_slurm.sh COMMAND [ARGUMENT...]     runs the command inside, then ends every daemon; its exit code is returned
#
# The command finds sbatch, squeue, scontrol ... talking to this cluster: nodes n1 and n2, NODE_CPUS (2) processors each, partition "all".
# Nothing outside is touched: own network, process and mount namespaces; the folder BERT_SLURM_DIR (default: a fresh one) holds all files.
# Needs root (slurmctld drops groups, which a user namespace forbids); exit 77 with a reason when something is missing.
set -u
NODE_CPUS=${NODE_CPUS:-2}
say() { echo "one_machine_slurm: $*" >&2; }

if [ "${1:-}" != --inside ]; then
    [ $# -gt 0 ] || { say "usage: $0 COMMAND [ARGUMENT...]"; exit 2; }
    PATH=$PATH:/usr/sbin:/sbin; export PATH
    for program in munged slurmctld slurmd sbatch unshare ip; do
        command -v "$program" >/dev/null || { say "$program is missing; make deps-check installs it"; exit 77; }
    done
    [ "$(id -u)" = 0 ] || { say "only root may start Slurm's daemons in namespaces"; exit 77; }
    unshare -n -m -p -f --mount-proc true 2>/dev/null || { say "namespaces are not allowed here (unshare -n -m -p)"; exit 77; }
    made='' base=${TMPDIR:-/tmp}
    [ ${#base} -le 70 ] || base=/tmp   # the path of a socket has at most 107 bytes
    [ -n "${BERT_SLURM_DIR:-}" ] || { BERT_SLURM_DIR=$(mktemp -d "$base/bert-slurm.XXXXXX") || exit 1; made=$BERT_SLURM_DIR; }
    export BERT_SLURM_DIR NODE_CPUS
    unshare -n -m -p -f --kill-child --mount-proc "$0" --inside "$@"; code=$?
    [ -n "$made" ] && rm -rf "$made"
    exit $code
fi
shift
dir=$BERT_SLURM_DIR
trouble() { say "$1; the last lines of the logs:"; tail -n 15 "$dir"/*.log >&2; exit 1; }

# Slurm looks names up with AI_ADDRCONFIG, which finds nothing where only lo exists: a veth pair gives the namespace an address.
{ ip link set lo up && ip link add bert0 type veth peer name bert1 && ip address add 10.77.0.1/24 dev bert0 &&
  ip link set bert0 up && ip link set bert1 up; } || trouble "no network interface could be made"

chmod 0700 "$dir"
mkdir -p "$dir/state" "$dir/n1/tmp" "$dir/n2/tmp" "$dir/n1/spool" "$dir/n2/spool"
(umask 077; head -c 1024 /dev/urandom >"$dir/munge.key"); chmod 0400 "$dir/munge.key"
munged --key-file="$dir/munge.key" --socket="$dir/munge.socket" --pid-file="$dir/munge.pid" --log-file="$dir/munged.log" \
    --seed-file="$dir/munge.seed" --force >"$dir/munged.out.log" 2>&1 || trouble "munged did not start"

# TaskPlugin none and linuxproc: no cgroups are needed. config_overrides: NODE_CPUS is believed, whatever the machine has.
cat >"$dir/slurm.conf" <<CONF
ClusterName=bert
SlurmctldHost=localhost(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$dir/munge.socket
CredType=cred/munge
SlurmctldPort=17000
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/%n/spool
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/%n/slurmd.pid
SlurmctldLogFile=$dir/slurmctld.log
SlurmdLogFile=$dir/slurmd-%n.log
TmpFS=$dir/%n/tmp
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
SlurmctldParameters=preempt_send_user_signal
SchedulerParameters=sched_interval=2,bf_interval=2
ReturnToService=2
MpiDefault=pmix
KillWait=5
SlurmdTimeout=20
JobRequeue=1
NodeName=n[1-2] NodeHostname=localhost NodeAddr=127.0.0.1 Port=[17001-17002] CPUs=$NODE_CPUS Sockets=1 CoresPerSocket=$NODE_CPUS ThreadsPerCore=1
PartitionName=all Nodes=n[1-2] Default=YES MaxTime=INFINITE State=UP
CONF
export SLURM_CONF=$dir/slurm.conf
# The "nodes" share one /dev/shm and one host name: Open MPI's shared memory segments of the two would collide, TCP does not.
export OMPI_MCA_btl=tcp,self OMPI_MCA_btl_tcp_if_include=lo OMPI_MCA_oob_tcp_if_include=lo
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1

slurmctld -c || trouble "slurmctld did not start"
for node in n1 n2; do slurmd -N $node || trouble "slurmd $node did not start"; done
for ((i = 0; i < 100; i++)); do
    [ "$(sinfo -h -N -t idle -o %N 2>/dev/null | sort -u | wc -l)" = 2 ] && break
    sleep 0.2
done
[ $i -lt 100 ] || trouble "the two nodes did not become idle in 20 s"

"$@"
