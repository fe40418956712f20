#include <limits>

#include "engine/base/status_macros.h"
#include "engine/format/model_enums.h"
#include "engine/format/model_ops.h"

namespace bitstage {
namespace {

using namespace model_enums;

std::array<int64_t, 2> Read(const pb::Extent2d& proto) { return {proto.height(), proto.width()}; }

Window Read(const pb::Window& proto) {
  return {.kernel = Read(proto.kernel()),
          .stride = Read(proto.stride()),
          .dilation = Read(proto.dilation()),
          .pad_before = Read(proto.pad_before()),
          .pad_after = Read(proto.pad_after()),
          .ceil_mode = proto.ceil_mode()};
}

template <typename P>
std::optional<Clamp> ReadClamp(const P& proto) {
  if (!proto.has_clamp()) return std::nullopt;
  return Clamp{.low = proto.clamp().low(), .high = proto.clamp().high()};
}

absl::StatusOr<ConstantId> ReadConstant(bool is_present, uint32_t index, absl::string_view field) {
  if (!is_present) return kNoConstant;
  return ReadIndex(index, field);
}

template <typename T, typename P>
absl::StatusOr<Op> ReadWeighted(T op, const P& proto) {
  BITSTAGE_ASSIGN_OR_RETURN(op.weights, ReadConstant(proto.has_weights(), proto.weights(), "weights"));
  BITSTAGE_ASSIGN_OR_RETURN(op.bias, ReadConstant(proto.has_bias(), proto.bias(), "bias"));
  op.clamp = ReadClamp(proto);
  return Op(op);
}

template <typename T, typename P>
absl::StatusOr<Op> ReadConvolution(T op, const P& proto) {
  op.window = Read(proto.window());
  op.groups = proto.groups();
  return ReadWeighted(op, proto);
}

template <typename T, typename Field>
std::vector<T> ToVector(const Field& field) {
  return {field.begin(), field.end()};
}

absl::StatusOr<Op> ReadChannelAffine(const pb::ChannelAffine& proto) {
  ChannelAffine op;
  BITSTAGE_ASSIGN_OR_RETURN(op.scale, ReadConstant(proto.has_scale(), proto.scale(), "scale"));
  BITSTAGE_ASSIGN_OR_RETURN(op.shift, ReadConstant(proto.has_shift(), proto.shift(), "shift"));
  return Op(op);
}

absl::StatusOr<Op> ReadUnary(const pb::Unary& proto) {
  BITSTAGE_ASSIGN_OR_RETURN(const UnaryKind kind, FromProto(kUnaryKinds, proto.kind(), "kind"));
  return Op(Unary{.kind = kind, .alpha = proto.alpha(), .beta = proto.beta()});
}

absl::StatusOr<Op> ReadBinary(const pb::Binary& proto) {
  BITSTAGE_ASSIGN_OR_RETURN(const BinaryKind kind, FromProto(kBinaryKinds, proto.kind(), "kind"));
  return Op(Binary{.kind = kind, .clamp = ReadClamp(proto)});
}

absl::StatusOr<Op> ReadBinaryConstant(const pb::BinaryConstant& proto) {
  BinaryConstant op{.constant_first = proto.constant_first()};
  BITSTAGE_ASSIGN_OR_RETURN(op.kind, FromProto(kBinaryKinds, proto.kind(), "kind"));
  BITSTAGE_ASSIGN_OR_RETURN(op.constant, ReadConstant(proto.has_constant(), proto.constant(), "constant"));
  return Op(op);
}

absl::StatusOr<Op> ReadPool(const pb::Pool& proto) {
  BITSTAGE_ASSIGN_OR_RETURN(const PoolKind kind, FromProto(kPoolKinds, proto.kind(), "kind"));
  return Op(Pool{.kind = kind, .window = Read(proto.window()), .count_include_pad = proto.count_include_pad()});
}

absl::StatusOr<Op> ReadResize(const pb::Resize& proto) {
  Resize op{.height = proto.height(),
            .width = proto.width(),
            .scale_height = proto.scale_height(),
            .scale_width = proto.scale_width()};
  BITSTAGE_ASSIGN_OR_RETURN(op.mode, FromProto(kResizeModes, proto.mode(), "mode"));
  BITSTAGE_ASSIGN_OR_RETURN(op.coordinates, FromProto(kResizeCoordinates, proto.coordinates(), "coordinates"));
  BITSTAGE_ASSIGN_OR_RETURN(op.rounding, FromProto(kResizeRoundings, proto.rounding(), "rounding"));
  return Op(op);
}

}  // namespace

absl::StatusOr<Shape> ReadShape(const pb::Shape& proto, absl::string_view field) {
  if (proto.extents_size() > kMaxRank) {
    return absl::InvalidArgumentError(
        absl::StrCat(field, " has ", proto.extents_size(), " extents, expected at most ", kMaxRank));
  }
  for (const int64_t extent : proto.extents()) {
    if (extent < 1)
      return absl::InvalidArgumentError(absl::StrCat(field, " has extent ", extent, ", expected 1 or more"));
  }
  return Shape(proto.extents().begin(), proto.extents().end());
}

absl::StatusOr<int32_t> ReadIndex(uint32_t index, absl::string_view field) {
  if (index > static_cast<uint32_t>(std::numeric_limits<int32_t>::max())) {
    return absl::InvalidArgumentError(absl::StrCat(field, " is index ", index, ", which no list has"));
  }
  return static_cast<int32_t>(index);
}

absl::StatusOr<Op> ReadOp(const pb::Node& proto) {
  switch (proto.op_case()) {
    case pb::Node::kConv: return ReadConvolution(Conv(), proto.conv());
    case pb::Node::kConvTranspose: {
      ConvTranspose op;
      op.output_padding = Read(proto.conv_transpose().output_padding());
      return ReadConvolution(op, proto.conv_transpose());
    }
    case pb::Node::kFullyConnected: return ReadWeighted(FullyConnected{}, proto.fully_connected());
    case pb::Node::kChannelAffine: return ReadChannelAffine(proto.channel_affine());
    case pb::Node::kUnary: return ReadUnary(proto.unary());
    case pb::Node::kBinary: return ReadBinary(proto.binary());
    case pb::Node::kBinaryConstant: return ReadBinaryConstant(proto.binary_constant());
    case pb::Node::kConcat: return Op(Concat{.axis = proto.concat().axis()});
    case pb::Node::kPool: return ReadPool(proto.pool());
    case pb::Node::kGlobalAveragePool:
      return Op(GlobalAveragePool{.keep_dims = proto.global_average_pool().keep_dims()});
    case pb::Node::kReshape: {
      BITSTAGE_ASSIGN_OR_RETURN(Shape shape, ReadShape(proto.reshape().shape(), "shape"));
      return Op(Reshape{.shape = std::move(shape)});
    }
    case pb::Node::kTranspose: return Op(Transpose{.permutation = ToVector<int>(proto.transpose().permutation())});
    case pb::Node::kPad:
      return Op(Pad{.before = ToVector<int64_t>(proto.pad().before()),
                    .after = ToVector<int64_t>(proto.pad().after()),
                    .value = proto.pad().value()});
    case pb::Node::kSlice:
      return Op(Slice{.begin = ToVector<int64_t>(proto.slice().begin()),
                      .step = ToVector<int64_t>(proto.slice().step()),
                      .extent = ToVector<int64_t>(proto.slice().extent())});
    case pb::Node::kResize: return ReadResize(proto.resize());
    case pb::Node::kSoftmax: return Op(Softmax{.axis = proto.softmax().axis()});
    case pb::Node::kArgMax:
      return Op(ArgMax{.axis = proto.arg_max().axis(),
                       .keep_dims = proto.arg_max().keep_dims(),
                       .select_last = proto.arg_max().select_last()});
    case pb::Node::kFakeQuantize:
      return Op(FakeQuantize{.step = ToVector<float>(proto.fake_quantize().step()),
                             .zero_point = proto.fake_quantize().zero_point(),
                             .low = proto.fake_quantize().low(),
                             .high = proto.fake_quantize().high()});
    case pb::Node::OP_NOT_SET: break;
  }
  return absl::InvalidArgumentError("op is missing, or one that this build does not know");
}

}  // namespace bitstage
