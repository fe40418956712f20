#include "tests/bench/codec_peers.h"

#include <lz4.h>
#include <zstd.h>

#include <algorithm>

// Inside Debian's libzstd.a (1.5.4), without a public header.
extern "C" {
size_t HUF_compress4X_repeat(void* to, size_t room, const void* from, size_t size, unsigned max_symbol,
                             unsigned table_log, void* scratch, size_t scratch_size, size_t* table, int* repeat,
                             int flags);
size_t HUF_decompress4X_hufOnly_wksp(uint32_t* table, void* to, size_t room, const void* from, size_t size,
                                     void* scratch, size_t scratch_size, int flags);
unsigned HUF_isError(size_t code);
}

namespace bitstage {
namespace {

constexpr int kHufBmi2 = 1;
constexpr size_t kHufBlock = 128 << 10;
constexpr size_t kHufHeader = 4;  // bytes of a block, ours: huff0 keeps no sizes

template <int level>
void ZstdCompress(std::span<const uint8_t> codes, std::vector<uint8_t>& out) {
  static ZSTD_CCtx* const context = ZSTD_createCCtx();
  out.resize(ZSTD_compressBound(codes.size()));
  out.resize(ZSTD_compressCCtx(context, out.data(), out.size(), codes.data(), codes.size(), level));
}
bool ZstdDecompress(std::span<const uint8_t> in, std::span<uint8_t> codes) {
  static ZSTD_DCtx* const context = ZSTD_createDCtx();
  return ZSTD_decompressDCtx(context, codes.data(), codes.size(), in.data(), in.size()) == codes.size();
}

void Lz4Compress(std::span<const uint8_t> codes, std::vector<uint8_t>& out) {
  out.resize(static_cast<size_t>(LZ4_compressBound(static_cast<int>(codes.size()))));
  const int size =
      LZ4_compress_default(reinterpret_cast<const char*>(codes.data()), reinterpret_cast<char*>(out.data()),
                           static_cast<int>(codes.size()), static_cast<int>(out.size()));
  out.resize(static_cast<size_t>(size));
}
bool Lz4Decompress(std::span<const uint8_t> in, std::span<uint8_t> codes) {
  return LZ4_decompress_safe(reinterpret_cast<const char*>(in.data()), reinterpret_cast<char*>(codes.data()),
                             static_cast<int>(in.size()),
                             static_cast<int>(codes.size())) == static_cast<int>(codes.size());
}

// Blocks of up to 128 KiB, each behind its size.
void HufCompress(std::span<const uint8_t> codes, std::vector<uint8_t>& out) {
  static std::vector<uint64_t> scratch(2048);
  static std::vector<size_t> table(260);
  out.resize(codes.size() + codes.size() / 8 + 1024);
  size_t at = 0;
  for (size_t begin = 0; begin < codes.size(); begin += kHufBlock) {
    const std::span<const uint8_t> block = codes.subspan(begin, std::min(kHufBlock, codes.size() - begin));
    int repeat = 0;
    const size_t size =
        HUF_compress4X_repeat(out.data() + at + kHufHeader, out.size() - at - kHufHeader, block.data(), block.size(),
                              255, 11, scratch.data(), 8 * scratch.size(), table.data(), &repeat, kHufBmi2);
    if (size <= 1 || HUF_isError(size) != 0) {
      out.clear();
      return;
    }
    for (size_t i = 0; i < kHufHeader; ++i) out[at + i] = static_cast<uint8_t>(size >> (8 * i));
    at += kHufHeader + size;
  }
  out.resize(at);
}
bool HufDecompress(std::span<const uint8_t> in, std::span<uint8_t> codes) {
  static std::vector<uint64_t> scratch(2048);
  static std::vector<uint32_t> table(1 + (1 << 12));
  while (!codes.empty()) {
    size_t size = 0;
    for (size_t i = 0; i < kHufHeader; ++i) size |= size_t{in[i]} << (8 * i);
    const size_t block = std::min(kHufBlock, codes.size());
    table[0] = 12 * 0x01000001u;
    const size_t got = HUF_decompress4X_hufOnly_wksp(table.data(), codes.data(), block, in.data() + kHufHeader, size,
                                                     scratch.data(), 8 * scratch.size(), kHufBmi2);
    if (got != block) return false;
    in = in.subspan(kHufHeader + size);
    codes = codes.subspan(block);
  }
  return true;
}

}  // namespace

const std::vector<Peer>& Peers() {
  static const auto& peers = *new std::vector<Peer>{{"huff0 of zstd 1.5", HufCompress, HufDecompress},
                                                    {"zstd -1", ZstdCompress<1>, ZstdDecompress},
                                                    {"zstd -3", ZstdCompress<3>, ZstdDecompress},
                                                    {"LZ4", Lz4Compress, Lz4Decompress}};
  return peers;
}

}  // namespace bitstage
