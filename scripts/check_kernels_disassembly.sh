#!/usr/bin/env bash
# Fails where the innermost loop of a convolution's micro-kernel keeps vector registers on the stack: a compiler that
# runs out of registers (or loses its mind over an intrinsic) halves the speed and breaks no test.
#
#   scripts/check_kernels_disassembly.sh BUILD_FOLDER
#
# An innermost loop is the stretch up to a backward jump that holds no other backward jump. The functions are those named
# *MicroKernel*; an object file without one is an error, so that a renaming cannot switch the check off. Each micro-kernel
# of the AMX tier must multiply tiles.
set -euo pipefail

if [[ $# -ne 1 || ! -d $1 ]]; then
  echo "usage: $0 BUILD_FOLDER" >&2
  exit 2
fi

objects=$(find "$1" -path '*bitstage_kernels.dir/avx*/*_conv.cc.o' -o -path '*bitstage_kernels.dir/avx*/gemv.cc.o' -o \
  -path '*bitstage_kernels.dir/amx/micro_kernel.cc.o' | sort)
if [[ -z $objects ]]; then
  echo "no vector kernels below $1: build the target bitstage_kernels first" >&2
  exit 2
fi

failed=0
for object in $objects; do
  objdump --disassemble --demangle --no-show-raw-insn "$object" | awk -v object="${object#"$1"/}" '
    function hex(text,   i, value) {
      value = 0
      for (i = 1; i <= length(text); ++i) value = value * 16 + index("0123456789abcdef", substr(text, i, 1)) - 1
      return value
    }
    # The loops of the function just read: from its backward jumps, which come in rising order of their ends.
    function check_function(   loop, other, inner, i) {
      if (name == "") return
      ++functions
      if (object ~ /\/amx\// && products == 0) {
        print object ": " name ": no tile products"
        bad = 1
      }
      for (loop = 0; loop < loops; ++loop) {
        inner = 1
        for (other = 0; other < loops; ++other) {
          if (other != loop && begins[other] >= begins[loop] && ends[other] < ends[loop]) inner = 0
        }
        if (!inner) continue
        ++innermost
        for (i = 0; i < count; ++i) {
          if (address[i] < begins[loop] || address[i] > ends[loop]) continue
          if (text[i] ~ /%[yz]mm/ && text[i] ~ (frame ? "\\(%r[sb]p" : "\\(%rsp")) {
            print object ": " name ": vector register on the stack:" text[i]
            bad = 1
          }
        }
      }
    }
    /^[0-9a-f]+ <.*>:$/ {
      check_function()
      name = ""
      count = loops = frame = products = 0
      if ($0 ~ /MicroKernel/) { name = $0; sub(/^[0-9a-f]+ </, "", name); sub(/>:$/, "", name) }
      next
    }
    name != "" && /^ *[0-9a-f]+:\t/ {
      split($0, part, "\t")
      gsub(/[ :]/, "", part[1])
      address[count] = hex(part[1])
      text[count] = part[2]
      if (part[2] ~ /^tdpbusd/) ++products
      if (part[2] ~ /^mov +%rsp,%rbp/) frame = 1  # else rbp is a register like any other
      if (part[2] ~ /^j/) {
        split(part[2], jump, " +")
        target = hex(jump[2])
        if (target <= address[count]) { begins[loops] = target; ends[loops] = address[count]; ++loops }
      }
      ++count
    }
    END {
      check_function()
      printf "%s: %d micro-kernels, %d innermost loops, %s\n", object, functions, innermost, bad ? "SPILLS" : "clean"
      if (functions == 0 || innermost == 0) { print object ": no micro-kernel found"; bad = 1 }
      exit bad
    }' || failed=1
done
exit $failed
