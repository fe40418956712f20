// Dataset: labelled images in whatever form they come, behind one index.
//
//   ASSIGN_OR_RETURN(const Dataset data, Dataset::Open("val227_1000.tar"));
//   ASSIGN_OR_RETURN(const Image image, data.Load(17, ColorOrder::kRgb));
//
// What a path holds is recognised by content, not by name:
//
//   CIFAR-10 records      label byte, 3072 bytes of R, G and B planes; a file of whole records, labels below 10
//   JPEG records          label byte, length (2 bytes, little-endian), JPEG
//   MNIST idx             images of bytes, plain or gzip; labels from the file beside it (images → labels, idx3 → idx1)
//   a tar file            of JPEG and PNG files, plain or gzip
//   a folder              of JPEG and PNG files, at any depth
//   one JPEG or PNG file
//
// Labels of tar files and folders come from a CSV file of two columns, name and class number, with or without a title
// line: Options::labels_path, or else X_labels.csv or labels.csv beside X.tar or the folder X, or labels.csv in the
// folder. A name is a path within the archive or folder, or the last part of one. With labels the set is what the CSV
// file lists, in its order; without, all images in the order of the archive, or sorted by name. A PNG beside a JPEG of
// the same stem (JPEGImages/7.jpg, SegmentationClass/7.png) is its label map, not an image.
//
// Open checks the structure and every size against the file's own; pixels are decoded by Load. Errors name file and
// place. Immutable and thread-safe after Open. Plain files are mapped: they must not shrink meanwhile.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "engine/data/file_bytes.h"
#include "engine/data/record.h"
#include "engine/image/image.h"

namespace bitstage {

class Dataset {
 public:
  struct Options {
    std::string labels_path = {};                 // empty: look beside the images
    size_t max_unpacked_bytes = size_t{2} << 30;  // of a gzip file
    ImageLimits limits = {};
  };

  // NOT_FOUND, INVALID_ARGUMENT (no known form, or malformed), RESOURCE_EXHAUSTED.
  static absl::StatusOr<Dataset> Open(const std::string& path, const Options& options);
  static absl::StatusOr<Dataset> Open(const std::string& path) { return Open(path, Options()); }

  [[nodiscard]] int64_t size() const { return static_cast<int64_t>(records_.size()); }
  // For messages: "1000 images of a tar file".
  [[nodiscard]] std::string Description() const;
  [[nodiscard]] bool has_labels() const { return !records_.empty() && records_.front().label.has_value(); }
  [[nodiscard]] bool has_label_maps() const { return !records_.empty() && records_.front().label_map.has_value(); }

  // 0 <= index < size() for what follows.
  [[nodiscard]] const std::string& name(int64_t index) const { return At(index).name; }
  [[nodiscard]] std::optional<int> label(int64_t index) const { return At(index).label; }
  // INVALID_ARGUMENT where the labels are not those of a network of `outputs` outputs, the first `offset` of which
  // stand for no label: names the first image whose label is none, or the number of classes that the form of the set
  // fixes.
  [[nodiscard]] absl::Status CheckLabels(int64_t outputs, int offset) const;
  [[nodiscard]] absl::StatusOr<Image> Load(int64_t index, ColorOrder order) const;
  // NOT_FOUND where the image has none.
  [[nodiscard]] absl::StatusOr<Image> LoadLabelMap(int64_t index) const;

 private:
  Dataset() = default;
  [[nodiscard]] const Record& At(int64_t index) const { return records_[static_cast<size_t>(index)]; }
  absl::Status OpenFolder(const std::string& path, const Options& options);
  absl::Status OpenFile(const std::string& path, const Options& options);
  absl::Status OpenIdx(const std::string& path, const Options& options);
  absl::Status Label(const std::string& path, bool is_folder, const Options& options);

  std::string file_;  // last part of the path
  absl::string_view form_;
  std::shared_ptr<const FileBytes> bytes_;  // what the records point into
  std::vector<Record> records_;
  ImageLimits limits_;
};

}  // namespace bitstage
