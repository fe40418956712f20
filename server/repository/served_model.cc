#include "server/repository/served_model.h"

#include <malloc.h>

#include <filesystem>
#include <utility>

#include "engine/base/status_macros.h"
#include "engine/format/model_file.h"
#include "engine/runtime/mapped_buffer.h"

namespace bitstage::server {
namespace {

absl::Status WarmUp(ServedModel& model) {
  std::unique_ptr<SessionSlot> slot = model.Borrow();
  std::vector<MappedBuffer> zeros;  // only read, and so one page of the system's
  std::vector<TensorView> views;
  for (const TensorSpec& input : model.interface().inputs) {
    TensorView view{input.type, input.shape.WithOuter(1), nullptr};
    view.data = zeros.emplace_back(view.bytes()).data();
    views.push_back(view);
  }
  BITSTAGE_RETURN_IF_ERROR(slot->session.Run(1, views, Cancellation::None()));
  model.GiveBack(std::move(slot));
  return absl::OkStatus();
}

// Of one image as floats, where images are taken.
size_t StagedBytes(const ModelInterface& interface, size_t input) {
  const TensorSpec& spec = interface.inputs[input];
  return interface.TakesImages(input) ? static_cast<size_t>(spec.shape.elements()) * SizeOf(spec.type) : 0;
}

}  // namespace

std::unique_ptr<SessionSlot> ServedModel::Borrow() {
  {
    const MutexLock lock(mutex_);
    if (!idle_.empty()) {
      std::unique_ptr<SessionSlot> slot = std::move(idle_.back());
      idle_.pop_back();
      return slot;
    }
  }
  auto slot = std::make_unique<SessionSlot>(SessionSlot{Session(executable_, interface_.max_batch, pool_), {}});
  for (size_t i = 0; i < interface_.inputs.size(); ++i) {
    const size_t image = StagedBytes(interface_, i);
    slot->staging.emplace_back(image * static_cast<size_t>(interface_.max_batch)).Populate(image);
  }
  return slot;
}

void ServedModel::GiveBack(std::unique_ptr<SessionSlot> slot) {
  const MutexLock lock(mutex_);
  idle_.push_back(std::move(slot));
}

namespace {

absl::StatusOr<std::shared_ptr<ServedModel>> LoadAndWarmUp(const std::string& path, const std::string& name,
                                                           int64_t version, const LoadOptions& options) {
  BITSTAGE_ASSIGN_OR_RETURN(const ModelFile file, ModelFile::Open(path));
  std::error_code error;
  const uintmax_t file_bytes = std::filesystem::file_size(path, error);
  const auto read_codes = [&file](ConstantId id, WeightCodes& weights) { return file.ReadCodes(id, weights); };
  BITSTAGE_ASSIGN_OR_RETURN(
      std::shared_ptr<const Executable> executable,
      Executable::Compile(file.model(), {.isa = std::nullopt, .pool = options.pool, .read_codes = read_codes}));
  ModelInterface interface {
    .name = name, .version = std::to_string(version), .inputs = executable->inputs(), .outputs = executable->outputs(),
    .preprocessing = file.model()->preprocessing, .labels = file.model()->labels, .max_batch = options.max_batch
  };
  const MemoryUse& use = executable->memory();
  size_t staged = 0;
  for (size_t i = 0; i < interface.inputs.size(); ++i) staged += StagedBytes(interface, i);
  const ModelMemory memory{
      .weight_bytes = use.weight_bytes,
      .arena_bytes_per_image = use.arena_bytes_per_image + use.output_bytes_per_image,
      .scratch_bytes = use.scratch_bytes * static_cast<size_t>(options.pool ? options.pool->threads() : 1) + staged,
      .file_bytes = error ? 0 : file_bytes};
  auto served = std::make_shared<ServedModel>(std::move(interface), memory, std::move(executable), options.pool);
  BITSTAGE_RETURN_IF_ERROR(WarmUp(*served));
  return served;
}

}  // namespace

absl::StatusOr<std::shared_ptr<ServedModel>> LoadServedModel(const std::string& path, const std::string& name,
                                                             int64_t version, const LoadOptions& options) {
  auto served = LoadAndWarmUp(path, name, version, options);
  malloc_trim(0);  // what was read of the file, and a layer's codes a thread: megabytes that the heap would keep
  return served;
}

}  // namespace bitstage::server
