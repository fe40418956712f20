#include "engine/base/isa.h"

#include <array>
#include <cstdlib>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#if defined(__x86_64__)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#endif

namespace bitstage {
namespace {

#if defined(__x86_64__)
struct CpuFeatures {
  bool avx2_fma = false;
  bool avx512_vnni = false;
  bool avx512_vbmi = false;
  bool amx_int8 = false;
};

// What the operating system saves on a context switch (XCR0); 0 where it saves nothing beyond SSE.
uint64_t SavedStates(uint32_t leaf1_ecx) {
  constexpr uint32_t kOsxsave = 1u << 27;
  if ((leaf1_ecx & kOsxsave) == 0) return 0;
  uint32_t low = 0;
  uint32_t high = 0;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (static_cast<uint64_t>(high) << 32) | low;
}

// Whether tiles have the size that the kernels assume: palette 1 with 8 tiles of 16 rows of 64 bytes (CPUID leaf 1DH).
bool HasTilesOf1024Bytes() {
  uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (__get_cpuid_count(0x1d, 0, &eax, &ebx, &ecx, &edx) == 0 || eax < 1) return false;
  if (__get_cpuid_count(0x1d, 1, &eax, &ebx, &ecx, &edx) == 0) return false;
  return eax >> 16 == 1024 && (ebx & 0xffff) == 64 && ebx >> 16 >= 8 && (ecx & 0xffff) == 16;
}

// Linux gives a process the 8 KB of tile registers on demand only, from 5.16 on. The permission holds for all threads,
// those that run already too, and for children of fork; exec ends it. It is refused where a thread's alternate signal
// stack could not hold the larger frame. A thread gets its memory at its first tile instruction.
bool ObtainTilePermission() {
#if defined(__linux__)
  constexpr long kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM, asm/prctl.h
  constexpr long kTileData = 18;               // the state component, XCR0's bit
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

// Bit numbers: Intel SDM volume 2, CPUID leaves 1 and 7.
CpuFeatures DetectCpu() {
  uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) == 0) return {};
  const bool fma = ((ecx >> 12) & 1) != 0;
  const uint64_t saved = SavedStates(ecx);
  constexpr uint64_t kYmmState = 0x06;      // XMM, upper YMM
  constexpr uint64_t kZmmState = 0xe6;      // and the opmasks, upper ZMM, ZMM16-31
  constexpr uint64_t kTileState = 0x60000;  // tile configuration, tile data
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0) return {};
  const auto bit = [](uint32_t word, int number) { return ((word >> number) & 1) != 0; };
  CpuFeatures features;
  features.avx2_fma = fma && bit(ebx, 5) && (saved & kYmmState) == kYmmState;
  const bool avx512_f_dq_bw_vl = bit(ebx, 16) && bit(ebx, 17) && bit(ebx, 30) && bit(ebx, 31);
  features.avx512_vnni = features.avx2_fma && avx512_f_dq_bw_vl && bit(ecx, 11) && (saved & kZmmState) == kZmmState;
  const bool bmi_cd = bit(ebx, 3) && bit(ebx, 8) && bit(ebx, 28);
  const bool vbmi_vbmi2_gfni_vpopcntdq = bit(ecx, 1) && bit(ecx, 6) && bit(ecx, 8) && bit(ecx, 14);
  features.avx512_vbmi = features.avx512_vnni && bmi_cd && vbmi_vbmi2_gfni_vpopcntdq;
  const bool amx_tile_int8 = bit(edx, 24) && bit(edx, 25);
  features.amx_int8 =
      features.avx512_vbmi && amx_tile_int8 && (saved & kTileState) == kTileState && HasTilesOf1024Bytes();
  return features;
}
#endif

std::vector<Isa> DetectIsas() {
  std::vector<Isa> isas = {Isa::kReference};
#if defined(__x86_64__)
  const CpuFeatures cpu = DetectCpu();
  if (cpu.avx2_fma) isas.push_back(Isa::kAvx2);
  if (cpu.avx512_vnni) isas.push_back(Isa::kAvx512Vnni);
  if (cpu.amx_int8 && ObtainTilePermission()) isas.push_back(Isa::kAmx);
#endif
  return isas;
}

std::vector<Isa>& Isas() {
  static std::vector<Isa>& isas = *new std::vector<Isa>(DetectIsas());
  return isas;
}

}  // namespace

absl::string_view Name(Isa isa) {
  constexpr std::array<absl::string_view, 4> kNames = {"reference", "avx2", "avx512_vnni", "amx"};
  return kNames[static_cast<size_t>(isa)];
}

const std::vector<Isa>& SupportedIsas() { return Isas(); }

void CountAsSupported(Isa isa) { Isas().push_back(isa); }

bool HasAvx512Vbmi() {
#if defined(__x86_64__)
  static const bool has = DetectCpu().avx512_vbmi;
  return has;
#else
  return false;
#endif
}

absl::StatusOr<Isa> ChooseIsa() {
  const char* wanted = std::getenv("BITSTAGE_ISA");
  if (wanted == nullptr || *wanted == '\0') return SupportedIsas().back();
  for (const Isa isa : SupportedIsas()) {
    if (Name(isa) == wanted) return isa;
  }
  const auto append_name = [](std::string* out, Isa isa) { absl::StrAppend(out, Name(isa)); };
  return absl::InvalidArgumentError(absl::StrCat("BITSTAGE_ISA is \"", wanted, "\"; this CPU has ",
                                                 absl::StrJoin(SupportedIsas(), ", ", append_name)));
}

}  // namespace bitstage
