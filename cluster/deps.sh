#!/usr/bin/env bash
# What the build and the demo need (make deps), and the tests besides (make deps-check): says what is missing and installs it with apt.
#
#   cluster/deps.sh [check]
#
# Nothing missing: says so, 0. With apt, as root: asks on a terminal, else installs. Not root, or no apt: says what to install, 2.
# Slurm's daemons are installed for the tests, but neither started nor enabled.
set -u
what=${1:-}
PATH=$PATH:/usr/sbin:/sbin

# name | how to see that it is there: a command, a .pc file or a header | apt | dnf | Spack
build='
C compiler|command cc|gcc libc6-dev|gcc glibc-devel|gcc
make|command make|make|make|gmake
pkg-config|command pkg-config|pkg-config|pkgconf-pkg-config|pkgconf
MPI (Open MPI)|command mpicc|libopenmpi-dev openmpi-bin|openmpi-devel|openmpi
OpenBLAS with OpenMP|openblas|libopenblas-openmp-dev|openblas-devel|openblas threads=openmp
HDF5|library hdf5-serial hdf5 hdf5-openmpi hdf5.h|libhdf5-dev|hdf5-devel|hdf5 ~mpi
UUID|library uuid uuid/uuid.h|uuid-dev|libuuid-devel|util-linux-uuid
jansson|library jansson jansson.h|libjansson-dev|jansson-devel|jansson
libyaml|library yaml-0.1 yaml.h|libyaml-dev|libyaml-devel|libyaml
zlib|library zlib zlib.h|zlib1g-dev|zlib-devel|zlib
Zstandard|library libzstd zstd.h|libzstd-dev|libzstd-devel|zstd
'
check='
cmocka|library cmocka cmocka.h|libcmocka-dev|libcmocka-devel|cmocka
Python with venv|venv|python3-venv|python3|python
Slurm|command slurmctld|slurm-wlm|slurm-slurmctld slurm-slurmd|slurm
MUNGE|command munged|munge|munge|munge
ip|command ip|iproute2|iproute|iproute2
strace|command strace|strace|strace|strace
pgrep|command pgrep|procps|procps-ng|procps
tc|command tc|iproute2|iproute-tc|iproute2
SimGrid|command smpicc|libsimgrid-dev|simgrid-devel|simgrid +smpi
C++ compiler (for SimGrid)|command g++|g++|gcc-c++|gcc
'
needed=$build
[ "$what" != check ] || needed=$check

settings_for() {   # .pc name: its hand-given setting, see cluster/libraries.mk
    case $1 in hdf5*) echo HDF5 ;; openblas*) echo BLAS ;; yaml*) echo YAML ;; libzstd) echo ZSTD ;; *) echo "$1" | tr '[:lower:]-' '[:upper:]_' ;; esac
}
has_library() {   # .pc names and a header: given by hand, known to pkg-config, or on the compiler's path
    local name prefix
    prefix=$(settings_for "$1")
    eval "[ -n \"\${${prefix}_LIBS:-}\" ]" && return 0
    for name in "$@"; do
        case $name in
            *.h) echo "#include <$name>" | ${CC:-cc} -E - >/dev/null 2>&1 && return 0 ;;
            *) pkg-config --exists "$name" 2>/dev/null && return 0 ;;
        esac
    done
    return 1
}
is_there() {
    local kind=$1; shift
    case $kind in
        command) command -v "$1" >/dev/null ;;
        library) has_library "$@" ;;
        openblas) # Debian: the OpenMP flavour has a folder of its own, whatever the alternatives say
            if command -v dpkg-query >/dev/null; then [ -n "${BLAS_LIBS:-}" ] || ls /usr/lib/*/openblas-openmp/libopenblas.so >/dev/null 2>&1
            else has_library openblas cblas.h; fi ;;
        venv) python3 -c 'import venv, ensurepip' 2>/dev/null ;;
    esac
}

missing=() apt=() dnf=() spack=()
while IFS='|' read -r name probe apt_names dnf_names spack_names; do
    [ -n "$name" ] || continue
    # shellcheck disable=SC2086   # words on purpose
    if ! is_there $probe; then
        missing+=("$name"); spack+=("$spack_names")
        read -ra words <<<"$apt_names"; apt+=("${words[@]}")
        read -ra words <<<"$dnf_names"; dnf+=("${words[@]}")
    fi
done <<<"$needed"

if [ ${#missing[@]} -eq 0 ]; then
    echo "all there:$(awk -F'|' 'NF > 1 { printf "%s %s", (n++ ? "," : ""), $1 }' <<<"$needed")"
    exit 0
fi
echo "missing: $(printf '%s, ' "${missing[@]}" | sed 's/, $//')"

if ! command -v apt-get >/dev/null; then
    echo "install:"
    echo "    dnf install ${dnf[*]}"
    printf '    spack install %s\n' "${spack[@]}"
    echo "or give a library by hand: make HDF5_CFLAGS=-I... HDF5_LIBS='-L... -lhdf5' (cluster/libraries.mk lists the names)"
    exit 2
fi
if [ "$(id -u)" != 0 ]; then
    echo "install: sudo apt-get install --no-install-recommends ${apt[*]}"
    exit 2
fi
echo "apt-get install --no-install-recommends ${apt[*]}"
if [ -t 0 ] && [ -t 1 ]; then
    read -r -p "install these packages now? [Y/n] " answer
    case $answer in ''|[Yy]*) ;; *) exit 2 ;; esac
fi

# Packages of daemons ask policy-rc.d whether to start them: no. And they are not enabled for the next start of the machine.
policy=/usr/sbin/policy-rc.d made=no
if [ ! -e "$policy" ] && printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy"; then made=yes; fi
export DEBIAN_FRONTEND=noninteractive
{ apt-get update -qq && apt-get install -y -qq --no-install-recommends "${apt[@]}"; } </dev/null; code=$?
[ $made = no ] || rm -f "$policy"
case " ${apt[*]} " in
    *" slurm-wlm "*|*" munge "*) if command -v systemctl >/dev/null; then systemctl disable -q munge slurmctld slurmd 2>/dev/null; fi ;;
esac
[ $code -eq 0 ] || { echo "apt-get failed with $code: see above"; exit 2; }
