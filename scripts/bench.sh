#!/usr/bin/env bash
# Times bitstage beside its peers (OpenVINO, ONNX Runtime, oneDNN) on this machine and prints the tables of
# docs/benchmarks.md. One command from a bare Debian 12; what has been measured is kept, so that it goes on where it was
# stopped. Keep the machine quiet meanwhile.
#   scripts/bench.sh [--quick] [TABLE…]      tables: networks recipes threads product real memory neighbour (all)
#   --quick: 3 rounds in place of 7, fewer rows        rm -r build/bench/results: measure all anew
# A cell that says "unsteady" was measured on a busy machine; run it again and only such rows are measured.
set -euo pipefail
cd "$(dirname "$0")/.."

quick=()
tables=()
for argument in "$@"; do
  case $argument in
    --quick) quick=(--quick) ;;
    networks | recipes | threads | product | real | memory | neighbour) tables+=("$argument") ;;
    *) sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
  esac
done
[ ${#tables[@]} -gt 0 ] || tables=(networks recipes threads product real memory neighbour)

scripts/install_packages.sh build bench >&2
work=build/bench
mkdir -p "$work/results"
if ! "$work/python/bin/python3" -c 'import numpy, onnx, onnxruntime, openvino' 2>/dev/null; then
  echo "installing onnxruntime and openvino into $work/python" >&2
  python3 -m venv "$work/python"
  "$work/python/bin/pip" install --quiet --disable-pip-version-check numpy onnx onnxruntime openvino
fi
build=${BITSTAGE_BUILD:-build/release}
if [ -z "${BITSTAGE_BUILD:-}" ]; then
  cmake --preset release >/dev/null
  cmake --build "$build" --target bitstage-model bitstage-server -- --quiet | { grep -v "no work to do" || true; } >&2
fi
[ "$work/onednn_fully_connected" -nt tests/kernels/onednn_fully_connected.cc ] ||
  g++ -std=c++17 -O2 tests/kernels/onednn_fully_connected.cc -o "$work/onednn_fully_connected" -ldnnl

model_name=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)
echo "\`scripts/bench.sh ${*:-}\` on ${model_name:-$(uname -m)}, $(nproc) CPUs, $(date -u +%Y-%m-%d), commit $(git rev-parse --short HEAD);"
"$work/python/bin/python3" -c 'import onnxruntime, openvino
print(f"ONNX Runtime {onnxruntime.__version__}, OpenVINO {openvino.__version__.split(chr(45))[0]}, oneDNN of Debian 12.")' 2>/dev/null

compared=()
for table in "${tables[@]}"; do
  case $table in
    memory | neighbour) ;;
    *) compared+=("$table") ;;
  esac
done
if [ ${#compared[@]} -gt 0 ]; then
  "$work/python/bin/python3" scripts/benchmark/compare.py --build "$build" --work "$work" \
    --data "${BITSTAGE_SHARED:-../shared}/data" ${quick[@]+"${quick[@]}"} "${compared[@]}"
fi

two_bits=$work/quantized/resnet18.uniform-2-layer.dqa-4.bitstage
for table in "${tables[@]}"; do
  case $table in
    memory | neighbour)
      [ -f "$two_bits" ] || "$work/python/bin/python3" -c "
import argparse, sys
sys.path.insert(0, 'scripts/benchmark')
import compare
compare.Bench(argparse.Namespace(build='$build', work='$work', quick=False, data='')).random_weights('resnet18', ('uniform:2:layer', 'dqa:4'))"
      printf '\n### ResNet-18 at 2 bits: %s\n\n```\n' "$table"
      if [ "$table" = memory ]; then
        python3 scripts/benchmark/memory.py "$build/bin/bitstage-server" "$two_bits"
      else
        python3 scripts/benchmark/neighbour.py "$build/bin/bitstage-model" "$two_bits"
      fi
      printf '```\n' ;;
  esac
done
