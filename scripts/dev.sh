#!/usr/bin/env bash
# What a contributor does here, by verb:
#   scripts/dev.sh build             release build
#   scripts/dev.sh test [ARGS]       release build and all tests (ARGS go to ctest)
#   scripts/dev.sh asan|tsan [ARGS]  the tests under the sanitizers
#   scripts/dev.sh fuzz [SECONDS [TARGET …]]  every fuzz target, or these, for that long each (default 30)
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

fuzz() {
  local seconds=${1:-30} target log failed=0
  scripts/install_packages.sh build test fuzz
  build fuzz
  mkdir -p build/fuzz/corpus
  for target in build/fuzz/bin/*_fuzz; do
    [ $# -lt 2 ] || [[ " ${*:2} " == *" $(basename "$target" _fuzz) "* ]] || continue
    log="build/fuzz/$(basename "$target").log"
    mkdir -p "build/fuzz/corpus/$(basename "$target")"
    if ! "$target" "build/fuzz/corpus/$(basename "$target")" -max_total_time="$seconds" -rss_limit_mb=2048 \
         -timeout=10 -print_final_stats=1 >"$log" 2>&1; then
      failed=1
      tail -n 30 "$log"
    fi
    printf '%-24s %s executions in %s s\n' "$(basename "$target")" \
      "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")" "$seconds"
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
    sed -n '2,9s/^# \{0,1\}//p' "$0"
    exit 2
    ;;
esac
