#!/usr/bin/env bash
# What a contributor does here, by verb:
#   scripts/dev.sh build             release build
#   scripts/dev.sh test [ARGS]       release build and all tests (ARGS go to ctest)
#   scripts/dev.sh asan|tsan [ARGS]  the tests under the sanitizers
#   scripts/dev.sh fuzz [--fast] [SECONDS [TARGET …]]
#                                    every fuzz target, or these, for that long each (default 30), under the address and
#                                    undefined-behaviour sanitizers, or --fast: optimised, without them
#   scripts/dev.sh bench             times the shipped model, layer by layer
#   scripts/dev.sh format            formats every C++ file
#   scripts/dev.sh lint              format, include directions, shell scripts; `lint --tidy` runs clang-tidy too
set -euo pipefail
cd "$(dirname "$0")/.."

cpp_files() { git ls-files --cached --others --exclude-standard -- '*.h' '*.cc'; }

build() {
  scripts/install_packages.sh build test training
  cmake --preset "$1" >/dev/null 2>&1 || cmake --preset "$1"
  cmake --build "build/$1" -- --quiet | { grep -v "no work to do" || true; }
}

run_tests() {
  local preset=$1
  shift
  build "$preset"
  ctest --test-dir "build/$preset" --output-on-failure -j "$(nproc)" "$@"
}

# Builds the targets asked for and what they need, no more.
fuzz() {
  local preset=fuzz
  if [ "${1:-}" = --fast ]; then
    preset=fuzz-fast
    shift
  fi
  local seconds=${1:-30} name folder log found failed=0
  local all targets server=OFF
  mapfile -t all < <(basename -s _fuzz.cc -a tests/fuzz/*_fuzz.cc)
  targets=("${@:2}")
  [ ${#targets[@]} -gt 0 ] || targets=("${all[@]}")
  for name in "${targets[@]}"; do
    [[ " ${all[*]} " == *" $name "* ]] || { echo "dev.sh: no fuzz target '$name' (there are: ${all[*]})" >&2; exit 2; }
    [ "$name" != request ] || server=ON
  done
  scripts/install_packages.sh build fuzz
  cmake --preset "$preset" -DBITSTAGE_BUILD_SERVER="$server" >/dev/null
  cmake --build "build/$preset" --target "${targets[@]/%/_fuzz}"
  for name in "${targets[@]}"; do
    folder=build/$preset/$name
    log=$folder/log
    mkdir -p "$folder/corpus" "$folder/findings"
    echo "$name: running for $seconds s …"
    found=none
    if ! "build/$preset/bin/${name}_fuzz" "$folder/corpus" -artifact_prefix="$folder/findings/" \
         -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=10 -print_final_stats=1 >"$log" 2>&1; then
      failed=1
      found="$(sed -n 's/.*Test unit written to //p' "$log")"
      tail -n 30 "$log"
    fi
    printf '%-16s %12s executions in %s s, findings: %s\n' "$name" \
      "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")" "$seconds" "${found:-see $log}"
  done
  return "$failed"
}

lint() {
  scripts/install_packages.sh lint
  cpp_files | xargs clang-format-14 --dry-run --Werror
  python3 scripts/check_includes.py
  git ls-files --cached --others --exclude-standard -- '*.sh' .ci/run | xargs shellcheck
  if [ "${1:-}" = --tidy ]; then
    build release
    cpp_files | grep '\.cc$' | grep -v '^tests/' | xargs -P "$(nproc)" -n 4 clang-tidy-14 -p build/release --quiet
  fi
}

verb=${1:-}
[ $# -eq 0 ] || shift
case "$verb" in
  build) build release ;;
  test) run_tests release "$@" ;;
  asan) run_tests asan "$@" ;;
  tsan) run_tests tsan "$@" ;;
  fuzz) fuzz "$@" ;;
  bench)
    build release
    for model in deploy/models/*/*/model.bitstage; do build/release/bin/bitstage-model bench "$model" --profile; done
    ;;
  format)
    scripts/install_packages.sh lint
    cpp_files | xargs clang-format-14 -i
    ;;
  lint) lint "$@" ;;
  *)
    sed -n '2,11s/^# \{0,1\}//p' "$0"
    exit 2
    ;;
esac
