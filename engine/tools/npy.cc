#include "engine/tools/npy.h"

#include <cstring>
#include <fstream>
#include <memory>
#include <optional>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "engine/base/status_macros.h"
#include "engine/data/file_bytes.h"

namespace bitstage {
namespace {

constexpr absl::string_view kMagic = "\x93NUMPY";
constexpr size_t kMaxFileBytes = size_t{1} << 32;
constexpr size_t kHeaderAlignment = 64;

struct Descriptor {
  absl::string_view name;
  DataType type;
};
constexpr Descriptor kDescriptors[] = {
    {"<f4", DataType::kFloat32}, {"|u1", DataType::kUInt8}, {"<u1", DataType::kUInt8}, {"<i8", DataType::kInt64}};

template <typename... Parts>
absl::Status Refuse(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat("npy: ", parts...));
}

// What follows `'key':` in the header, without leading blanks.
absl::StatusOr<absl::string_view> After(absl::string_view header, absl::string_view key) {
  const size_t at = header.find(absl::StrCat("'", key, "':"));
  if (at == absl::string_view::npos) return Refuse("the header has no '", key, "'");
  return absl::StripLeadingAsciiWhitespace(header.substr(at + key.size() + 3));
}

absl::StatusOr<DataType> TypeOf(absl::string_view header) {
  BITSTAGE_ASSIGN_OR_RETURN(const absl::string_view text, After(header, "descr"));
  for (const Descriptor& descriptor : kDescriptors) {
    if (absl::StartsWith(text, absl::StrCat("'", descriptor.name, "'"))) return descriptor.type;
  }
  return Refuse("element type ", text.substr(0, text.find(',')),
                ", expected '<f4' (float32), '|u1' (uint8) or '<i8' (int64)");
}

absl::StatusOr<Shape> ShapeOf(absl::string_view header) {
  BITSTAGE_ASSIGN_OR_RETURN(absl::string_view text, After(header, "shape"));
  const size_t end = text.find(')');
  if (!absl::ConsumePrefix(&text, "(") || end == absl::string_view::npos) return Refuse("the shape is no tuple");
  Shape shape;
  for (const absl::string_view part : absl::StrSplit(text.substr(0, end - 1), ',')) {
    const absl::string_view digits = absl::StripAsciiWhitespace(part);
    if (digits.empty()) continue;  // "(5,)"
    int64_t extent = 0;
    if (!absl::SimpleAtoi(digits, &extent) || extent < 1) return Refuse("extent '", digits, "' in the shape");
    shape.Append(extent);
  }
  if (shape.rank() < 1 || shape.rank() > kMaxRank) return Refuse("rank ", shape.rank(), ", expected 1 to ", kMaxRank);
  return shape;
}

}  // namespace

absl::StatusOr<Tensor> ParseNpy(std::span<const std::byte> bytes) {
  const absl::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.size() < 12 || !absl::StartsWith(text, kMagic)) return Refuse("not a .npy file");
  const int version = static_cast<unsigned char>(text[6]);
  if (version < 1 || version > 3) return Refuse("format version ", version, ", expected 1 to 3");
  const size_t length_bytes = version == 1 ? 2 : 4;
  size_t header_bytes = 0;
  for (size_t i = length_bytes; i-- > 0;) header_bytes = header_bytes << 8 | static_cast<uint8_t>(text[8 + i]);
  const size_t begin = 8 + length_bytes;
  if (header_bytes > text.size() - begin) return Refuse("the header of ", header_bytes, " bytes is truncated");
  const absl::string_view header = text.substr(begin, header_bytes);

  BITSTAGE_ASSIGN_OR_RETURN(const DataType type, TypeOf(header));
  BITSTAGE_ASSIGN_OR_RETURN(const absl::string_view order, After(header, "fortran_order"));
  if (!absl::StartsWith(order, "False")) return Refuse("the array is in Fortran order, expected C order");
  BITSTAGE_ASSIGN_OR_RETURN(const Shape shape, ShapeOf(header));
  const absl::string_view data = text.substr(begin + header_bytes);
  const std::optional<int64_t> elements = shape.CheckedElements();
  const std::optional<int64_t> expected =
      elements ? CheckedMul(*elements, static_cast<int64_t>(SizeOf(type))) : std::nullopt;
  if (!expected || static_cast<size_t>(*expected) != data.size()) {
    return Refuse(data.size(), " bytes of data for ", Name(type), " ", shape.ToString());
  }
  Tensor tensor(type, shape);
  std::memcpy(tensor.data(), data.data(), data.size());
  return tensor;
}

absl::StatusOr<Tensor> ReadNpy(const std::string& path) {
  BITSTAGE_ASSIGN_OR_RETURN(const std::shared_ptr<const FileBytes> file, FileBytes::Open(path, kMaxFileBytes));
  absl::StatusOr<Tensor> tensor = ParseNpy(file->bytes());
  if (!tensor.ok()) return {absl::Status(tensor.status().code(), absl::StrCat(path, ": ", tensor.status().message()))};
  return tensor;
}

std::string FormatNpy(const TensorView& tensor) {
  absl::string_view name = kDescriptors[0].name;
  for (const Descriptor& descriptor : kDescriptors) {
    if (descriptor.type == tensor.type) {
      name = descriptor.name;
      break;
    }
  }
  std::string header = absl::StrCat("{'descr': '", name, "', 'fortran_order': False, 'shape': (",
                                    absl::StrJoin(tensor.shape, ", "), tensor.shape.rank() == 1 ? ",), }" : "), }");
  constexpr size_t kPrefix = 10;
  while ((kPrefix + header.size() + 1) % kHeaderAlignment != 0) header += ' ';
  header += '\n';
  const char start[] = {1, 0, static_cast<char>(header.size() & 0xff), static_cast<char>(header.size() >> 8)};
  return absl::StrCat(kMagic, absl::string_view(start, sizeof start), header,
                      absl::string_view(static_cast<const char*>(tensor.data), tensor.bytes()));
}

absl::Status WriteNpy(const TensorView& tensor, const std::string& path) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  const std::string text = FormatNpy(tensor);
  file.write(text.data(), static_cast<std::streamsize>(text.size()));
  file.close();
  if (!file) return absl::UnavailableError(absl::StrCat(path, ": cannot be written"));
  return absl::OkStatus();
}

}  // namespace bitstage
