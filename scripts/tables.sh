#!/usr/bin/env bash
# Regenerates the tables of docs/accuracy.md from the test data (README): what each method keeps of each network.
#   scripts/tables.sh [TABLE…]        default, widths, inner, activations, sizes, menus, segmentation, syq, adaptive,
#                                     dqa, greedy, blocks; else all
# BITSTAGE_NETWORKS="NAME…" leaves out the rows of other networks.
# Every piece is kept in build/tables and made only where it is missing, so that a run that was stopped goes on where it
# was; delete a piece to make it anew. Hours of CPU for all (`greedy` and `widths` take most of them).
set -euo pipefail
cd "$(dirname "$0")/.."
data=${BITSTAGE_SHARED:-../shared}/data
[ -d "$data" ] || { echo "tables.sh: no models and images in $data (set BITSTAGE_SHARED)" >&2; exit 1; }
model_tool=${BITSTAGE_MODEL:-build/release/bin/bitstage-model}
[ -x "$model_tool" ] || scripts/dev.sh build
pieces=build/tables
mkdir -p "$pieces"

# piece NAME COMMAND…: the command's output, kept under NAME once it has ended well; then printed.
piece() {
  local file=$pieces/$1.md
  shift
  if [ ! -s "$file" ]; then
    "$@" >"$file.part"
    mv "$file.part" "$file"
  fi
  cat "$file"
}

# Whether a network's rows are wanted.
wanted() { [ -z "${BITSTAGE_NETWORKS:-}" ] || [[ " $BITSTAGE_NETWORKS " == *" $1 "* ]]; }

# Persons: what the network calls them, and the masks.
classes_of() { [ "$1" = seg_unet_person_128 ] && echo 1:15 || echo 15:15; }

# Sets `calibration` and `test` for a network: never the same images.
images_of() {
  case $1 in
    cifar10_*)
      calibration=(--calibration "$data/cifar10/data_batch_1_first4000.bin")
      test=(--data "$data/cifar10/test_batch_first800.bin") study_test=("${test[@]}") batch=100 ;;
    mnist_*)
      calibration=(--calibration "$data/mnist/t10k-images-idx3-ubyte.gz" --calibration-end 3000)
      test=(--data "$data/mnist/t10k-images-idx3-ubyte.gz" --skip 3000)
      study_test=(--data "$data/mnist/t10k-images-idx3-ubyte.gz" --data-begin 3000) batch=100 ;;
    seg_*)  # calibrated on photographs that have no masks; only `study` takes these
      calibration=(--calibration "$data/imagenet/samples_orig_300.tar") test=()
      study_test=(--data "$data/voc/voc_person_120.tar" --class-map "$(classes_of "$1")") batch=10
      # 513 x 513: 0.9 s an image and scheme, 110 MB an image of a batch
      [[ $1 != *deeplab* ]] || study_test+=(--data-end 20) batch=5 ;;
    *)
      calibration=(--calibration "$data/imagenet/val227_1000.tar" --calibration-begin 900)
      test=(--data "$data/imagenet/val227_1000.tar" --limit 900)
      study_test=(--data "$data/imagenet/val227_1000.tar" --data-end 900) batch=10
      [[ $1 != *squeezenet* ]] || study_test[3]=500 ;;  # 20 ms an image and scheme
  esac
}

# One row: a network quantized so and compared with its float self.
quantized_row() {
  local name=$1 work
  shift
  images_of "$name"
  work=$(mktemp -d)
  "$model_tool" quantize "$data/models/$name/model.onnx" "${calibration[@]}" "$@" -o "$work/m.bitstage" --json |
    tail -n 1 >"$work/q.json"
  "$model_tool" evaluate "$work/m.bitstage" "${test[@]}" --against "$data/models/$name/model.onnx" --json |
    tail -n 1 >"$work/e.json"
  python3 - "$name" "$*" "$work/q.json" "$work/e.json" <<'PYTHON'
import json, sys
name, how, q, e = sys.argv[1], sys.argv[2], json.load(open(sys.argv[3])), json.load(open(sys.argv[4]))
how = how.replace("--weights ", "").replace("--activations ", "") or "default"
low, high = (100 * x for x in e["difference_interval"])
print(f"| {name} | {how} | {q['bits_per_weight']:.2f} | {q['file_bytes'] / 1000:.0f} | {100 * e['top1']:.2f} "
      f"| {100 * e['against_top1']:.2f} | {low:+.2f} … {high:+.2f} | {100 * e['agreement']:.2f} | {e['lost']} / {e['won']} |")
PYTHON
  rm -r "$work"
}

row_title() {
  echo "Test: 800 CIFAR-10, 7000 MNIST, 900 ImageNet images; calibration: at most 1,000 others, seed 1."
  echo
  echo "| network | weights, activations | bits a weight | file, KB | top-1, % | float, % | difference, 95 % | agreement, % | lost / won |"
  echo "|---|---|---|---|---|---|---|---|---|"
}

table_default() {
  echo "### Default recipe"
  row_title
  local name
  for name in cifar10_resnet{8,20,20_proj,32,56} mnist_lenet imagenet_mobilenet_v1_0.25_224 \
    imagenet_mobilenet_v2_1.0_224_q8 imagenet_squeezenet_v1.1; do
    wanted "$name" || continue
    piece "default-$name" quantized_row "$name"
  done
}

table_widths() {
  echo "### Uniform widths, nothing retrained"
  row_title
  local name how
  for name in cifar10_resnet{20,32,56} imagenet_squeezenet_v1.1 imagenet_mobilenet_v1_0.25_224 \
    imagenet_mobilenet_v2_1.0_224_q8; do
    wanted "$name" || continue
    for how in "8 8" "8 4" "8 3" "4 8" "3 8" "4 4" "3 4" "2 8" "6 6" "5 8"; do
      piece "widths-$name-${how/ /-}" quantized_row "$name" --weights "uniform:${how% *}" --activations "uniform:${how#* }"
    done
  done
}

# As the reference figures and most papers count a width: first, last and depthwise layers have 8 bits.
table_inner() {
  echo "### Widths of the inner layers, nothing retrained"
  row_title
  local row name weights activations
  for row in cifar10_resnet20\ {4:8,3:8,2:8,4:4,3:4} imagenet_squeezenet_v1.1\ {4:8,3:8} \
    imagenet_mobilenet_v1_0.25_224\ {5:8,4:8,6:6,6:adaptive}; do
    name=${row% *} weights=${row#* } activations=${row##*:}
    weights=inner:${weights%:*}
    [ "$activations" = adaptive ] && activations=adaptive:6 || activations=uniform:$activations
    wanted "$name" || continue
    piece "inner-$name-${row#* }" quantized_row "$name" --weights "$weights" --activations "$activations"
  done
}

table_activations() {
  echo "### Activations in widths by measured sensitivity, BITS an element on average, nothing retrained"
  row_title
  local row name how
  for row in "cifar10_resnet20 8 4" "cifar10_resnet20 8 3" "imagenet_squeezenet_v1.1 8 4" "cifar10_resnet32 8 4" \
    "imagenet_mobilenet_v1_0.25_224 6 6" "cifar10_resnet56 8 4"; do
    name=${row%% *} how=${row#* }
    wanted "$name" || continue
    piece "activations-$name-${how/ /-}" quantized_row "$name" --weights "uniform:${how% *}" \
      --activations "adaptive:${how#* }"
  done
}

table_sizes() {
  echo "### Adaptive weights within a size (coded, tables and scales included), 8-bit activations"
  row_title
  local name bits
  for name in cifar10_resnet{20,32,56} imagenet_squeezenet_v1.1 imagenet_mobilenet_v1_0.25_224; do
    wanted "$name" || continue
    for bits in 1.9 2.4 3.1 3.8 4.5; do
      [[ $name = cifar10_* || $bits != [12].* ]] || continue  # less cannot be had, or is of no use
      piece "sizes-$name-$bits" quantized_row "$name" --budget "$bits bits"
    done
  done
}

# A row of what a menu gives within a budget, with images that are not tested beside: agreement on the lossless training
# images 1000–3999 and on 4,000 lossy ones; calibrated on the first 1,000.
menu_row() {
  local name=cifar10_resnet20 budget=$1 menu=$2 work set
  work=$(mktemp -d)
  if ! "$model_tool" quantize "$data/models/$name/model.onnx" --calibration "$data/cifar10/data_batch_1_first4000.bin" \
    --calibration-end 1000 --budget "$budget" ${menu:+--menu "$menu"} -o "$work/m.bitstage" --json \
    >"$work/q.json" 2>"$work/error"; then
    echo "| $budget | ${menu:-default} | refused: $(tr '\r' '\n' <"$work/error" | sed -n 's/.*budget: //p') | | | | | | |"
    rm -r "$work"
    return
  fi
  for set in "data_batch_1_first4000.bin --skip 1000" "train_jpeg_50000.bin --limit 4000" test_batch_first800.bin; do
    # shellcheck disable=SC2086 # a file and its flags
    "$model_tool" evaluate "$work/m.bitstage" --data "$data/cifar10/"$set --against "$data/models/$name/model.onnx" \
      --json | tail -n 1 >>"$work/e.json"
  done
  "$model_tool" inspect "$work/m.bitstage" --json >"$work/i.json"
  python3 - "$budget" "${menu:-default}" "$work/q.json" "$work/i.json" "$work/e.json" <<'PYTHON'
import json, sys
budget, menu = sys.argv[1:3]
q = json.loads(open(sys.argv[3]).read().splitlines()[-1])
layers = json.loads(open(sys.argv[4]).read().splitlines()[-1])["codes"]
lossless, lossy, test = (json.loads(line) for line in open(sys.argv[5]))
syq = sum(codes["layers"] for codes in layers if codes["codebook"] != "uniform")
ms = f"{q['measured_ms']:.4f}" if "measured_ms" in q else "–"
print(f"| {budget} | {menu} | {syq} of {sum(codes['layers'] for codes in layers)} | {q['bits_per_weight']:.2f} | {ms} "
      f"| {100 * lossless['agreement']:.2f} | {100 * lossy['agreement']:.2f} | {100 * test['top1']:.2f} "
      f"| {100 * test['agreement']:.2f} |")
PYTHON
  rm -r "$work"
}

table_menus() {
  echo "### ResNet-20 within budgets, with and without SYQ codes in the menu"
  echo "| budget | menu | layers with SYQ codes | bits a weight | ms | agreement, lossless | lossy | test top-1 | test agreement |"
  echo "|---|---|---|---|---|---|---|---|---|"
  local syq="syq:binary:pixel,syq:binary:row,syq:binary:layer,syq:ternary:pixel,syq:ternary:row,syq:ternary:layer"
  local budget
  wanted cifar10_resnet20 || return 0
  for budget in 2.35 1.7 1.4; do
    piece "menus-$budget-rates" menu_row "$budget bits" ""
    piece "menus-$budget-syq" menu_row "$budget bits" "rates,$syq"
  done
  piece "menus-1.7-widths" menu_row "1.7 bits" "rates,2"
  budget=${BITSTAGE_TABLES_MS:-0.092}  # of the machine that the documents were measured on
  piece "menus-$budget-ms" menu_row "$budget ms" ""
  piece "menus-$budget-ms-syq" menu_row "$budget ms" "2,3,4,5,6,8,$syq,syq:ternary:pixel/14"
}

# Calibrated on photographs that have no masks; tested on all images that have.
segmentation_row() {
  local name=$1 work
  shift
  work=$(mktemp -d)
  "$model_tool" quantize "$data/models/$name/model.onnx" --calibration "$data/imagenet/samples_orig_300.tar" "$@" \
    -o "$work/m.bitstage" --json | tail -n 1 >"$work/q.json"
  "$model_tool" evaluate "$work/m.bitstage" --data "$data/voc/voc_person_120.tar" --class-map "$(classes_of "$name")" \
    --against "$data/models/$name/model.onnx" --json | tail -n 1 >"$work/e.json"
  python3 - "$name" "$*" "$work/q.json" "$work/e.json" <<'PYTHON'
import json, sys
name, how, q, e = sys.argv[1], sys.argv[2], json.load(open(sys.argv[3])), json.load(open(sys.argv[4]))
how = how.replace("--weights ", "").replace("--activations ", "") or "default"
print(f"| {name} | {how} | {q['bits_per_weight']:.2f} | {q['file_bytes'] / 1000:.0f} | {e['images']} | {e['iou']:.4f} "
      f"| {e['against_iou']:.4f} | {100 * e['agreement']:.2f} |")
PYTHON
  rm -r "$work"
}

table_segmentation() {
  echo "### Segmentation: intersection over union of persons"
  echo "| network | weights, activations | bits a weight | file, KB | images | IoU | float | agreement, % of pixels |"
  echo "|---|---|---|---|---|---|---|---|"
  local name
  for name in seg_unet_person_128 seg_deeplabv3_mnv2_voc_q8; do
    wanted "$name" || continue
    piece "segmentation-$name-8-8" segmentation_row "$name" --weights uniform:8 --activations uniform:8
    piece "segmentation-$name-default" segmentation_row "$name"
  done
}

# SYQ codes without training. `bias`: the paper's codes with least-squares scales, biases re-estimated; `rounded`: codes by
# second-order rounding besides.
table_syq() {
  echo "### SYQ codes, first and last layer 8-bit, nothing retrained"
  row_title
  echo '{"second_order_rounding": false}' >"$pieces/bias.json"
  echo '{}' >"$pieces/rounded.json"
  local codebook subgroups bits how
  wanted cifar10_resnet20 || return 0
  for codebook in ternary binary; do
    for subgroups in pixel row layer; do
      for how in bias rounded; do
        for bits in 4 8; do
          piece "syq-$codebook-$subgroups-$how-$bits" quantized_row cifar10_resnet20 --weights "syq:$codebook:$subgroups" \
            --activations "uniform:$bits" --recipe "$pieces/$how.json"
        done
      done
    done
  done
}

# The adaptive-precision paper's experiment: weights alone, whole-number widths a layer.
widths_study() {
  local name=$1 images=$2
  images_of "$name"
  "$model_tool" study "$data/models/$name/model.onnx" "${calibration[@]}" "${study_test[@]}" --images "$images" \
    --batch "$batch" --adaptive
}

table_adaptive() {
  echo "### Weights alone in whole-number widths a layer (the adaptive-precision paper's experiment)"
  local row name
  for row in "mnist_lenet 3000" "cifar10_resnet20 400" "imagenet_squeezenet_v1.1 100" \
    "imagenet_mobilenet_v1_0.25_224 100"; do
    name=${row% *}
    wanted "$name" || continue
    piece "adaptive-$name" widths_study "$name" "${row#* }"
  done
}

# The DQA paper's experiment: block outputs quantized, weights in float.
study() {
  local name=$1 images=$2
  images_of "$name"
  "$model_tool" study "$data/models/$name/model.onnx" "${calibration[@]}" "${study_test[@]}" --images "$images" \
    --batch "$batch" --schemes "$3"
}

table_dqa() {
  echo "### Block outputs quantized, weights in float (the DQA paper's experiment)"
  # "fast": without rankings that are random, which are for the small networks; "few": for the largest one.
  local few="direct:3,noisy:3,dqa:3+1:gain,dqa:3+3:gain,direct:4,noisy:4,dqa:4+1:gain,dqa:4+3:gain,direct:5,noisy:5"
  few+=",dqa:5+3:gain,unsigned:3,served:3+1,unsigned:4,served:4+1,unsigned:5"
  local literal fast="direct:3,noisy:3,dqa:3+1:gain,dqa:3+2:gain,dqa:3+3:gain,dqa:3+3@0.4:gain,direct:4,noisy:4"
  fast+=",dqa:4+1:gain,dqa:4+2:gain,dqa:4+3:gain,direct:5,noisy:5,dqa:5+1:gain,dqa:5+2:gain,dqa:5+3:gain"
  literal="direct:3,noisy:3,dqa:3+1:gain,dqa:3+2:gain,dqa:3+3:gain,dqa:3+3@0.4:gain"
  literal+=",dqa:3+3:random0,dqa:3+3:random1,dqa:3+3:random2,direct:4,noisy:4,dqa:4+1:gain,dqa:4+2:gain,dqa:4+3:gain"
  literal+=",direct:5,noisy:5,dqa:5+1:gain,dqa:5+2:gain,dqa:5+3:gain"
  local static="unsigned:2,served:2+1,unsigned:3,unsigned:3:mse:tensor,unsigned:3:mse:shift,served:3+1,served:3+1:shift"
  static+=",served:3+3,unsigned:4,served:4+1,unsigned:5,unsigned:8"
  local name row
  for name in cifar10_resnet{20,32,56}; do
    wanted "$name" || continue
    piece "dqa-literal-$name" study "$name" 500 "$literal"
    piece "dqa-static-$name" study "$name" 500 "$static"
  done
  for row in "imagenet_squeezenet_v1.1 100" "imagenet_mobilenet_v1_0.25_224 100" "imagenet_mobilenet_v2_1.0_224_q8 100" \
    "seg_unet_person_128 200"; do
    name=${row% *}
    wanted "$name" || continue
    piece "dqa-fast-$name" study "$name" "${row#* }" "$fast"
    piece "dqa-static-$name" study "$name" "${row#* }" "$static"
  done
  name=seg_deeplabv3_mnv2_voc_q8
  ! wanted "$name" || piece "dqa-few-$name" study "$name" 8 "$few"
}

# What is behind a block runs once for each of its channels.
table_greedy() {
  echo "### The same with the paper's greedy ranking"
  local greedy="dqa:3+1,dqa:3+2,dqa:3+3,dqa:3+3@0.4,dqa:4+1,dqa:4+2,dqa:4+3,dqa:5+1,dqa:5+2,dqa:5+3"
  local name row
  for row in "cifar10_resnet20 512" "cifar10_resnet32 256" "cifar10_resnet56 128" "imagenet_mobilenet_v1_0.25_224 100"; do
    name=${row% *}
    wanted "$name" || continue
    piece "dqa-greedy-$name" study "$name" "${row#* }" "$greedy"
  done
}

table_blocks() {
  echo "### The serving form's grids on block outputs, 3.5 bits at most, weights in float"
  local row name
  for row in cifar10_resnet{20,32,56}" 256" "imagenet_squeezenet_v1.1 100" "imagenet_mobilenet_v1_0.25_224 100" \
    "imagenet_mobilenet_v2_1.0_224_q8 100" "seg_unet_person_128 200" "seg_deeplabv3_mnv2_voc_q8 8"; do
    name=${row% *}
    wanted "$name" || continue
    piece "blocks-$name" study "$name" "${row#* }" "adaptive:3.5"
  done
}

tables=(default widths inner activations sizes menus segmentation syq adaptive dqa greedy blocks)
[ $# -gt 0 ] || set -- "${tables[@]}"
for table in "$@"; do
  [[ " ${tables[*]} " == *" $table "* ]] || { echo "tables.sh: no table '$table' (${tables[*]})" >&2; exit 2; }
  "table_$table"
  echo
done
