#include "engine/data/batch.h"

#include "absl/strings/str_cat.h"
#include "engine/base/checked_math.h"
#include "engine/base/status_macros.h"
#include "engine/image/label_map.h"

namespace bitstage {
namespace {

// fill(index, slot) for every image; the first error in the order of `indices`.
template <typename Fill>
absl::Status ForEach(const Dataset& dataset, std::span<const int64_t> indices, ThreadPool* pool, const Fill& fill) {
  for (const int64_t index : indices) {
    if (index < 0 || index >= dataset.size()) {
      return absl::OutOfRangeError(absl::StrCat("image ", index, " of a data set of ", dataset.size()));
    }
  }
  std::vector<absl::Status> statuses(indices.size());
  const auto body = [&](int64_t begin, int64_t end, int) {
    for (size_t i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) statuses[i] = fill(indices[i], i);
  };
  ParallelFor(pool, static_cast<int64_t>(indices.size()), /*grain=*/1, body);
  for (absl::Status& status : statuses) BITSTAGE_RETURN_IF_ERROR(std::move(status));
  return absl::OkStatus();
}

// The batch's shape, refused where it cannot be allocated.
absl::StatusOr<Shape> BatchShape(std::span<const int64_t> indices, const Shape& image) {
  const Shape shape = image.WithOuter(static_cast<int64_t>(indices.size()));
  constexpr int64_t kMaxElements = int64_t{1} << 36;
  const std::optional<int64_t> elements = shape.CheckedElements();
  if (!elements || *elements > kMaxElements) {
    return absl::InvalidArgumentError(absl::StrCat("a batch of shape ", shape.ToString(), " is too large"));
  }
  return shape;
}

}  // namespace

absl::StatusOr<Tensor> LoadBatch(const Dataset& dataset, std::span<const int64_t> indices,
                                 const Preprocessing& preprocessing, ThreadPool* pool) {
  const Shape image_shape{preprocessing.channels(), preprocessing.height, preprocessing.width};
  BITSTAGE_ASSIGN_OR_RETURN(const Shape shape, BatchShape(indices, image_shape));
  Tensor batch(DataType::kFloat32, shape);
  const size_t elements = static_cast<size_t>(image_shape.elements());
  const std::span<float> values = batch.Span<float>();
  BITSTAGE_RETURN_IF_ERROR(ForEach(dataset, indices, pool, [&](int64_t index, size_t slot) -> absl::Status {
    BITSTAGE_ASSIGN_OR_RETURN(const Image image, dataset.Load(index, preprocessing.color));
    return PreprocessInto(image, preprocessing, values.subspan(slot * elements, elements));
  }));
  return batch;
}

absl::StatusOr<Tensor> LoadLabelMapBatch(const Dataset& dataset, std::span<const int64_t> indices,
                                         const Preprocessing& preprocessing, ThreadPool* pool) {
  const Shape map_shape{preprocessing.height, preprocessing.width};
  BITSTAGE_ASSIGN_OR_RETURN(const Shape shape, BatchShape(indices, map_shape));
  Tensor batch(DataType::kUInt8, shape);
  const size_t elements = static_cast<size_t>(map_shape.elements());
  const std::span<uint8_t> values = batch.Span<uint8_t>();
  BITSTAGE_RETURN_IF_ERROR(ForEach(dataset, indices, pool, [&](int64_t index, size_t slot) -> absl::Status {
    BITSTAGE_ASSIGN_OR_RETURN(const Image map, dataset.LoadLabelMap(index));
    return PreprocessLabelMapInto(map, preprocessing, values.subspan(slot * elements, elements));
  }));
  return batch;
}

}  // namespace bitstage
