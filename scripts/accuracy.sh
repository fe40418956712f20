#!/usr/bin/env bash
# Regenerates the table of docs/accuracy.md: every network quantized by the default recipe (or by the quantize flags
# given) and compared with its float self on images that did not calibrate it. Needs the test data (README).
#   scripts/accuracy.sh [QUANTIZE-FLAG…]
set -euo pipefail
cd "$(dirname "$0")/.."
data=${BITSTAGE_SHARED:-../shared}/data
[ -d "$data" ] || { echo "accuracy.sh: no models and images in $data (set BITSTAGE_SHARED)" >&2; exit 1; }
[ -x build/release/bin/bitstage-model ] || scripts/dev.sh build

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
echo "| network | bits a weight | file, KB | top-1, % | float, % | agreement, % | lost / won |"
echo "|---|---|---|---|---|---|---|"
for model in "$data"/models/{cifar10_*,mnist_*,imagenet_mobilenet_v1*,imagenet_squeezenet*}/model.onnx; do
  name=$(basename "$(dirname "$model")")
  case $name in
    cifar10_*)
      calibration=(--calibration "$data/cifar10/data_batch_1_first4000.bin")
      test=(--data "$data/cifar10/test_batch_first800.bin") ;;
    mnist_*)
      calibration=(--calibration "$data/mnist/t10k-images-idx3-ubyte.gz" --calibration-end 3000)
      test=(--data "$data/mnist/t10k-images-idx3-ubyte.gz" --skip 3000) ;;
    *)
      calibration=(--calibration "$data/imagenet/val227_1000.tar" --calibration-begin 900)
      test=(--data "$data/imagenet/val227_1000.tar" --limit 900) ;;
  esac
  build/release/bin/bitstage-model quantize "$model" "${calibration[@]}" "$@" -o "$out/$name.bitstage" --json |
    tail -n 1 >"$out/quantized.json"
  build/release/bin/bitstage-model evaluate "$out/$name.bitstage" "${test[@]}" --against "$model" --json |
    tail -n 1 >"$out/evaluated.json"
  python3 - "$name" "$out/quantized.json" "$out/evaluated.json" <<'PYTHON'
import json, sys
name, q, e = sys.argv[1], json.load(open(sys.argv[2])), json.load(open(sys.argv[3]))
print(f"| {name} | {q['bits_per_weight']:.2f} | {q['file_bytes'] / 1000:.0f} | {100 * e['top1']:.2f} "
      f"| {100 * e['against_top1']:.2f} | {100 * e['agreement']:.2f} | {e['lost']} / {e['won']} |", flush=True)
PYTHON
done
