// ServedModel: one version of one model, ready to run. Shared by reference count: a request that has it keeps it alive
// whatever the repository decides.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/base/mutex.h"
#include "engine/base/thread_pool.h"
#include "engine/runtime/executable.h"
#include "engine/runtime/mapped_buffer.h"
#include "server/observability/metrics.h"
#include "server/repository/model_interface.h"

namespace bitstage::server {

// What one worker runs a model with.
struct SessionSlot {
  Session session;
  // By input, where images become floats: room for a batch, whose first image's memory is there; of other inputs
  // nothing.
  std::vector<MappedBuffer> staging;
};

// Thread-safe.
class ServedModel {
 public:
  // `pool` may be null and must outlive the model. Requires an executable before the first Borrow.
  ServedModel(ModelInterface interface, ModelMemory memory, std::shared_ptr<const Executable> executable,
              ThreadPool* pool)
      : interface_(std::move(interface)), memory_(memory), executable_(std::move(executable)), pool_(pool) {}

  [[nodiscard]] const ModelInterface& interface() const { return interface_; }
  [[nodiscard]] const ModelMemory& memory() const { return memory_; }
  // Requires one.
  [[nodiscard]] const Executable& executable() const { return *executable_; }

  // A slot of one's own until it is given back: an idle one, or a new one, so that there are as many as ever ran at
  // once.
  std::unique_ptr<SessionSlot> Borrow();
  void GiveBack(std::unique_ptr<SessionSlot> slot);

 private:
  const ModelInterface interface_;
  const ModelMemory memory_;
  const std::shared_ptr<const Executable> executable_;
  ThreadPool* const pool_;
  Mutex mutex_;
  std::vector<std::unique_ptr<SessionSlot>> idle_ BITSTAGE_GUARDED_BY(mutex_);
};

struct LoadOptions {
  int64_t max_batch = 1;
  ThreadPool* pool = nullptr;
};

// Reads, compiles and runs once (on zeros), so that what is ready has run. Errors name the file.
absl::StatusOr<std::shared_ptr<ServedModel>> LoadServedModel(const std::string& path, const std::string& name,
                                                             int64_t version, const LoadOptions& options);

}  // namespace bitstage::server
