// The idx form of MNIST: two zero bytes, the element type (8: bytes), the number of dimensions, each extent as a
// big-endian 32-bit number, the elements.
#include <array>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "engine/base/checked_math.h"
#include "engine/base/status_macros.h"
#include "engine/data/record.h"

namespace bitstage {
namespace {

constexpr int kBytesType = 8;
constexpr int64_t kMaxSide = 1 << 14;

template <size_t kRank>
absl::StatusOr<std::array<int64_t, kRank>> ReadExtents(std::span<const std::byte> bytes, absl::string_view what) {
  constexpr size_t kHeader = 4 + 4 * kRank;
  if (!LooksLikeIdx(bytes) || ByteAt(bytes, 3) != kRank) {
    return absl::InvalidArgumentError(absl::StrCat("idx: expected ", what, " (", kRank, " dimensions of bytes), got ",
                                                   bytes.size() < 4 ? "no header" : "another type or rank"));
  }
  if (bytes.size() < kHeader) return absl::InvalidArgumentError("idx: truncated header");
  std::array<int64_t, kRank> extents;
  for (size_t d = 0; d < kRank; ++d) {
    extents[d] = 0;
    for (size_t i = 0; i < 4; ++i) extents[d] = extents[d] << 8 | ByteAt(bytes, 4 + 4 * d + i);
  }
  const std::optional<int64_t> elements = CheckedProduct(extents);
  if (!elements || static_cast<uint64_t>(*elements) != bytes.size() - kHeader) {
    return absl::InvalidArgumentError(absl::StrCat("idx: extents ", absl::StrJoin(extents, "x"), " do not match the ",
                                                   bytes.size() - kHeader, " bytes behind the header"));
  }
  return extents;
}

}  // namespace

bool LooksLikeIdx(std::span<const std::byte> bytes) {
  return bytes.size() >= 4 && ByteAt(bytes, 0) == 0 && ByteAt(bytes, 1) == 0 && ByteAt(bytes, 2) == kBytesType &&
         ByteAt(bytes, 3) >= 1 && ByteAt(bytes, 3) <= 4;
}

absl::StatusOr<Records> ReadIdxImages(std::span<const std::byte> bytes) {
  BITSTAGE_ASSIGN_OR_RETURN(const auto extents, ReadExtents<3>(bytes, "images"));
  const auto [count, height, width] = extents;
  if (height < 1 || width < 1 || height > kMaxSide || width > kMaxSide) {
    return absl::InvalidArgumentError(absl::StrCat("idx: images of ", width, " x ", height, " pixels"));
  }
  const size_t image_bytes = static_cast<size_t>(width * height);
  Records records(static_cast<size_t>(count));
  for (size_t i = 0; i < records.size(); ++i) {
    Record& record = records[i];
    record.name = absl::StrCat("#", i);
    record.pixels = Record::Pixels::kGrey;
    record.width = static_cast<int>(width);
    record.height = static_cast<int>(height);
    record.file.bytes = bytes.subspan(4 + 4 * 3 + i * image_bytes, image_bytes);
  }
  return records;
}

absl::StatusOr<std::vector<int>> ReadIdxLabels(std::span<const std::byte> bytes) {
  BITSTAGE_RETURN_IF_ERROR(ReadExtents<1>(bytes, "labels").status());
  std::vector<int> labels;
  for (const std::byte label : bytes.subspan(4 + 4)) labels.push_back(static_cast<int>(label));
  return labels;
}

}  // namespace bitstage
