// Checkpoint: a training run on disk, so that it can go on after anything.
//
// The file, little-endian (version 1):
//
//   magic      8 bytes   "BSTRAIN1"
//   identity  32 bytes   half of the hexadecimal SHA-256 of what is trained: network, data and options
//   step       8 bytes   steps done
//   loss       8 bytes   running mean of the loss, binary64
//   best       8 bytes   best held-back agreement so far, binary64
//   best_step  8 bytes   the step it was found at
//   options    4 bytes length, then text (Fingerprint), for people and messages
//   arrays     4 bytes count, then for each: 2 bytes length and name, 8 bytes count, that many binary32
//   crc        4 bytes   CRC32C of everything before
//
// Written beside the old file and renamed over it. The reader trusts nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace bitstage {

struct CheckpointArray {
  std::string name;
  std::vector<float> values;
};

struct Checkpoint {
  std::string identity;  // 32 bytes
  int64_t step = 0;
  double loss = 0;
  double best = 0;
  int64_t best_step = 0;
  std::string options;
  std::vector<CheckpointArray> arrays;
};

std::string SerializeCheckpoint(const Checkpoint& checkpoint);
// DATA_LOSS for what is truncated or damaged, INVALID_ARGUMENT for what is no checkpoint; both name the field.
absl::StatusOr<Checkpoint> ParseCheckpoint(std::span<const std::byte> bytes);

// The same from and to a file; errors name it.
absl::Status WriteCheckpoint(const Checkpoint& checkpoint, const std::string& path);
absl::StatusOr<Checkpoint> ReadCheckpoint(const std::string& path);

}  // namespace bitstage
