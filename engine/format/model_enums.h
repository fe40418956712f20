// The enumerators of META beside the engine's: one table each, used in both directions.
#pragma once

#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "engine/graph/ops.h"
#include "engine/tensor/boundary_tables.h"
#include "engine/tensor/data_type.h"
#include "engine/tensor/preprocessing.h"
#include "engine/tensor/weight_codes.h"
#include "proto/model_file.pb.h"

namespace bitstage::model_enums {

namespace pb = model::v1;

inline constexpr std::pair<DataType, pb::DataType> kDataTypes[] = {
    {DataType::kFloat32, pb::DATA_TYPE_FLOAT32}, {DataType::kInt64, pb::DATA_TYPE_INT64},
    {DataType::kInt32, pb::DATA_TYPE_INT32},     {DataType::kUInt8, pb::DATA_TYPE_UINT8},
    {DataType::kInt8, pb::DATA_TYPE_INT8},       {DataType::kBool, pb::DATA_TYPE_BOOL}};

inline constexpr std::pair<Codebook, pb::Codebook> kCodebooks[] = {{Codebook::kBinary, pb::CODEBOOK_BINARY},
                                                                   {Codebook::kTernary, pb::CODEBOOK_TERNARY},
                                                                   {Codebook::kUniform, pb::CODEBOOK_UNIFORM}};

inline constexpr std::pair<ScaleKind, pb::ScaleKind> kScaleKinds[] = {{ScaleKind::kLayer, pb::SCALE_KIND_LAYER},
                                                                      {ScaleKind::kChannel, pb::SCALE_KIND_CHANNEL},
                                                                      {ScaleKind::kRow, pb::SCALE_KIND_ROW},
                                                                      {ScaleKind::kPixel, pb::SCALE_KIND_PIXEL}};

inline constexpr std::pair<UnaryKind, pb::UnaryKind> kUnaryKinds[] = {
    {UnaryKind::kIdentity, pb::UNARY_KIND_IDENTITY},
    {UnaryKind::kClamp, pb::UNARY_KIND_CLAMP},
    {UnaryKind::kLeakyRelu, pb::UNARY_KIND_LEAKY_RELU},
    {UnaryKind::kSigmoid, pb::UNARY_KIND_SIGMOID},
    {UnaryKind::kHardSigmoid, pb::UNARY_KIND_HARD_SIGMOID},
    {UnaryKind::kHardSwish, pb::UNARY_KIND_HARD_SWISH},
    {UnaryKind::kTanh, pb::UNARY_KIND_TANH}};

inline constexpr std::pair<BinaryKind, pb::BinaryKind> kBinaryKinds[] = {{BinaryKind::kAdd, pb::BINARY_KIND_ADD},
                                                                         {BinaryKind::kSub, pb::BINARY_KIND_SUB},
                                                                         {BinaryKind::kMul, pb::BINARY_KIND_MUL}};

inline constexpr std::pair<FrameCoding, pb::FrameCoding> kFrameCodings[] = {
    {FrameCoding::kStored, pb::FRAME_CODING_STORED},
    {FrameCoding::kPlain, pb::FRAME_CODING_PLAIN},
    {FrameCoding::kInline, pb::FRAME_CODING_INLINE},
    {FrameCoding::kContexts, pb::FRAME_CODING_CONTEXTS},
    {FrameCoding::kSplit, pb::FRAME_CODING_SPLIT}};

inline constexpr std::pair<PoolKind, pb::PoolKind> kPoolKinds[] = {{PoolKind::kMax, pb::POOL_KIND_MAX},
                                                                   {PoolKind::kAverage, pb::POOL_KIND_AVERAGE}};

inline constexpr std::pair<ResizeMode, pb::ResizeMode> kResizeModes[] = {
    {ResizeMode::kNearest, pb::RESIZE_MODE_NEAREST}, {ResizeMode::kLinear, pb::RESIZE_MODE_LINEAR}};

inline constexpr std::pair<ResizeCoordinates, pb::ResizeCoordinates> kResizeCoordinates[] = {
    {ResizeCoordinates::kHalfPixel, pb::RESIZE_COORDINATES_HALF_PIXEL},
    {ResizeCoordinates::kPytorchHalfPixel, pb::RESIZE_COORDINATES_PYTORCH_HALF_PIXEL},
    {ResizeCoordinates::kAlignCorners, pb::RESIZE_COORDINATES_ALIGN_CORNERS},
    {ResizeCoordinates::kAsymmetric, pb::RESIZE_COORDINATES_ASYMMETRIC}};

inline constexpr std::pair<ResizeRounding, pb::ResizeRounding> kResizeRoundings[] = {
    {ResizeRounding::kRoundPreferFloor, pb::RESIZE_ROUNDING_ROUND_PREFER_FLOOR},
    {ResizeRounding::kRoundPreferCeil, pb::RESIZE_ROUNDING_ROUND_PREFER_CEIL},
    {ResizeRounding::kFloor, pb::RESIZE_ROUNDING_FLOOR},
    {ResizeRounding::kCeil, pb::RESIZE_ROUNDING_CEIL}};

inline constexpr std::pair<ColorOrder, pb::ColorOrder> kColorOrders[] = {{ColorOrder::kRgb, pb::COLOR_ORDER_RGB},
                                                                         {ColorOrder::kBgr, pb::COLOR_ORDER_BGR},
                                                                         {ColorOrder::kGray, pb::COLOR_ORDER_GRAY}};

inline constexpr std::pair<Geometry, pb::Geometry> kGeometries[] = {{Geometry::kStretch, pb::GEOMETRY_STRETCH},
                                                                    {Geometry::kCenterCrop, pb::GEOMETRY_CENTER_CROP},
                                                                    {Geometry::kCropSquare, pb::GEOMETRY_CROP_SQUARE},
                                                                    {Geometry::kLetterbox, pb::GEOMETRY_LETTERBOX}};

template <typename E, typename P, size_t N>
P ToProto(const std::pair<E, P> (&table)[N], E value) {
  for (const auto& [engine, proto] : table) {
    if (engine == value) return proto;
  }
  return P{};  // "unspecified", which no reader takes
}

template <typename E, typename P, size_t N>
absl::StatusOr<E> FromProto(const std::pair<E, P> (&table)[N], P value, absl::string_view field) {
  for (const auto& [engine, proto] : table) {
    if (proto == value) return engine;
  }
  return absl::InvalidArgumentError(
      absl::StrCat(field, " is enumerator ", static_cast<int>(value), ", expected 1 to ", N));
}

}  // namespace bitstage::model_enums
