#include <variant>

#include "engine/format/model_enums.h"
#include "engine/format/model_ops.h"

namespace bitstage {
namespace {

using namespace model_enums;

void Write(const std::array<int64_t, 2>& extent, pb::Extent2d& proto) {
  proto.set_height(extent[0]);
  proto.set_width(extent[1]);
}

void Write(const Window& window, pb::Window& proto) {
  Write(window.kernel, *proto.mutable_kernel());
  Write(window.stride, *proto.mutable_stride());
  Write(window.dilation, *proto.mutable_dilation());
  Write(window.pad_before, *proto.mutable_pad_before());
  Write(window.pad_after, *proto.mutable_pad_after());
  proto.set_ceil_mode(window.ceil_mode);
}

template <typename P>
void Write(const std::optional<Clamp>& clamp, P& proto) {
  if (!clamp) return;
  proto.mutable_clamp()->set_low(clamp->low);
  proto.mutable_clamp()->set_high(clamp->high);
}

// What Conv, ConvTranspose and FullyConnected have in common.
template <typename T, typename P>
void WriteWeighted(const T& op, P& proto) {
  if (op.weights != kNoConstant) proto.set_weights(static_cast<uint32_t>(op.weights));
  if (op.bias != kNoConstant) proto.set_bias(static_cast<uint32_t>(op.bias));
  Write(op.clamp, proto);
}

struct OpWriter {
  pb::Node& node;

  void operator()(const Conv& op) const {
    pb::Conv& proto = *node.mutable_conv();
    Write(op.window, *proto.mutable_window());
    proto.set_groups(op.groups);
    WriteWeighted(op, proto);
  }
  void operator()(const ConvTranspose& op) const {
    pb::ConvTranspose& proto = *node.mutable_conv_transpose();
    Write(op.window, *proto.mutable_window());
    Write(op.output_padding, *proto.mutable_output_padding());
    proto.set_groups(op.groups);
    WriteWeighted(op, proto);
  }
  void operator()(const FullyConnected& op) const { WriteWeighted(op, *node.mutable_fully_connected()); }
  void operator()(const ChannelAffine& op) const {
    pb::ChannelAffine& proto = *node.mutable_channel_affine();
    if (op.scale != kNoConstant) proto.set_scale(static_cast<uint32_t>(op.scale));
    if (op.shift != kNoConstant) proto.set_shift(static_cast<uint32_t>(op.shift));
  }
  void operator()(const Unary& op) const {
    pb::Unary& proto = *node.mutable_unary();
    proto.set_kind(ToProto(kUnaryKinds, op.kind));
    proto.set_alpha(op.alpha);
    proto.set_beta(op.beta);
  }
  void operator()(const Binary& op) const {
    pb::Binary& proto = *node.mutable_binary();
    proto.set_kind(ToProto(kBinaryKinds, op.kind));
    Write(op.clamp, proto);
  }
  void operator()(const BinaryConstant& op) const {
    pb::BinaryConstant& proto = *node.mutable_binary_constant();
    proto.set_kind(ToProto(kBinaryKinds, op.kind));
    if (op.constant != kNoConstant) proto.set_constant(static_cast<uint32_t>(op.constant));
    proto.set_constant_first(op.constant_first);
  }
  void operator()(const Concat& op) const { node.mutable_concat()->set_axis(op.axis); }
  void operator()(const Pool& op) const {
    pb::Pool& proto = *node.mutable_pool();
    proto.set_kind(ToProto(kPoolKinds, op.kind));
    Write(op.window, *proto.mutable_window());
    proto.set_count_include_pad(op.count_include_pad);
  }
  void operator()(const GlobalAveragePool& op) const {
    node.mutable_global_average_pool()->set_keep_dims(op.keep_dims);
  }
  void operator()(const Reshape& op) const { WriteShape(op.shape, *node.mutable_reshape()->mutable_shape()); }
  void operator()(const Transpose& op) const {
    node.mutable_transpose()->mutable_permutation()->Assign(op.permutation.begin(), op.permutation.end());
  }
  void operator()(const Pad& op) const {
    pb::Pad& proto = *node.mutable_pad();
    proto.mutable_before()->Assign(op.before.begin(), op.before.end());
    proto.mutable_after()->Assign(op.after.begin(), op.after.end());
    proto.set_value(op.value);
  }
  void operator()(const Slice& op) const {
    pb::Slice& proto = *node.mutable_slice();
    proto.mutable_begin()->Assign(op.begin.begin(), op.begin.end());
    proto.mutable_step()->Assign(op.step.begin(), op.step.end());
    proto.mutable_extent()->Assign(op.extent.begin(), op.extent.end());
  }
  void operator()(const Resize& op) const {
    pb::Resize& proto = *node.mutable_resize();
    proto.set_mode(ToProto(kResizeModes, op.mode));
    proto.set_coordinates(ToProto(kResizeCoordinates, op.coordinates));
    proto.set_rounding(ToProto(kResizeRoundings, op.rounding));
    proto.set_height(op.height);
    proto.set_width(op.width);
    proto.set_scale_height(op.scale_height);
    proto.set_scale_width(op.scale_width);
  }
  void operator()(const Softmax& op) const { node.mutable_softmax()->set_axis(op.axis); }
  void operator()(const ArgMax& op) const {
    pb::ArgMax& proto = *node.mutable_arg_max();
    proto.set_axis(op.axis);
    proto.set_keep_dims(op.keep_dims);
    proto.set_select_last(op.select_last);
  }
  void operator()(const FakeQuantize& op) const {
    pb::FakeQuantize& proto = *node.mutable_fake_quantize();
    proto.mutable_step()->Assign(op.step.begin(), op.step.end());
    proto.set_zero_point(op.zero_point);
    proto.set_low(op.low);
    proto.set_high(op.high);
  }
};

}  // namespace

void WriteShape(const Shape& shape, pb::Shape& proto) { proto.mutable_extents()->Assign(shape.begin(), shape.end()); }

void WriteOp(const Op& op, pb::Node& proto) { std::visit(OpWriter{proto}, op); }

}  // namespace bitstage
