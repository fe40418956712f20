#include "engine/format/model_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

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
  absl::Cleanup unmap = [&] { munmap(mapped, size); };
  absl::StatusOr<Model> model = ParseModelFile({static_cast<const std::byte*>(mapped), size}, pool);
  if (!model.ok()) return Named(model.status(), path);
  return model;
}

absl::StatusOr<Model> ParseModelFile(std::span<const std::byte> bytes, ThreadPool* pool) {
  BITSTAGE_ASSIGN_OR_RETURN(const ModelSections sections, ParseContainer(bytes));
  return DeserializeModel(sections, pool);
}

bool IsModelFile(std::span<const std::byte> bytes) {
  const absl::string_view magic = model_format::kMagic;
  return bytes.size() >= magic.size() && std::memcmp(bytes.data(), magic.data(), magic.size()) == 0;
}

}  // namespace bitstage
