// General compressors beside the codec: one symbol a byte in, bytes out, and back.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace bitstage {

struct Peer {
  std::string name;
  // Compressed; empty where the peer gives up. Decompress must give `codes.size()` bytes.
  void (*compress)(std::span<const uint8_t> codes, std::vector<uint8_t>& out);
  bool (*decompress)(std::span<const uint8_t> in, std::span<uint8_t> codes);
};

// zstd levels 1 and 3, LZ4, and the Huffman coder within zstd ("huff0": its four streams, tables included).
const std::vector<Peer>& Peers();

}  // namespace bitstage
