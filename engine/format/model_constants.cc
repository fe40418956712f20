#include "engine/format/model_constants.h"

#include <cstring>
#include <limits>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/checked_math.h"
#include "engine/base/refuse.h"
#include "engine/base/status_macros.h"
#include "engine/codec/weight_coding.h"
#include "engine/format/model_enums.h"
#include "engine/format/model_ops.h"
#include "proto/model_file.pb.h"

namespace bitstage {
namespace {

using namespace model_enums;

// Hands out a section from its beginning to its end, back to back.
class SectionCursor {
 public:
  SectionCursor(absl::string_view name, std::span<const std::byte> bytes) : name_(name), bytes_(bytes) {}

  absl::StatusOr<std::span<const std::byte>> Take(uint64_t offset, std::optional<int64_t> size) {
    if (offset != next_) return Refuse("offset in ", name_, " is ", offset, ", expected ", next_);
    if (!size || static_cast<uint64_t>(*size) > bytes_.size() - next_) {
      return Refuse("needs ", size ? absl::StrCat(*size) : "too many", " bytes at ", offset, " of ", name_,
                    ", which has ", bytes_.size());
    }
    const std::span<const std::byte> taken = bytes_.subspan(next_, static_cast<size_t>(*size));
    next_ += taken.size();
    return taken;
  }
  [[nodiscard]] absl::Status CheckAtEnd() const {
    if (next_ == bytes_.size()) return absl::OkStatus();
    return Refuse(name_, ": ", bytes_.size() - next_, " bytes at the end belong to no constant");
  }

 private:
  absl::string_view name_;
  std::span<const std::byte> bytes_;
  size_t next_ = 0;
};

// All but the codes themselves, which it notes in `packed`.
absl::StatusOr<WeightCodes> ReadCodes(const pb::Codes& proto, Shape shape, SectionCursor& weights,
                                      SectionCursor& floats, PackedCodes& packed) {
  WeightCodes codes;
  codes.shape = std::move(shape);
  codes.alpha = {proto.alpha().begin(), proto.alpha().end()};
  BITSTAGE_ASSIGN_OR_RETURN(codes.codebook, FromProto(kCodebooks, proto.codebook(), "codebook"));
  BITSTAGE_ASSIGN_OR_RETURN(codes.kind, FromProto(kScaleKinds, proto.scale_kind(), "scale_kind"));
  if (proto.bits() < 1 || proto.bits() > 8) return Refuse("bits is ", proto.bits(), ", expected 1 to 8");
  codes.bits = static_cast<int>(proto.bits());

  const std::optional<int64_t> count = codes.shape.CheckedElements();
  if (!count) return Refuse("shape ", codes.shape.ToString(), " has too many elements");
  if (proto.huffman()) {
    if (proto.size() > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
      return Refuse("size is ", proto.size(), " bytes");
    }
    BITSTAGE_ASSIGN_OR_RETURN(packed.bytes, weights.Take(proto.offset(), static_cast<int64_t>(proto.size())));
  } else {
    const std::optional<int64_t> size = PackedBytes(codes.codebook, codes.bits, *count);
    if (!size || static_cast<uint64_t>(*size) != proto.size()) {
      return Refuse("size is ", proto.size(), " bytes, expected ", size ? absl::StrCat(*size) : "fewer", " for ",
                    *count, " codes of ", codes.bits, " bits");
    }
    BITSTAGE_ASSIGN_OR_RETURN(packed.bytes, weights.Take(proto.offset(), size));
  }
  packed.huffman = proto.huffman();

  if (proto.scale_count() > static_cast<uint64_t>(std::numeric_limits<int32_t>::max())) {
    return Refuse("scale_count is ", proto.scale_count());
  }
  const auto scale_count = static_cast<size_t>(proto.scale_count());
  BITSTAGE_ASSIGN_OR_RETURN(
      const std::span<const std::byte> scales,
      floats.Take(proto.scale_offset(), CheckedMul(static_cast<int64_t>(scale_count), sizeof(float))));
  codes.scale.resize(scale_count);
  if (!scales.empty()) std::memcpy(codes.scale.data(), scales.data(), scales.size());
  return codes;
}

absl::StatusOr<Constant> ReadConstant(const pb::Constant& proto, SectionCursor& weights, SectionCursor& floats,
                                      PackedCodes& packed) {
  Constant constant{.name = proto.name(), .values = std::nullopt, .codes = std::nullopt};
  BITSTAGE_ASSIGN_OR_RETURN(Shape shape, ReadShape(proto.shape(), "shape"));
  switch (proto.data_case()) {
    case pb::Constant::kCodes: {
      BITSTAGE_ASSIGN_OR_RETURN(constant.codes, ReadCodes(proto.codes(), std::move(shape), weights, floats, packed));
      return constant;
    }
    case pb::Constant::kFloats: {
      const std::optional<int64_t> count = shape.CheckedElements();
      const std::optional<int64_t> size = count ? CheckedMul(*count, sizeof(float)) : std::nullopt;
      BITSTAGE_ASSIGN_OR_RETURN(const std::span<const std::byte> bytes, floats.Take(proto.floats().offset(), size));
      constant.values.emplace(DataType::kFloat32, std::move(shape));
      std::memcpy(constant.values->data(), bytes.data(), bytes.size());
      return constant;
    }
    case pb::Constant::DATA_NOT_SET: break;
  }
  return Refuse("data is missing");
}

absl::Status AtConstant(const absl::Status& status, size_t index, const std::string& name) {
  if (status.ok()) return status;
  return absl::Status(status.code(), absl::StrCat("META: constant ", index, " '", name, "': ", status.message()));
}

}  // namespace

absl::StatusOr<std::vector<PackedCodes>> ReadConstants(const pb::Graph& proto, const ModelSections& sections,
                                                       Graph& graph) {
  SectionCursor weights("WEIGHTS", sections.weights);
  SectionCursor floats("FLOATS", sections.floats);
  std::vector<PackedCodes> packed;
  for (const pb::Constant& from : proto.constants()) {
    absl::StatusOr<Constant> constant = ReadConstant(from, weights, floats, packed.emplace_back());
    if (!constant.ok()) return AtConstant(constant.status(), graph.constants.size(), from.name());
    graph.AddConstant(*std::move(constant));
  }
  BITSTAGE_RETURN_IF_ERROR(weights.CheckAtEnd());
  BITSTAGE_RETURN_IF_ERROR(floats.CheckAtEnd());
  return packed;
}

absl::Status PackedModel::Unpack(ConstantId id, WeightCodes& weights) const {
  const PackedCodes& from = codes[static_cast<size_t>(id)];
  absl::Status status = (from.huffman ? Decode : bitstage::Unpack)(weights.codebook, weights.bits,
                                                                   weights.shape.elements(), from.bytes, weights.codes);
  if (status.ok()) status = ValidateCodes(weights);
  return AtConstant(status, static_cast<size_t>(id), model.graph.constant(id).name);
}

}  // namespace bitstage
