#!/usr/bin/env bash
# Installs what is needed on a bare Debian 12, builds, runs all tests; ends with ctest's own lines.
# Tests of real models and images need a folder of them (see README, "Test data") and are skipped, saying so, without it.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/install_packages.sh build test
[ -f build/release/build.ninja ] || cmake --preset release >/dev/null
cmake --build build/release -- --quiet | { grep -v "no work to do" || true; }
scripts/install_peers.sh

export BITSTAGE_PYTHON=$PWD/build/python/bin/python3
if [ -d "${BITSTAGE_SHARED:-../shared}" ]; then
  echo "data tests run: models and images found in ${BITSTAGE_SHARED:-../shared}"
else
  echo "data tests are SKIPPED: no models and images in ${BITSTAGE_SHARED:-../shared}"
fi
ctest --test-dir build/release --output-on-failure -j "$(nproc)" "$@"
