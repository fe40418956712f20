#!/usr/bin/env bash
# Puts what nobody here wrote and tests compare with (tritonclient, onnxruntime, grpcurl) where they look for it:
# build/python (a virtual environment) and build/grpcurl. Prints nothing when they are there. Where a registry cannot be
# reached it says so and goes on: the tests that need them are then skipped.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ ! -x build/python/bin/python3 ] || ! build/python/bin/python3 -c 'import tritonclient.grpc, numpy, onnx, onnxruntime, PIL' 2>/dev/null; then
  echo "installing tritonclient and onnxruntime into build/python"
  python3 -m venv build/python
  build/python/bin/pip install --quiet --disable-pip-version-check 'tritonclient[grpc]' numpy onnx onnxruntime pillow ||
    echo "tritonclient and onnxruntime could not be installed: their tests will be skipped" >&2
fi
if [ ! -x build/grpcurl/grpcurl ] && command -v go >/dev/null; then
  echo "installing grpcurl into build/grpcurl"
  GOBIN=$PWD/build/grpcurl go install github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3 >/dev/null 2>&1 ||
    echo "grpcurl could not be installed: its tests will be skipped" >&2
fi
