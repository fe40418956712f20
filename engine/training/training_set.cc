#include "engine/training/training_set.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/data/batch.h"
#include "engine/data/selection.h"

namespace bitstage {
namespace {

// SplitMix64 over a counter (Steele, Lea and Flood 2014): the k-th draw of a stream needs no state.
uint64_t Draw(uint64_t seed, uint64_t counter) {
  uint64_t z = seed * 0xd1342543de82ef95 + (counter + 1) * 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

// The picture moved by (dy, dx), `black` where nothing comes from, then flipped.
void Augment(const Shape& shape, std::span<const float> black, int64_t dy, int64_t dx, bool flip,
             std::span<float> image) {
  if (dy == 0 && dx == 0 && !flip) return;
  const int64_t height = shape[1];
  const int64_t width = shape[2];
  const std::vector<float> from(image.begin(), image.end());
  float* to = image.data();
  for (int64_t c = 0; c < shape[0]; ++c) {
    for (int64_t y = 0; y < height; ++y) {
      const int64_t sy = y + dy;
      for (int64_t x = 0; x < width; ++x, ++to) {
        const int64_t sx = (flip ? width - 1 - x : x) + dx;
        const bool inside = sy >= 0 && sy < height && sx >= 0 && sx < width;
        *to = inside ? from[static_cast<size_t>((c * height + sy) * width + sx)] : black[static_cast<size_t>(c)];
      }
    }
  }
}

// Every image of the batch becomes share · itself + (1 − share) · another one.
void Mix(uint64_t seed, int64_t first, int64_t count, std::span<float> images) {
  if (count < 2) return;
  const std::vector<float> from(images.begin(), images.end());
  const size_t elements = from.size() / static_cast<size_t>(count);
  for (int64_t i = 0; i < count; ++i) {
    const auto counter = static_cast<uint64_t>(first + i) * 2;
    const int64_t other =
        (i + 1 + static_cast<int64_t>(Draw(seed, counter) % static_cast<uint64_t>(count - 1))) % count;
    const auto share = static_cast<float>(static_cast<double>(Draw(seed, counter + 1) >> 11) * 0x1p-53);
    const float* const a = from.data() + static_cast<size_t>(i) * elements;
    const float* const b = from.data() + static_cast<size_t>(other) * elements;
    float* const to = images.data() + static_cast<size_t>(i) * elements;
    for (size_t e = 0; e < elements; ++e) to[e] = share * a[e] + (1 - share) * b[e];
  }
}

}  // namespace

absl::StatusOr<TrainingSet> TrainingSet::Create(std::vector<std::shared_ptr<const Dataset>> sources,
                                                const Preprocessing& preprocessing, const TrainingOptions& options) {
  TrainingSet set;
  set.sources_ = std::move(sources);
  set.preprocessing_ = preprocessing;
  set.options_ = options;
  for (const auto& source : set.sources_) set.pools_.push_back(Range(source->size(), 0, source->size()));
  const int64_t first_size = set.sources_[0]->size();
  if (options.held_back >= first_size) {
    return absl::InvalidArgumentError(
        absl::StrCat("the first data set has ", first_size, " images, too few to hold ", options.held_back, " back"));
  }
  set.held_back_ = RandomSubset(first_size, options.held_back, options.seed);
  std::erase_if(set.pools_[0],
                [&](int64_t index) { return std::binary_search(set.held_back_.begin(), set.held_back_.end(), index); });
  for (size_t c = 0; c < static_cast<size_t>(preprocessing.channels()); ++c) {
    set.black_.push_back(-preprocessing.mean[c % preprocessing.mean.size()] /
                         preprocessing.std[c % preprocessing.std.size()]);
  }
  return set;
}

absl::StatusOr<TrainingBatch> TrainingSet::Batch(int64_t step, ThreadPool* pool) const {
  const auto sources = static_cast<int64_t>(sources_.size());
  TrainingBatch batch;
  const Shape image{preprocessing_.channels(), preprocessing_.height, preprocessing_.width};
  batch.images = Tensor(DataType::kFloat32, image.WithOuter(options_.batch));
  const auto elements = static_cast<size_t>(image.elements());
  int64_t slot = 0;
  for (int64_t source = 0; source < sources; ++source) {
    const std::vector<int64_t>& from = pools_[static_cast<size_t>(source)];
    const Dataset& dataset = *sources_[static_cast<size_t>(source)];
    const int64_t share = options_.batch * (source + 1) / sources - slot;
    std::vector<int64_t> indices;
    for (int64_t i = 0; i < share; ++i) {
      const auto counter = static_cast<uint64_t>((step * options_.batch + slot + i) * 4);
      indices.push_back(from[Draw(options_.seed, counter) % from.size()]);
      batch.labels.push_back(dataset.label(indices.back()).value_or(-1));
    }
    BITSTAGE_ASSIGN_OR_RETURN(const Tensor loaded, LoadBatch(dataset, indices, preprocessing_, pool));
    const std::span<const float> values = loaded.Span<float>();
    std::copy(values.begin(), values.end(),
              batch.images.Span<float>().begin() + static_cast<ptrdiff_t>(slot) * static_cast<ptrdiff_t>(elements));
    slot += share;
  }
  const auto range = static_cast<uint64_t>(2 * options_.shift + 1);
  for (int64_t i = 0; i < options_.batch; ++i) {
    const auto counter = static_cast<uint64_t>((step * options_.batch + i) * 4);
    const auto dy = static_cast<int64_t>(Draw(options_.seed, counter + 1) % range) - options_.shift;
    const auto dx = static_cast<int64_t>(Draw(options_.seed, counter + 2) % range) - options_.shift;
    const bool flip = options_.flip && Draw(options_.seed, counter + 3) % 2 == 1;
    Augment(image, black_, dy, dx, flip,
            batch.images.Span<float>().subspan(static_cast<size_t>(i) * elements, elements));
  }
  // A stream of its own: images and their moves are the same with and without mixtures.
  if (options_.mix) Mix(~options_.seed, step * options_.batch, options_.batch, batch.images.Span<float>());
  return batch;
}

absl::StatusOr<Tensor> TrainingSet::Calibration(int64_t count, ThreadPool* pool) const {
  const std::vector<int64_t>& from = pools_[0];
  std::vector<int64_t> indices = RandomSubset(static_cast<int64_t>(from.size()), count, options_.seed);
  for (int64_t& index : indices) index = from[static_cast<size_t>(index)];
  return LoadBatch(*sources_[0], indices, preprocessing_, pool);
}

absl::StatusOr<TrainingBatch> TrainingSet::HeldBack(int64_t begin, int64_t count, ThreadPool* pool) const {
  const int64_t end = std::min(begin + count, held_back());
  const std::vector<int64_t> indices(held_back_.begin() + begin, held_back_.begin() + end);
  TrainingBatch batch;
  BITSTAGE_ASSIGN_OR_RETURN(batch.images, LoadBatch(*sources_[0], indices, preprocessing_, pool));
  for (const int64_t index : indices) batch.labels.push_back(sources_[0]->label(index).value_or(-1));
  return batch;
}

bool TrainingSet::has_labels() const {
  return std::all_of(sources_.begin(), sources_.end(), [](const auto& source) { return source->has_labels(); });
}

absl::Status TrainingSet::CheckLabels(int64_t outputs, int offset) const {
  for (const auto& source : sources_) BITSTAGE_RETURN_IF_ERROR(source->CheckLabels(outputs, offset));
  return absl::OkStatus();
}

std::string TrainingSet::Identity() const {
  std::string text;
  for (const auto& source : sources_) absl::StrAppend(&text, source->Description(), "\n");
  return text;
}

}  // namespace bitstage
