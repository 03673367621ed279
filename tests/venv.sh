#!/usr/bin/env bash
# Makes (once) the virtual environment of the tests from tests/requirements.txt: tests/venv.sh FOLDER [REQUIREMENTS]
set -eu
folder=$1 wanted=${2:-$(dirname "$0")/requirements.txt}
stamp=$folder/.made-from
[ -e "$stamp" ] && cmp -s "$stamp" "$wanted" && exit 0
echo "making the Python environment of the tests in $folder (once)"
python3 -m venv "$folder"
"$folder/bin/pip" install -q -r "$wanted"
cp "$wanted" "$stamp"
