#include "tests/kernels/amx_emulator.h"

#include <algorithm>

#if defined(__x86_64__) && defined(__linux__)
#include <ucontext.h>
#include <unistd.h>
#include <csignal>
#include <cstdlib>
#include <cstring>
#endif

namespace bitstage {

#if defined(__x86_64__) && defined(__linux__)
namespace {

constexpr int kTiles = 8;
constexpr int kMaxRows = 16;
constexpr int kMaxColumnBytes = 64;

struct Tile {
  int rows;
  int column_bytes;
  uint8_t bytes[kMaxRows][kMaxColumnBytes];
};

struct Tiles {
  TileUse use;
  Tile tile[kTiles];
};

thread_local Tiles tiles = {};
bool emulated = false;
struct sigaction previous = {};

// Within a signal handler: only what is safe there.
[[noreturn]] void Refuse(const char* what) {
  constexpr char kPrefix[] = "AMX emulator: real tiles would fault: ";
  ssize_t written = write(STDERR_FILENO, kPrefix, sizeof(kPrefix) - 1);
  written = write(STDERR_FILENO, what, strlen(what));
  written = write(STDERR_FILENO, "\n", 1);
  (void)written;
  abort();
}

// A VEX-coded instruction of three prefix bytes, map 0F38, with its operand in memory or a register.
struct Instruction {
  int prefix;  // VEX.pp: 0 none, 1 66, 2 F3, 3 F2
  int opcode;
  int mod, reg, rm;
  int vvvv;
  uint64_t base;   // in memory: base + displacement
  uint64_t index;  // index register · scale: the stride of tile loads and stores
  bool has_sib;
  int length;
};

uint64_t Register(const ucontext_t& context, int number) {
  constexpr int kNumbers[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
  return static_cast<uint64_t>(context.uc_mcontext.gregs[kNumbers[number]]);
}

// False for what is no such instruction.
bool Decode(const ucontext_t& context, Instruction* out) {
  const auto ip = static_cast<uint64_t>(context.uc_mcontext.gregs[REG_RIP]);
  const auto* code = reinterpret_cast<const uint8_t*>(ip);
  if (code[0] != 0xc4 || (code[1] & 0x1f) != 2) return false;
  const bool r = (code[1] & 0x80) == 0;  // stored inverted
  const bool x = (code[1] & 0x40) == 0;
  const bool b = (code[1] & 0x20) == 0;
  if ((code[2] & 0x84) != 0) return false;  // W, L
  out->prefix = code[2] & 3;
  out->vvvv = (~code[2] >> 3) & 15;
  out->opcode = code[3];
  out->mod = code[4] >> 6;
  out->reg = ((code[4] >> 3) & 7) | (r ? 8 : 0);
  out->rm = (code[4] & 7) | (b ? 8 : 0);
  out->base = out->index = 0;
  out->has_sib = false;
  int at = 5;
  if (out->mod != 3) {
    int displacement_bytes = out->mod == 1 ? 1 : out->mod == 2 ? 4 : 0;
    bool relative = false;
    if ((code[4] & 7) == 4) {
      const int sib = code[at++];
      out->has_sib = true;
      const int index = ((sib >> 3) & 7) | (x ? 8 : 0);
      if (index != 4) out->index = Register(context, index) << (sib >> 6);
      if ((sib & 7) == 5 && out->mod == 0) {
        displacement_bytes = 4;
      } else {
        out->base = Register(context, (sib & 7) | (b ? 8 : 0));
      }
    } else if ((code[4] & 7) == 5 && out->mod == 0) {
      displacement_bytes = 4;
      relative = true;
    } else {
      out->base = Register(context, out->rm);
    }
    int64_t displacement = 0;
    if (displacement_bytes == 1) displacement = static_cast<int8_t>(code[at]);
    if (displacement_bytes == 4) {
      int32_t four;
      memcpy(&four, code + at, sizeof(four));
      displacement = four;
    }
    at += displacement_bytes;
    out->base += static_cast<uint64_t>(displacement);
    if (relative) out->base += ip + static_cast<uint64_t>(at);
  }
  out->length = at;
  return true;
}

void Configure(const uint8_t* memory) {
  const int palette = memory[0];
  if (palette > 1) Refuse("palette");
  for (int i = 1; i < 16; ++i) {
    if (memory[i] != 0) Refuse("start row or reserved bytes of the configuration");
  }
  for (int i = 0; i < 16; ++i) {
    uint16_t column_bytes;
    memcpy(&column_bytes, memory + 16 + 2 * i, sizeof(column_bytes));
    const int rows = memory[48 + i];
    if (i >= kTiles) {
      if (column_bytes != 0 || rows != 0) Refuse("shape of a tile beyond 7");
      continue;
    }
    if (palette == 1 && (column_bytes > kMaxColumnBytes || rows > kMaxRows || (column_bytes == 0) != (rows == 0))) {
      Refuse("shape of a tile");
    }
    tiles.tile[i] = {};
    tiles.tile[i].rows = palette == 0 ? 0 : rows;
    tiles.tile[i].column_bytes = palette == 0 ? 0 : column_bytes;
  }
  tiles.use.configured = palette == 1;
}

Tile& Used(int number) {
  if (!tiles.use.configured) Refuse("use of tiles without a configuration");
  if (number >= kTiles) Refuse("tile number beyond 7");
  if (tiles.tile[number].rows == 0) Refuse("use of a tile without a shape");
  return tiles.tile[number];
}

void Product(Tile& sums, const Tile& codes, const Tile& weights) {
  if (&sums == &codes || &sums == &weights || &codes == &weights) Refuse("tile used twice in a product");
  const bool fit = sums.column_bytes % 4 == 0 && codes.column_bytes % 4 == 0 && sums.rows == codes.rows &&
                   sums.column_bytes == weights.column_bytes && codes.column_bytes / 4 == weights.rows;
  if (!fit) Refuse("shapes of a product do not fit");
  for (int m = 0; m < sums.rows; ++m) {
    int32_t row[kMaxColumnBytes / 4];
    memcpy(row, sums.bytes[m], sizeof(row));
    for (int k = 0; k < codes.column_bytes / 4; ++k) {
      for (int n = 0; n < sums.column_bytes / 4; ++n) {
        uint32_t sum = 0;  // wraps around, as the hardware's
        for (int i = 0; i < 4; ++i) {
          sum += static_cast<uint32_t>(codes.bytes[m][4 * k + i] * static_cast<int8_t>(weights.bytes[k][4 * n + i]));
        }
        row[n] = static_cast<int32_t>(static_cast<uint32_t>(row[n]) + sum);
      }
    }
    memcpy(sums.bytes[m], row, static_cast<size_t>(sums.column_bytes));
  }
  ++tiles.use.products;
}

void Load(Tile& tile, uint64_t from, uint64_t stride) {
  bool crosses = false;
  for (int row = 0; row < tile.rows; ++row, from += stride) {
    crosses = crosses || from % 64 + static_cast<uint64_t>(tile.column_bytes) > 64;
    memcpy(tile.bytes[row], reinterpret_cast<const void*>(from), static_cast<size_t>(tile.column_bytes));
  }
  ++tiles.use.loads;
  if (crosses) ++tiles.use.crossing_loads;
}

void Store(const Tile& tile, uint64_t to, uint64_t stride) {
  for (int row = 0; row < tile.rows; ++row, to += stride) {
    memcpy(reinterpret_cast<void*>(to), tile.bytes[row], static_cast<size_t>(tile.column_bytes));
  }
  ++tiles.use.stores;
}

// False for an instruction that is not of AMX.
bool Execute(const Instruction& in) {
  constexpr int kNone = 0, k66 = 1, kF3 = 2, kF2 = 3;
  const bool memory = in.mod != 3;
  if (in.opcode == 0x5e && in.prefix == k66 && !memory) {  // tdpbusd
    Product(Used(in.reg), Used(in.rm), Used(in.vvvv));
    return true;
  }
  if (in.vvvv != 0) return false;
  if (in.opcode == 0x49 && in.prefix == kNone && memory && in.reg == 0) {
    Configure(reinterpret_cast<const uint8_t*>(in.base + in.index));
    return true;
  }
  if (in.opcode == 0x49 && in.prefix == kNone && !memory && in.reg == 0 && in.rm == 0) {  // tilerelease
    tiles.use.configured = false;
    return true;
  }
  if (in.opcode == 0x49 && in.prefix == kF2 && !memory && in.rm == 0) {
    memset(Used(in.reg).bytes, 0, sizeof(Tile::bytes));
    return true;
  }
  if (in.opcode == 0x4b && in.has_sib && in.prefix == kF2) {
    Load(Used(in.reg), in.base, in.index);
    return true;
  }
  if (in.opcode == 0x4b && in.has_sib && in.prefix == kF3) {
    Store(Used(in.reg), in.base, in.index);
    return true;
  }
  return false;
}

void OnIllegalInstruction(int signal, siginfo_t*, void* opaque) {
  auto& context = *static_cast<ucontext_t*>(opaque);
  Instruction instruction;
  if (Decode(context, &instruction) && Execute(instruction)) {
    context.uc_mcontext.gregs[REG_RIP] += instruction.length;
    return;
  }
  sigaction(signal, &previous, nullptr);  // and meet it again
}

bool InstallWhereMissing() {
  const std::vector<Isa>& isas = SupportedIsas();
  // AMX comes with AVX-512 VBMI, which the kernels use beside it and which nobody emulates here.
  if (isas.back() != Isa::kAvx512Vnni || !HasAvx512Vbmi()) return false;
  struct sigaction action = {};
  action.sa_sigaction = OnIllegalInstruction;
  action.sa_flags = SA_SIGINFO;
  if (sigaction(SIGILL, &action, &previous) != 0) return false;
  CountAsSupported(Isa::kAmx);
  return true;
}

}  // namespace

const std::vector<Isa>& TestedIsas() {
  static const bool installed = emulated = InstallWhereMissing();
  (void)installed;
  return SupportedIsas();
}

bool AmxIsEmulated() { return emulated; }
TileUse EmulatedTileUse() { return tiles.use; }
#else
const std::vector<Isa>& TestedIsas() { return SupportedIsas(); }
bool AmxIsEmulated() { return false; }
TileUse EmulatedTileUse() { return {}; }
#endif

}  // namespace bitstage
