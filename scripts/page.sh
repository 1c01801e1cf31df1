#!/bin/sh
# Holds the page for borrowed computers against its sources and the test vectors: makes it again with the locked
# packages, compares, and runs its tests.
#
# usage: page.sh
#
# Exit status 69 if there is no node, or the packages cannot be had.
set -eu
cd "$(dirname "$0")/../page"

if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
    echo 'There is no node or no npm (apt-get install nodejs npm)' >&2
    exit 69
fi
npm ci --ignore-scripts --no-audit --no-fund --silent || {
    echo 'The packages of page/package-lock.json cannot be had (npm ci)' >&2
    exit 69
}
npm run --silent check
npm test --silent
