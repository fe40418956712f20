#!/usr/bin/env bash
# A training run that is killed with -9 again and again ends in the same bytes as one that is left alone.
#   kill_and_resume.sh BITSTAGE_MODEL [SHARED_FOLDER]
# Exits with 77, which ctest counts as skipped, where the images are absent.
set -euo pipefail
program=$1
shared=${BITSTAGE_SHARED:-$2}
network=$shared/data/models/cifar10_resnet8/model.onnx
images=$shared/data/cifar10/data_batch_1_first4000.bin
if [ ! -e "$network" ] || [ ! -e "$images" ]; then
  echo "SKIPPED FOR LACK OF DATA: $network, $images (set BITSTAGE_SHARED)"
  exit 77
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# Becomes the program: what is in the background is the program itself, not a shell that would be killed in its place.
# The file records its command line, so both runs are given the same words.
train() {
  cd "$1"
  exec "$program" finetune "$network" --data "$images" --images 2560 --held-back 50 --weights binary:row \
    --checkpoint run.checkpoint --checkpoint-every 4 --evaluate-every 40 -o model.bitstage 2>>log
}

mkdir "$folder/straight" "$folder/killed"
(train "$folder/straight") >/dev/null

kills=0
while [ "$kills" -lt 3 ]; do
  before=$(stat -c %i "$folder/killed/run.checkpoint" 2>/dev/null || echo none)
  train "$folder/killed" >/dev/null &
  run=$!
  # Killed as soon as it has written another checkpoint.
  while kill -0 "$run" 2>/dev/null; do
    [ "$(stat -c %i "$folder/killed/run.checkpoint" 2>/dev/null || echo none)" != "$before" ] && break
  done
  kill -9 "$run" 2>/dev/null && kills=$((kills + 1))
  wait "$run" 2>/dev/null || true
  [ ! -e "$folder/killed/model.bitstage" ] || { echo "the run ended before it was killed"; break; }
done
[ "$kills" -ge 1 ] || { echo "no run was killed"; exit 1; }
(train "$folder/killed")
cmp "$folder/straight/model.bitstage" "$folder/killed/model.bitstage"
cmp "$folder/straight/run.checkpoint" "$folder/killed/run.checkpoint"
echo "killed $kills times: the same bytes"
