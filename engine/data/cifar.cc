// CIFAR-10 in its official binary form, and the same images as JPEG records.
#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/data/record.h"

namespace bitstage {
namespace {

constexpr int kSide = 32;
constexpr size_t kPixelBytes = 3 * kSide * kSide;
constexpr size_t kRecordBytes = 1 + kPixelBytes;

constexpr size_t kJpegHeadBytes = 3;  // label, length

size_t JpegLength(std::span<const std::byte> bytes, size_t offset) {
  return size_t{ByteAt(bytes, offset + 1)} | size_t{ByteAt(bytes, offset + 2)} << 8;
}

}  // namespace

bool LooksLikeCifar(std::span<const std::byte> bytes) {
  if (bytes.empty() || bytes.size() % kRecordBytes != 0) return false;
  for (size_t offset = 0; offset < bytes.size(); offset += kRecordBytes) {
    if (ByteAt(bytes, offset) >= kCifarClasses) return false;
  }
  return true;
}

absl::StatusOr<Records> ReadCifar(std::span<const std::byte> bytes) {
  Records records(bytes.size() / kRecordBytes);
  for (size_t i = 0; i < records.size(); ++i) {
    Record& record = records[i];
    record.name = absl::StrCat("#", i);
    record.label = ByteAt(bytes, i * kRecordBytes);
    record.pixels = Record::Pixels::kPlanarRgb;
    record.width = record.height = kSide;
    record.file.bytes = bytes.subspan(i * kRecordBytes + 1, kPixelBytes);
  }
  return records;
}

bool LooksLikeJpegRecords(std::span<const std::byte> bytes) {
  return bytes.size() > kJpegHeadBytes + 2 && ByteAt(bytes, kJpegHeadBytes) == 0xff &&
         ByteAt(bytes, kJpegHeadBytes + 1) == 0xd8 && kJpegHeadBytes + JpegLength(bytes, 0) <= bytes.size();
}

absl::StatusOr<Records> ReadJpegRecords(std::span<const std::byte> bytes) {
  Records records;
  for (size_t offset = 0; offset < bytes.size();) {
    const size_t left = bytes.size() - offset;
    if (left < kJpegHeadBytes || left - kJpegHeadBytes < JpegLength(bytes, offset)) {
      return absl::InvalidArgumentError(
          absl::StrCat("record ", records.size(), " at byte ", offset, " is cut off: ", left, " bytes are left"));
    }
    Record record;
    record.name = absl::StrCat("#", records.size());
    record.label = ByteAt(bytes, offset);
    record.file.bytes = bytes.subspan(offset + kJpegHeadBytes, JpegLength(bytes, offset));
    offset += kJpegHeadBytes + record.file.bytes.size();
    records.push_back(std::move(record));
  }
  return records;
}

}  // namespace bitstage
