#!/usr/bin/env bash
# Installs what is needed on a bare Debian 12, builds, runs all tests; ends with ctest's own lines.
# Tests of real models and images need a folder of them (see README, "Test data") and are skipped, saying so, without it.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/install_packages.sh build test training
scripts/install_peers.sh
cmake --preset release -DBITSTAGE_PYTHON="$PWD/build/python/bin/python3" >/dev/null 2>&1 || cmake --preset release
cmake --build build/release -- --quiet | { grep -v "no work to do" || true; }

if [ -d "${BITSTAGE_SHARED:-../shared}" ]; then
  echo "data tests run: models and images found in ${BITSTAGE_SHARED:-../shared}"
else
  echo "data tests are SKIPPED: no models and images in ${BITSTAGE_SHARED:-../shared}"
fi
if [ -x build/grpcurl/grpcurl ]; then export GRPCURL=$PWD/build/grpcurl/grpcurl; fi
ctest --test-dir build/release --output-on-failure -j "$(nproc)" "$@"
