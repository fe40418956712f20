#include "server/services/tensor_contents.h"

#include <limits>
#include <optional>

#include "absl/strings/str_cat.h"
#include "engine/base/checked_math.h"
#include "engine/base/status_macros.h"

namespace bitstage::server {
namespace {

using inference::InferTensorContents;

struct FieldCount {
  const char* datatype;
  const char* field;
  int count;
};

// The fields of typed contents, each under the datatype that our inputs use it for.
std::vector<FieldCount> FieldCounts(const InferTensorContents& typed) {
  return {{"BOOL", "bool_contents", typed.bool_contents_size()},
          {"INT32", "int_contents", typed.int_contents_size()},
          {"INT64", "int64_contents", typed.int64_contents_size()},
          {"UINT8", "uint_contents", typed.uint_contents_size()},
          {"UINT64", "uint64_contents", typed.uint64_contents_size()},
          {"FP32", "fp32_contents", typed.fp32_contents_size()},
          {"FP64", "fp64_contents", typed.fp64_contents_size()},
          {"BYTES", "bytes_contents", typed.bytes_contents_size()}};
}

// That the field of `datatype` holds `elements` entries and the others none.
absl::Status CheckTyped(const InferTensorContents& typed, absl::string_view datatype, int64_t elements,
                        absl::string_view where) {
  for (const FieldCount& field : FieldCounts(typed)) {
    if (datatype == field.datatype) {
      if (field.count == elements) continue;
      return absl::InvalidArgumentError(absl::StrCat("unexpected number of elements for ", where, ". Expected ",
                                                     elements, " in ", field.field, ", got ", field.count));
    }
    if (field.count != 0) {
      return absl::InvalidArgumentError(absl::StrCat("contents of ", where, " have ", field.count, " elements in ",
                                                     field.field, ", which is not the field of its datatype ",
                                                     datatype));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckRawBytes(const std::string& raw, int64_t elements, size_t element_bytes, absl::string_view where) {
  const std::optional<int64_t> expected = CheckedMul(elements, static_cast<int64_t>(element_bytes));
  if (expected && static_cast<uint64_t>(*expected) == raw.size()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("input byte size mismatch for ", where, ". Expected ",
                                                 expected ? absl::StrCat(*expected) : "more than 2^63", ", got ",
                                                 raw.size()));
}

}  // namespace

absl::StatusOr<const void*> FixedElements(const TensorData& data, absl::string_view datatype, int64_t elements,
                                          size_t element_bytes, absl::string_view where) {
  if (data.raw != nullptr) {
    BITSTAGE_RETURN_IF_ERROR(CheckRawBytes(*data.raw, elements, element_bytes, where));
    return data.raw->data();
  }
  BITSTAGE_RETURN_IF_ERROR(CheckTyped(*data.typed, datatype, elements, where));
  if (datatype == "FP32") return data.typed->fp32_contents().data();
  if (datatype == "INT64") return data.typed->int64_contents().data();
  return absl::InvalidArgumentError(
      absl::StrCat(where, " has datatype ", datatype, ", which is taken from raw_input_contents only"));
}

absl::StatusOr<std::span<const uint8_t>> ByteElements(const TensorData& data, int64_t elements, absl::string_view where,
                                                      std::vector<std::vector<uint8_t>>& converted) {
  if (data.raw != nullptr) {
    BITSTAGE_RETURN_IF_ERROR(CheckRawBytes(*data.raw, elements, 1, where));
    return std::span(reinterpret_cast<const uint8_t*>(data.raw->data()), data.raw->size());
  }
  BITSTAGE_RETURN_IF_ERROR(CheckTyped(*data.typed, "UINT8", elements, where));
  const auto& values = data.typed->uint_contents();
  std::vector<uint8_t>& bytes = converted.emplace_back();
  bytes.reserve(static_cast<size_t>(values.size()));
  for (int i = 0; i < values.size(); ++i) {
    if (values[i] > std::numeric_limits<uint8_t>::max()) {
      return absl::InvalidArgumentError(
          absl::StrCat("element ", i, " of ", where, " is ", values[i], ", which is no UINT8"));
    }
    bytes.push_back(static_cast<uint8_t>(values[i]));
  }
  return std::span<const uint8_t>(bytes);
}

absl::StatusOr<std::vector<std::span<const std::byte>>> StringElements(const TensorData& data, int64_t elements,
                                                                       absl::string_view where) {
  std::vector<std::span<const std::byte>> strings;
  if (data.raw == nullptr) {
    BITSTAGE_RETURN_IF_ERROR(CheckTyped(*data.typed, "BYTES", elements, where));
    for (const std::string& text : data.typed->bytes_contents()) strings.push_back(std::as_bytes(std::span(text)));
    return strings;
  }
  constexpr size_t kPrefix = sizeof(uint32_t);
  std::span<const std::byte> rest = std::as_bytes(std::span(*data.raw));
  for (int64_t i = 0; i < elements; ++i) {
    if (rest.size() < kPrefix) {
      return absl::InvalidArgumentError(absl::StrCat("element ", i, " of ", elements, " of ", where,
                                                     " has no length: 4 bytes expected, ", rest.size(), " left"));
    }
    uint32_t length = 0;
    for (size_t byte = 0; byte < kPrefix; ++byte) length |= std::to_integer<uint32_t>(rest[byte]) << (8 * byte);
    rest = rest.subspan(kPrefix);
    if (length > rest.size()) {
      return absl::InvalidArgumentError(absl::StrCat("element ", i, " of ", elements, " of ", where, " says it has ",
                                                     length, " bytes, ", rest.size(), " are left"));
    }
    strings.push_back(rest.first(length));
    rest = rest.subspan(length);
  }
  if (!rest.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(rest.size(), " bytes are left after the ", elements, " elements of ", where));
  }
  return strings;
}

}  // namespace bitstage::server
