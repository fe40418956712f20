#include "engine/data/file_bytes.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"

namespace bitstage {

absl::StatusOr<std::vector<std::byte>> Gunzip(std::span<const std::byte> packed, size_t limit) {
  constexpr int kGzip = 16 + MAX_WBITS;
  constexpr size_t kStep = size_t{1} << 20;  // fits zlib's 32-bit counts, input and output
  z_stream stream{};
  if (inflateInit2(&stream, kGzip) != Z_OK) return absl::InternalError("gzip: zlib does not start");
  const absl::Cleanup end = [&stream] { inflateEnd(&stream); };

  std::vector<std::byte> unpacked;
  size_t size = 0;
  size_t offset = 0;
  for (int result = Z_OK; offset < packed.size() || result != Z_STREAM_END;) {
    if (result == Z_STREAM_END) inflateReset(&stream);
    // One byte over the limit is enough to see that it is passed.
    if (unpacked.size() - size < kStep) unpacked.resize(std::min(std::max(2 * size, size + kStep), limit + 1));
    const size_t in = std::min(packed.size() - offset, kStep);
    const size_t out = std::min(unpacked.size() - size, kStep);
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(packed.data() + offset));
    stream.avail_in = static_cast<uInt>(in);
    stream.next_out = reinterpret_cast<Bytef*>(unpacked.data() + size);
    stream.avail_out = static_cast<uInt>(out);
    result = inflate(&stream, Z_NO_FLUSH);
    offset += in - stream.avail_in;
    size += out - stream.avail_out;
    if (size > limit) return absl::ResourceExhaustedError(absl::StrCat("gzip: more than ", limit, " bytes unpacked"));
    if (result == Z_BUF_ERROR) return absl::InvalidArgumentError(absl::StrCat("gzip: truncated at byte ", offset));
    if (result != Z_OK && result != Z_STREAM_END) {
      return absl::InvalidArgumentError(
          absl::StrCat("gzip: damaged at byte ", offset, ": ", stream.msg != nullptr ? stream.msg : "no stream"));
    }
  }
  unpacked.resize(size);
  return unpacked;
}

absl::StatusOr<std::shared_ptr<const FileBytes>> FileBytes::Open(const std::string& path, size_t max_unpacked_bytes) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) {
    const std::string message = absl::StrCat(path, ": ", std::strerror(errno));
    return errno == ENOENT ? absl::NotFoundError(message) : absl::InvalidArgumentError(message);
  }
  const absl::Cleanup close_file = [file] { close(file); };
  struct stat status {};
  if (fstat(file, &status) != 0 || !S_ISREG(status.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": not a regular file"));
  }

  std::shared_ptr<FileBytes> result(new FileBytes);
  if (status.st_size == 0) return result;
  const size_t size = static_cast<size_t>(status.st_size);
  void* mapping = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file, 0);
  if (mapping == MAP_FAILED) {
    return absl::ResourceExhaustedError(absl::StrCat(path, ": cannot be mapped: ", std::strerror(errno)));
  }
  result->mapping_ = mapping;
  result->mapped_bytes_ = size;
  result->bytes_ = {static_cast<const std::byte*>(mapping), size};
  constexpr std::byte kGzipMagic[] = {std::byte{0x1f}, std::byte{0x8b}};
  if (size >= 2 && std::equal(kGzipMagic, kGzipMagic + 2, result->bytes_.begin())) {
    absl::StatusOr<std::vector<std::byte>> unpacked = Gunzip(result->bytes_, max_unpacked_bytes);
    if (!unpacked.ok()) {
      return absl::Status(unpacked.status().code(), absl::StrCat(path, ": ", unpacked.status().message()));
    }
    result->unpacked_ = *std::move(unpacked);
    result->bytes_ = result->unpacked_;
    munmap(result->mapping_, result->mapped_bytes_);
    result->mapping_ = nullptr;
  }
  return result;
}

FileBytes::~FileBytes() {
  if (mapping_ != nullptr) munmap(mapping_, mapped_bytes_);
}

}  // namespace bitstage
