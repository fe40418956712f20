# Compiler settings that hold for every room.
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo)
endif()
set(CMAKE_CXX_FLAGS_RELEASE "-O3 -DNDEBUG")

# -ffp-contract=off: a fused multiply-add only where fma is written (docs/integer-arithmetic.md).
add_compile_options(-Wall -Wextra -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -ffp-contract=off)
if(BITSTAGE_WERROR)
  add_compile_options(-Werror)
endif()
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  add_compile_options(-Wthread-safety)
endif()
if(BITSTAGE_SANITIZE)
  add_compile_options(-fsanitize=${BITSTAGE_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${BITSTAGE_SANITIZE})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-Wno-maybe-uninitialized)  # g++ 12 gives it for Abseil's headers among the checks
  endif()
endif()

# Of files of intrinsics, where all hangs on unrolled register tiles. Sanitizers make so much of those that one file takes
# minutes: there they are checked by calls, at a lower level.
set(BITSTAGE_SIMD_OPTIMIZE "$<$<NOT:$<CONFIG:Debug>>:-O3>")
if(BITSTAGE_SANITIZE MATCHES "address|undefined|thread")
  set(BITSTAGE_SIMD_OPTIMIZE "-O1")
  if(BITSTAGE_SANITIZE MATCHES "address" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    list(APPEND BITSTAGE_SIMD_OPTIMIZE
      -fno-sanitize-address-use-after-scope --param=asan-instrumentation-with-call-threshold=0)
  endif()
endif()

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()
find_program(MOLD_PROGRAM mold)
if(MOLD_PROGRAM AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  add_link_options(-fuse-ld=mold)
endif()
