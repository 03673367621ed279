#!/usr/bin/env bash
# The lines of docs/data-format.md that pipe a data set of Hugging Face into bert-shard: as they stand there, but for the data set, a Parquet file.
set -euo pipefail
. tests/cli/lib_text.sh
docs=$PWD/docs/data-format.md
cd "$TMPDIR"
make_text 7 30 >text.txt
make_vocab >vocab.txt
"$VENV/bin/python" -c 'import datasets
documents = [d.strip("\n") for d in open("text.txt").read().split("\n\n") if d.strip()]
datasets.Dataset.from_dict({"id": list(range(len(documents))), "text": documents}).to_parquet("text.parquet")'
sed -n '/^### Text from Hugging Face/,/^## /p' "$docs" | sed -n '/^```sh/,/^```$/p' | grep -v '^```' |
    sed 's|load_dataset(.*, split|load_dataset("parquet", data_files="text.parquet", split|; s|--split-sentences||' >lines.sh
grep -q 'parquet.*streaming=True' lines.sh
PATH=$VENV/bin:$BUILD:$PATH bash -o pipefail lines.sh
"$BUILD/bert-shard" --vocab vocab.txt --invalid-utf8 replace --quiet --output again text.txt
cmp shards/training_00000.hdf5 again/training_00000.hdf5
echo "the text of a Parquet file, piped in: the same shards"
