#!/bin/sh
# Installs isso, the comment server that plays the guestbook in the tests, from PyPI: into TARGET_DIR/isso, and only if
# it is not there.
#
# usage: isso.sh TARGET_DIR
set -eu
cd "$(dirname "$0")/.."
mkdir -p "$1"
directory=$(cd "$1" && pwd)/isso
wanted=tests/isso.txt

cmp -s "$wanted" "$directory/installed.txt" && exit
echo "Installing isso into $directory" >&2
rm -rf "$directory"
python3 -m venv "$directory"
"$directory/bin/pip" --quiet --disable-pip-version-check install --no-deps --only-binary :all: --no-binary isso \
    --requirement "$wanted" >&2
cp "$wanted" "$directory/installed.txt"
