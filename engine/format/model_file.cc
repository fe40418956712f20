#include "engine/format/model_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "engine/base/atomic_file.h"
#include "engine/base/status_macros.h"
#include "engine/format/model_container.h"
#include "engine/format/model_format.h"
#include "engine/format/model_meta.h"

namespace bitstage {
namespace {

std::span<const std::byte> Bytes(const std::string& text) { return std::as_bytes(std::span(text)); }

absl::Status Named(const absl::Status& status, const std::string& path) {
  return absl::Status(status.code(), absl::StrCat(path, ": ", status.message()));
}

absl::Status SystemError(const std::string& path, absl::string_view what) {
  return absl::ErrnoToStatus(errno, absl::StrCat(path, ": ", what));
}

struct MappedFile {
  std::shared_ptr<const std::byte> data;
  size_t size = 0;
};

absl::StatusOr<MappedFile> MapFile(const std::string& path) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return SystemError(path, "cannot open");
  absl::Cleanup close_file = [&] { close(file); };
  struct stat info {};
  if (fstat(file, &info) != 0) return SystemError(path, "cannot stat");
  if (!S_ISREG(info.st_mode)) return absl::InvalidArgumentError(absl::StrCat(path, ": not a regular file"));
  if (info.st_size == 0) return absl::DataLossError(absl::StrCat(path, ": the file is empty"));

  const auto size = static_cast<size_t>(info.st_size);
  void* mapped = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file, 0);
  if (mapped == MAP_FAILED) return SystemError(path, "cannot map");
  return MappedFile{{static_cast<const std::byte*>(mapped), [mapped, size](const std::byte*) { munmap(mapped, size); }},
                    size};
}

absl::StatusOr<PackedModel> ParsePacked(std::span<const std::byte> bytes) {
  BITSTAGE_ASSIGN_OR_RETURN(const ModelSections sections, ParseContainer(bytes));
  return DeserializeModel(sections);
}

}  // namespace

absl::Status WriteModelFile(const Model& model, const std::string& path) {
  if (const absl::Status status = Validate(model.graph); !status.ok()) return Named(status, path);
  const ModelBytes sections = SerializeModel(model);
  const std::string file = BuildContainer(
      {.meta = Bytes(sections.meta), .weights = Bytes(sections.weights), .floats = Bytes(sections.floats)},
      sections.version);
  // Whatever the reader would refuse never becomes a file.
  if (const absl::Status status = ParseModelFile(Bytes(file)).status(); !status.ok()) return Named(status, path);
  return WriteFileAtomically(Bytes(file), path);
}

absl::StatusOr<Model> ReadModelFile(const std::string& path, ThreadPool* pool) {
  BITSTAGE_ASSIGN_OR_RETURN(const MappedFile file, MapFile(path));
  absl::StatusOr<Model> model = ParseModelFile({file.data.get(), file.size}, pool);
  if (!model.ok()) return Named(model.status(), path);
  return model;
}

absl::StatusOr<Model> ParseModelFile(std::span<const std::byte> bytes, ThreadPool* pool) {
  BITSTAGE_ASSIGN_OR_RETURN(PackedModel packed, ParsePacked(bytes));
  std::vector<ConstantId> order;
  for (size_t id = 0; id < packed.codes.size(); ++id) {
    if (packed.model.graph.constants[id].codes) order.push_back(static_cast<ConstantId>(id));
  }
  // The largest first: threads are done at about the same time.
  const auto bytes_of = [&](ConstantId id) { return packed.codes[static_cast<size_t>(id)].bytes.size(); };
  std::stable_sort(order.begin(), order.end(), [&](ConstantId a, ConstantId b) { return bytes_of(a) > bytes_of(b); });
  std::vector<absl::Status> statuses(packed.codes.size());
  const auto unpack = [&](int64_t begin, int64_t end, int) {
    for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
      const ConstantId id = order[i];
      statuses[static_cast<size_t>(id)] = packed.Unpack(id, *packed.model.graph.constant(id).codes);
    }
  };
  ParallelFor(pool, static_cast<int64_t>(order.size()), 1, unpack);
  for (const absl::Status& status : statuses) BITSTAGE_RETURN_IF_ERROR(status);
  return std::move(packed.model);
}

ModelFile::ModelFile(std::string path, std::shared_ptr<const std::byte> mapped,
                     std::shared_ptr<const PackedModel> packed)
    : path_(std::move(path)),
      mapped_(std::move(mapped)),
      packed_(std::move(packed)),
      model_(packed_, &packed_->model) {}

absl::StatusOr<ModelFile> ModelFile::Open(const std::string& path) {
  BITSTAGE_ASSIGN_OR_RETURN(const MappedFile file, MapFile(path));
  absl::StatusOr<PackedModel> packed = ParsePacked({file.data.get(), file.size});
  if (!packed.ok()) return Named(packed.status(), path);
  return ModelFile(path, file.data, std::make_shared<const PackedModel>(*std::move(packed)));
}

absl::Status ModelFile::ReadCodes(ConstantId id, WeightCodes& weights) const {
  const absl::Status status = packed_->Unpack(id, weights);
  return status.ok() ? status : Named(status, path_);
}

bool IsModelFile(std::span<const std::byte> bytes) {
  const absl::string_view magic = model_format::kMagic;
  return bytes.size() >= magic.size() && std::memcmp(bytes.data(), magic.data(), magic.size()) == 0;
}

}  // namespace bitstage
