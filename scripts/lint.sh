#!/bin/sh
# Checks what is no Rust: the examples, the shell scripts, the units.
#
# usage: lint.sh BIN_DIR
set -eu
cd "$(dirname "$0")/.."
bin=$(cd "$1" && pwd)

# An example must be fine as it is, and with the lines that it only shows.
# (client.toml is none of the daemon's; a test reads it.)
for file in examples/*; do
    [ "$file" = examples/client.toml ] || "$bin/klopf" check "$file"
done
sed 's/^#\([^ ]\)/\1/' examples/klopf.toml | "$bin/klopf" check -

if command -v shellcheck >/dev/null; then
    shellcheck --severity=warning demo/*.sh scripts/* packaging/sysv/klopfd .ci/run
else
    echo 'shellcheck is not here; the shell scripts are not looked at'
fi

if command -v systemd-analyze >/dev/null; then
    units=$(mktemp -d)
    trap 'rm -rf "$units"' EXIT
    for unit in packaging/systemd/*; do
        sed "s|@sbindir@|$bin|" "$unit" >"$units/${unit##*/}"
        # It also speaks of other units on this machine, and ends well then.
        systemd-analyze verify --man=no "$units/${unit##*/}"
    done
else
    echo 'systemd-analyze is not here; the units are not looked at'
fi
