#!/bin/sh
# Runs every fuzz target for its part of the time.
#
# usage: fuzz.sh SECONDS
set -eu
cd "$(dirname "$0")/.."
PATH=$PATH:${HOME:-/root}/.cargo/bin

give_up() {
    printf '%s\n' "$1" >&2
    exit 69
}

command -v rustup >/dev/null || give_up 'Fuzzing needs a nightly Rust: install rustup from https://rustup.rs'
rustup toolchain list | grep -q '^nightly' || rustup toolchain install nightly --profile minimal
command -v c++ >/dev/null || give_up 'Fuzzing needs a C++ compiler: install g++'
command -v cargo-fuzz >/dev/null || cargo install --locked cargo-fuzz

targets=$(cargo +nightly fuzz list)
[ -n "$targets" ] || give_up 'There is no fuzz target'
seconds=$(($1 / $(printf '%s\n' "$targets" | wc -l)))
[ "$seconds" -gt 0 ] || seconds=1 # 0 would be for ever
for target in $targets; do
    printf '\n== %s, %s s\n' "$target" "$seconds"
    mkdir -p "fuzz/corpus/$target" # it must be there
    cargo +nightly fuzz build "$target"
    cargo +nightly fuzz run "$target" "fuzz/corpus/$target" "fuzz/seeds/$target" -- -max_total_time="$seconds"
done
