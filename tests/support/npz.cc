#include "tests/support/npz.h"

#include <zlib.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "engine/base/status_macros.h"

namespace bitstage {
namespace {

template <typename T>
T Little(const std::string& bytes, size_t at) {
  T value = 0;
  if (at + sizeof(T) <= bytes.size()) std::memcpy(&value, bytes.data() + at, sizeof(T));
  return value;
}

// The file `name` of a zip archive without comment, by its central directory.
absl::StatusOr<std::string> Unzip(const std::string& zip, const std::string& name) {
  constexpr size_t kEndRecord = 22;
  if (zip.size() < kEndRecord) return absl::InvalidArgumentError("not a zip archive");
  const size_t end = zip.size() - kEndRecord;
  size_t entry = Little<uint32_t>(zip, end + 16);
  for (int left = Little<uint16_t>(zip, end + 10); left > 0; --left) {
    if (Little<uint32_t>(zip, entry) != 0x02014b50) return absl::InvalidArgumentError("no zip directory");
    const size_t name_length = Little<uint16_t>(zip, entry + 28);
    if (zip.compare(entry + 46, name_length, name) != 0) {
      entry += 46 + name_length + Little<uint16_t>(zip, entry + 30) + Little<uint16_t>(zip, entry + 32);
      continue;
    }
    const size_t local = Little<uint32_t>(zip, entry + 42);
    const size_t data = local + 30 + Little<uint16_t>(zip, local + 26) + Little<uint16_t>(zip, local + 28);
    const size_t packed = Little<uint32_t>(zip, entry + 20);
    std::string content(Little<uint32_t>(zip, entry + 24), '\0');
    if (data + packed > zip.size()) return absl::InvalidArgumentError("truncated zip archive");
    if (Little<uint16_t>(zip, entry + 10) == 0) return zip.substr(data, packed);
    z_stream stream{};
    inflateInit2(&stream, -MAX_WBITS);
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(zip.data() + data));
    stream.avail_in = static_cast<uInt>(packed);
    stream.next_out = reinterpret_cast<Bytef*>(content.data());
    stream.avail_out = static_cast<uInt>(content.size());
    const int result = inflate(&stream, Z_FINISH);
    inflateEnd(&stream);
    if (result != Z_STREAM_END) return absl::InvalidArgumentError("broken deflate stream");
    return content;
  }
  return absl::NotFoundError(absl::StrCat("no member ", name));
}

// What stands between `before` and `after` in the header's dictionary.
std::string Between(const std::string& header, const std::string& before, char after) {
  const size_t start = header.find(before);
  if (start == std::string::npos) return {};
  const size_t begin = start + before.size();
  return header.substr(begin, header.find(after, begin) - begin);
}

absl::StatusOr<Tensor> ParseNpy(const std::string& npy) {
  if (npy.compare(0, 6, "\x93NUMPY") != 0 || npy[6] != 1)
    return absl::InvalidArgumentError("not an npy array, version 1");
  const size_t header_length = Little<uint16_t>(npy, 8);
  const std::string header = npy.substr(10, header_length);
  Shape shape;
  for (const absl::string_view part : absl::StrSplit(Between(header, "'shape': (", ')'), ',')) {
    int64_t extent = 0;
    if (absl::SimpleAtoi(part, &extent)) shape.Append(extent);
  }
  const std::string type = Between(header, "'descr': '", '\'');
  const size_t element = type == "<f4" ? 4 : type == "<i2" ? 2 : 1;
  const char* data = npy.data() + 10 + header_length;
  if (npy.size() - 10 - header_length != static_cast<size_t>(shape.elements()) * element ||
      absl::StrContains(header, "'fortran_order': True")) {
    return absl::InvalidArgumentError(absl::StrCat("array ", header));
  }
  if (type == "<i2") {
    Tensor tensor(DataType::kInt32, shape);
    int16_t value = 0;
    for (int32_t& target : tensor.Span<int32_t>()) {
      std::memcpy(&value, data, sizeof(value));
      target = value;
      data += sizeof(value);
    }
    return tensor;
  }
  if (type != "<f4" && type != "|u1") return absl::UnimplementedError(absl::StrCat("array of type ", type));
  Tensor tensor(type == "<f4" ? DataType::kFloat32 : DataType::kUInt8, shape);
  std::memcpy(tensor.data(), data, tensor.bytes());
  return tensor;
}

}  // namespace

absl::StatusOr<Tensor> ReadNpz(const std::string& path, const std::string& name) {
  std::ifstream file(path, std::ios::binary);
  const std::string zip{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  BITSTAGE_ASSIGN_OR_RETURN(const std::string npy, Unzip(zip, name + ".npy"));
  return ParseNpy(npy);
}

}  // namespace bitstage
