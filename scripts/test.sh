#!/bin/sh
# Runs all tests: cargo's, the end-to-end ones among them, and then the test vectors of the sealed knock in a second
# implementation, and the conformance cases for knockd.
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

failed=''
skipped=''

say() {
    printf '\n== %s\n' "$1"
}

# What is skipped, by the name that it fails under, and what it needs.
skip() {
    skipped="${skipped}skipped: $1: needs $2
"
    [ "${KLOPF_NO_SKIP:-}" != 1 ] || failed="$failed $1"
}

say 'Tests'
if $cargo nextest --version >/dev/null 2>&1; then
    $cargo nextest run --locked --workspace --no-fail-fast || failed=" cargo-nextest"
else
    $cargo test --locked --workspace --no-fail-fast || failed=" cargo-test"
fi

say 'What fuzzing has found, once more'
$cargo test --locked --manifest-path fuzz/Cargo.toml || failed="$failed fuzz-replay"

say 'Test vectors of the sealed knock'
python=python3
# Debian's package is for Debian's Python, which need not be the first one.
$python -c 'import cryptography' 2>/dev/null || python=/usr/bin/python3
if $python -c 'import cryptography' 2>/dev/null; then
    $python crates/klopf-spa/vectors/vectors.py check crates/klopf-spa/vectors || failed="$failed vectors"
else
    skip vectors 'python3 with cryptography (apt-get install python3-cryptography)'
fi

say 'The page for borrowed computers'
status=0
scripts/page.sh || status=$?
case $status in
    0) ;;
    69) skip page 'node and npm (apt-get install nodejs npm), and the packages of page/package-lock.json' ;;
    *) failed="$failed page" ;;
esac

say "Conformance with knockd 0.8 ($cases)"
if [ "$(id -u)" -ne 0 ]; then
    skip conformance root
elif ! command -v python3 >/dev/null; then
    skip conformance 'python3 (apt-get install python3)'
else
    python3 "$cases/driver.py" --better --knockd "$bin/knockd" -j 3 || failed="$failed conformance"
fi

say 'Skipped'
skipped="$skipped$($cargo test --locked --quiet --package klopf-tests -- --skipped)"
printf '%s\n' "$skipped" | grep . || echo 'nothing'

if [ -n "$failed" ]; then
    say "FAILED:$failed"
    exit 1
fi
say 'All passed'
