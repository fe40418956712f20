#!/usr/bin/env bash
# Installs the Debian 12 packages the project needs. Idempotent; prints nothing when all are there.
#   scripts/install_packages.sh [build] [test] [training] [bench] [lint] [fuzz] [browser]      (default: build)
set -euo pipefail

declare -A packages=(
  [build]="g++ cmake ninja-build pkg-config ccache mold ca-certificates libgrpc++-dev protobuf-compiler-grpc
           libprotobuf-dev protobuf-compiler libabsl-dev prometheus-cpp-dev libopencv-dev nlohmann-json3-dev
           libspdlog-dev zlib1g-dev"
  [bench]="libdnnl-dev libzstd-dev liblz4-dev python3-venv util-linux"
  [test]="libgtest-dev libgmock-dev python3-venv curl"
  [training]="libtorch-dev"
  [lint]="clang-format-14 clang-tidy-14 shellcheck"
  [browser]="chromium"
  [fuzz]="clang-14 libfuzzer-14-dev libclang-rt-14-dev"
)

wanted=()
for group in "${@:-build}"; do
  [ -n "${packages[$group]:-}" ] || { echo "install_packages.sh: unknown group '$group' (build, test, training, bench, lint, fuzz, browser)" >&2; exit 2; }
  read -r -d '' -a names <<<"${packages[$group]}" || true
  wanted+=("${names[@]}")
done

missing=()
for name in "${wanted[@]}"; do
  dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null | grep -qx installed || missing+=("$name")
done
[ ${#missing[@]} -eq 0 ] && exit 0

as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo)
echo "installing ${#missing[@]} packages: ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { "${as_root[@]}" apt-get update && DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y \
       --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
  tail -n 20 "$log" >&2
  echo "install_packages.sh: apt-get failed" >&2
  exit 1
fi
