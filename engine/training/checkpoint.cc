#include "engine/training/checkpoint.h"

#include <bit>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <limits>

#include "absl/strings/str_cat.h"
#include "engine/base/atomic_file.h"
#include "engine/base/crc32c.h"
#include "engine/base/status_macros.h"

namespace bitstage {
namespace {

constexpr char kMagic[] = "BSTRAIN1";
constexpr size_t kMagicBytes = 8;
constexpr size_t kIdentityBytes = 32;
static_assert(std::endian::native == std::endian::little);

template <typename T>
void Append(std::string& bytes, T value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

class Reader {
 public:
  explicit Reader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  absl::StatusOr<std::span<const std::byte>> Bytes(const char* field, uint64_t count) {
    if (count > bytes_.size()) {
      return absl::DataLossError(absl::StrCat("checkpoint: ", field, " needs ", count, " bytes at byte ", at_,
                                              ", the file has ", bytes_.size(), " more"));
    }
    const std::span<const std::byte> taken = bytes_.first(count);
    bytes_ = bytes_.subspan(count);
    at_ += count;
    return taken;
  }
  template <typename T>
  absl::Status Number(const char* field, T& value) {
    BITSTAGE_ASSIGN_OR_RETURN(const std::span<const std::byte> bytes, Bytes(field, sizeof(T)));
    std::memcpy(&value, bytes.data(), sizeof(T));
    return absl::OkStatus();
  }
  absl::Status Text(const char* field, uint64_t count, std::string& text) {
    BITSTAGE_ASSIGN_OR_RETURN(const std::span<const std::byte> bytes, Bytes(field, count));
    text.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return absl::OkStatus();
  }
  [[nodiscard]] size_t left() const { return bytes_.size(); }

 private:
  std::span<const std::byte> bytes_;
  uint64_t at_ = 0;
};

absl::Status ReadArray(Reader& reader, CheckpointArray& array) {
  uint16_t name_length = 0;
  uint64_t count = 0;
  BITSTAGE_RETURN_IF_ERROR(reader.Number("array name length", name_length));
  BITSTAGE_RETURN_IF_ERROR(reader.Text("array name", name_length, array.name));
  BITSTAGE_RETURN_IF_ERROR(reader.Number("array length", count));
  if (count > reader.left() / sizeof(float)) {
    return absl::DataLossError(absl::StrCat("checkpoint: array '", array.name, "' claims ", count,
                                            " values, the file has ", reader.left(), " more bytes"));
  }
  BITSTAGE_ASSIGN_OR_RETURN(const std::span<const std::byte> values, reader.Bytes("array", count * sizeof(float)));
  array.values.resize(count);
  if (count > 0) std::memcpy(array.values.data(), values.data(), values.size());
  return absl::OkStatus();
}

absl::Status Named(const absl::Status& status, const std::string& path) {
  return absl::Status(status.code(), absl::StrCat(path, ": ", status.message()));
}

}  // namespace

std::string SerializeCheckpoint(const Checkpoint& checkpoint) {
  std::string bytes(kMagic, kMagicBytes);
  std::string identity = checkpoint.identity;
  identity.resize(kIdentityBytes, '\0');
  bytes += identity;
  Append(bytes, checkpoint.step);
  Append(bytes, checkpoint.loss);
  Append(bytes, checkpoint.best);
  Append(bytes, checkpoint.best_step);
  Append(bytes, static_cast<uint32_t>(checkpoint.options.size()));
  bytes += checkpoint.options;
  Append(bytes, static_cast<uint32_t>(checkpoint.arrays.size()));
  for (const CheckpointArray& array : checkpoint.arrays) {
    Append(bytes, static_cast<uint16_t>(array.name.size()));
    bytes += array.name;
    Append(bytes, static_cast<uint64_t>(array.values.size()));
    bytes.append(reinterpret_cast<const char*>(array.values.data()), array.values.size() * sizeof(float));
  }
  Append(bytes, Crc32c(std::as_bytes(std::span(bytes))));
  return bytes;
}

absl::StatusOr<Checkpoint> ParseCheckpoint(std::span<const std::byte> bytes) {
  if (bytes.size() < kMagicBytes || std::memcmp(bytes.data(), kMagic, kMagicBytes) != 0) {
    return absl::InvalidArgumentError(absl::StrCat("not a training checkpoint: it does not begin with ", kMagic));
  }
  uint32_t expected = 0;
  if (bytes.size() < kMagicBytes + sizeof(expected)) return absl::DataLossError("checkpoint: truncated");
  const std::span<const std::byte> body = bytes.first(bytes.size() - sizeof(expected));
  std::memcpy(&expected, bytes.data() + body.size(), sizeof(expected));
  if (Crc32c(body) != expected) return absl::DataLossError("checkpoint: the checksum is wrong: truncated or damaged");

  Reader reader(body.subspan(kMagicBytes));
  Checkpoint checkpoint;
  uint32_t options_length = 0;
  uint32_t count = 0;
  BITSTAGE_RETURN_IF_ERROR(reader.Text("identity", kIdentityBytes, checkpoint.identity));
  BITSTAGE_RETURN_IF_ERROR(reader.Number("step", checkpoint.step));
  BITSTAGE_RETURN_IF_ERROR(reader.Number("loss", checkpoint.loss));
  BITSTAGE_RETURN_IF_ERROR(reader.Number("best", checkpoint.best));
  BITSTAGE_RETURN_IF_ERROR(reader.Number("best_step", checkpoint.best_step));
  BITSTAGE_RETURN_IF_ERROR(reader.Number("options length", options_length));
  BITSTAGE_RETURN_IF_ERROR(reader.Text("options", options_length, checkpoint.options));
  BITSTAGE_RETURN_IF_ERROR(reader.Number("array count", count));
  for (uint32_t i = 0; i < count; ++i) {
    BITSTAGE_RETURN_IF_ERROR(ReadArray(reader, checkpoint.arrays.emplace_back()));
  }
  if (reader.left() != 0) {
    return absl::DataLossError(absl::StrCat("checkpoint: ", reader.left(), " bytes after the last array"));
  }
  if (checkpoint.step < 0 || checkpoint.best_step < 0) {
    return absl::InvalidArgumentError(absl::StrCat("checkpoint: step is ", checkpoint.step, ", best_step ",
                                                   checkpoint.best_step, ", expected no less than 0"));
  }
  return checkpoint;
}

absl::Status WriteCheckpoint(const Checkpoint& checkpoint, const std::string& path) {
  const std::string bytes = SerializeCheckpoint(checkpoint);
  return WriteFileAtomically(std::as_bytes(std::span(bytes)), path);
}

absl::StatusOr<Checkpoint> ReadCheckpoint(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::ErrnoToStatus(errno, absl::StrCat(path, ": cannot open"));
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  absl::StatusOr<Checkpoint> checkpoint = ParseCheckpoint(std::as_bytes(std::span(bytes)));
  if (!checkpoint.ok()) return Named(checkpoint.status(), path);
  return checkpoint;
}

}  // namespace bitstage
