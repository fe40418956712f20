#include "engine/base/atomic_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"

namespace bitstage {
namespace {

absl::Status SystemError(const std::string& path, absl::string_view what) {
  return absl::ErrnoToStatus(errno, absl::StrCat(path, ": ", what));
}

absl::Status WriteAll(int file, std::span<const std::byte> bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t written = write(file, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return SystemError(path, "cannot write");
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status WriteFileAtomically(std::span<const std::byte> bytes, const std::string& path) {
  const std::string temporary = absl::StrCat(path, ".", getpid(), ".tmp");
  const int file = open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
  if (file < 0) return SystemError(temporary, "cannot create");
  absl::Cleanup remove = [&] { unlink(temporary.c_str()); };
  absl::Cleanup close_file = [&] { close(file); };
  BITSTAGE_RETURN_IF_ERROR(WriteAll(file, bytes, path));
  if (fsync(file) != 0) return SystemError(path, "cannot sync");
  if (rename(temporary.c_str(), path.c_str()) != 0) return SystemError(path, "cannot rename the finished file");
  std::move(remove).Cancel();
  return absl::OkStatus();
}

}  // namespace bitstage
