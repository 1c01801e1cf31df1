#!/bin/sh
# Runs all tests: cargo's, the end-to-end ones among them, and then the conformance cases for knockd.
#
# usage: test.sh BIN_DIR CASES_DIR
#
# Environment: KLOPF_NO_SKIP=1 makes what would be skipped a failure.
set -eu
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin:/sbin
bin=$(cd "$1" && pwd)
cases=$2
cargo=scripts/cargo

# What is tested is what gets installed.
export KLOPF_BIN_DIR="$bin"

say() {
    printf '\n== %s\n' "$1"
}

say 'Tests'
failed=''
if $cargo nextest --version >/dev/null 2>&1; then
    $cargo nextest run --locked --workspace --no-fail-fast || failed=" cargo-nextest"
else
    $cargo test --locked --workspace --no-fail-fast || failed=" cargo-test"
fi

say 'What fuzzing has found, once more'
$cargo test --locked --manifest-path fuzz/Cargo.toml || failed="$failed fuzz-replay"

say "Conformance with knockd 0.8 ($cases)"
skipped=''
if [ "$(id -u)" -ne 0 ]; then
    skipped='skipped: conformance with knockd: needs root'
elif ! command -v python3 >/dev/null; then
    skipped='skipped: conformance with knockd: needs python3 (apt-get install python3)'
else
    python3 "$cases/driver.py" --better --knockd "$bin/knockd" -j 3 || failed="$failed conformance"
fi
[ -z "$skipped" ] || [ "${KLOPF_NO_SKIP:-}" != 1 ] || failed="$failed conformance"

say 'Skipped'
skipped="$skipped
$($cargo test --locked --quiet --package klopf-tests -- --skipped)"
printf '%s\n' "$skipped" | grep . || echo 'nothing'

if [ -n "$failed" ]; then
    say "FAILED:$failed"
    exit 1
fi
say 'All passed'
