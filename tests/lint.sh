#!/usr/bin/env bash
# House rules that a machine can check: direction of includes, one door per library, no unordered float sums, sizes.
set -u
cd "$(dirname "$0")/.."
bad=0
no() { if [ -n "$2" ]; then printf '%s\n%s\n' "lint: $1:" "$2"; bad=1; fi; }
inc() { grep -nE "#include \"($1)/" $(find $2 -name '*.[ch]') /dev/null; }

no "base/ includes base/ only" "$(inc 'datagen|comm|trainer' base)"
no "comm/ includes base/ and comm/ only" "$(inc 'datagen|trainer' comm)"
no "datagen/ never includes trainer/" "$(inc trainer datagen)"
no "trainer/ takes only shard.h and tokenizer.h from datagen/" "$(grep -nE '#include "datagen/' $(find trainer -name '*.[ch]') /dev/null | grep -vE '"datagen/(shard|tokenizer)\.h"')"
no "includes are from the root" "$(grep -nE '#include "[^"/]*"' $(find base datagen comm trainer -name '*.[ch]') /dev/null)"

door() { no "$1 is included in $2 only" "$(grep -lE "#include <$1>" $(find base datagen comm trainer -name '*.[ch]') /dev/null | grep -vE "^($2)\$")"; }
door 'mpi\.h' 'comm/[a-z_]*\.c|comm/simulate/main\.c'
door 'hdf5\.h' 'datagen/shard[a-z_]*\.c|datagen/shard_hdf5\.h|trainer/training_state\.c'
door 'cblas\.h' 'trainer/kernels/gemm_blas\.c'
door 'uuid/uuid\.h' 'trainer/run_folder\.c'
door 'jansson\.h' 'base/json\.c'
door 'yaml\.h' 'base/yaml\.c'
door 'zlib\.h' 'datagen/text_stream\.c'
door 'zstd\.h' 'datagen/text_stream\.c'

no "floats are never reduced by OpenMP or atomics" "$(grep -nE 'reduction\(|omp atomic' $(find base datagen comm trainer -name '*.[ch]') /dev/null)"
no "one line of C is at most 160 characters" "$(grep -nE '^.{161,}' $(find base datagen comm trainer tests -name '*.[ch]' ! -name 'unicode_tables*') /dev/null | cut -c1-80)"
for f in $(find base datagen comm trainer -name '*.c' ! -name 'unicode_tables*'); do
    [ "$(wc -l <"$f")" -gt 400 ] && no "a .c file has at most 400 lines" "$f $(wc -l <"$f")"
done
for f in $(find base datagen comm trainer -name '*.h'); do
    [ "$(wc -l <"$f")" -gt 120 ] && no "a .h file has at most 120 lines" "$f $(wc -l <"$f")"
done
exit $bad
