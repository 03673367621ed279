#!/usr/bin/env bash
# cluster/deps.sh says what is missing and how to install it: not root, and on a machine without apt.
set -u
cd "${ROOT:-$(dirname "$0")/../..}" || exit 1
TMPDIR=${TMPDIR:-$(mktemp -d)}
bin=$TMPDIR/bin; mkdir "$bin" || exit 1
for program in bash awk sed tr ls env; do ln -s "$(command -v $program)" "$bin/$program"; done
printf '#!/bin/sh\nexit 1\n' >"$bin/pkg-config"                                   # knows no library
printf '#!/bin/sh\ncase "$*" in *-E*) exit 1 ;; esac\n' >"$bin/cc"               # finds no header
printf '#!/bin/sh\necho 1000\n' >"$bin/id"
chmod +x "$bin"/*
cp "$bin/id" "$bin/mpicc"; cp "$bin/id" "$bin/make"
failed=0
expect() {   # name, code wanted, code, text wanted, text
    if [ "$2" != "$3" ] || ! grep -q -- "$4" <<<"$5"; then echo "$1: wanted exit $2 and \"$4\", got exit $3 and: $5"; failed=1; fi
}
# deps.sh adds the sbin folders to PATH; none of what it looks for in this test is there.
output=$(PATH=$bin "$bin/bash" cluster/deps.sh 2>&1 </dev/null); code=$?
expect "no apt" 2 $code 'dnf install .*hdf5-devel.*jansson-devel' "$output"
expect "no apt" 2 $code 'spack install hdf5 ~mpi' "$output"
printf '#!/bin/sh\nexit 99\n' >"$bin/apt-get"; chmod +x "$bin/apt-get"
output=$(PATH=$bin "$bin/bash" cluster/deps.sh 2>&1 </dev/null); code=$?
expect "not root" 2 $code 'sudo apt-get install .*libhdf5-dev.*libjansson-dev' "$output"
output=$(PATH=$bin HDF5_LIBS=-lhdf5 BLAS_LIBS=-lopenblas UUID_LIBS=-luuid JANSSON_LIBS=-ljansson YAML_LIBS=-lyaml ZLIB_LIBS=-lz ZSTD_LIBS=-lzstd \
    "$bin/bash" cluster/deps.sh 2>&1 </dev/null); code=$?
expect "all given by hand" 0 $code '^all there: ' "$output"
exit $failed
