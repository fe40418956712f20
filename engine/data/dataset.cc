#include "engine/data/dataset.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "engine/base/status_macros.h"
#include "engine/data/label_csv.h"
#include "engine/data/tar.h"
#include "engine/image/color.h"
#include "engine/image/label_map.h"

namespace bitstage {
namespace {

namespace fs = std::filesystem;

constexpr absl::string_view kCifarForm = "CIFAR-10 records";
constexpr size_t kMaxFiles = 10'000'000;
constexpr size_t kMaxLabelFileBytes = size_t{1} << 30;

absl::Status WithContext(const absl::Status& status, absl::string_view context) {
  if (status.ok()) return status;
  return absl::Status(status.code(), absl::StrCat(context, ": ", status.message()));
}

bool Exists(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

bool LooksLikeImage(std::span<const std::byte> bytes) {
  return bytes.size() >= 4 && ((ByteAt(bytes, 0) == 0xff && ByteAt(bytes, 1) == 0xd8 && ByteAt(bytes, 2) == 0xff) ||
                               (ByteAt(bytes, 0) == 0x89 && ByteAt(bytes, 1) == 'P' && ByteAt(bytes, 2) == 'N'));
}

// The files below a folder, sorted by name.
absl::StatusOr<std::vector<FileRef>> ListFolder(const fs::path& folder) {
  std::vector<FileRef> files;
  std::error_code error;
  fs::recursive_directory_iterator entry(folder, error);
  for (; !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    std::error_code ignored;
    if (!entry->is_regular_file(ignored)) continue;
    if (files.size() == kMaxFiles) return absl::ResourceExhaustedError(absl::StrCat("more than ", kMaxFiles, " files"));
    files.push_back({entry->path().lexically_relative(folder).generic_string(), {}, entry->path().string()});
  }
  if (error) return absl::InvalidArgumentError(error.message());
  std::sort(files.begin(), files.end(), [](const FileRef& a, const FileRef& b) { return a.name < b.name; });
  return files;
}

// Calls `decode` with the bytes of a file, wherever they are.
template <typename Decode>
absl::StatusOr<Image> DecodeFile(const FileRef& file, const ImageLimits& limits, const Decode& decode) {
  if (file.path.empty()) return decode(file.bytes);
  BITSTAGE_ASSIGN_OR_RETURN(const std::shared_ptr<const FileBytes> content,
                            FileBytes::Open(file.path, limits.max_encoded_bytes));
  return decode(content->bytes());
}

absl::StatusOr<Image> RawImage(const Record& record, ColorOrder order) {
  const auto* source = reinterpret_cast<const uint8_t*>(record.file.bytes.data());
  const size_t plane = static_cast<size_t>(record.width) * static_cast<size_t>(record.height);
  if (record.pixels == Record::Pixels::kGrey) {
    return InColorOrder({record.width, record.height, 1, {source, source + plane}}, ColorOrder::kGray, order);
  }
  Image image{record.width, record.height, 3, std::vector<uint8_t>(3 * plane)};
  for (size_t i = 0; i < plane; ++i) {
    for (size_t c = 0; c < 3; ++c) image.pixels[3 * i + c] = source[c * plane + i];
  }
  return InColorOrder(std::move(image), ColorOrder::kRgb, order);
}

// The label file that belongs to the idx images of this name, or an empty path.
fs::path IdxLabelsBeside(const fs::path& images) {
  const std::string name = absl::StrReplaceAll(images.filename().string(), {{"images", "labels"}, {"idx3", "idx1"}});
  if (name == images.filename()) return {};
  const std::string plain = absl::EndsWith(name, ".gz") ? name.substr(0, name.size() - 3) : name;
  for (const std::string& candidate : {name, plain, plain + ".gz"}) {
    if (Exists(images.parent_path() / candidate)) return images.parent_path() / candidate;
  }
  return {};
}

// The CSV file that belongs to a tar file or folder, or an empty path.
fs::path LabelCsvOf(fs::path images, bool is_folder) {
  if (is_folder && Exists(images / "labels.csv")) return images / "labels.csv";
  if (images.filename().empty()) images = images.parent_path();  // "folder/"
  std::string stem = images.filename().string();
  for (const absl::string_view ending : {".gz", ".tgz", ".tar"}) {
    if (!is_folder && absl::EndsWith(stem, ending)) stem.resize(stem.size() - ending.size());
  }
  for (const std::string& candidate : {stem + "_labels.csv", std::string("labels.csv")}) {
    if (Exists(images.parent_path() / candidate)) return images.parent_path() / candidate;
  }
  return {};
}

}  // namespace

absl::StatusOr<Dataset> Dataset::Open(const std::string& path, const Options& options) {
  Dataset dataset;
  dataset.limits_ = options.limits;
  const fs::path normal = fs::path(path).lexically_normal();
  dataset.file_ = (normal.filename().empty() ? normal.parent_path() : normal).filename().string();
  std::error_code error;
  BITSTAGE_RETURN_IF_ERROR(fs::is_directory(path, error) ? dataset.OpenFolder(path, options)
                                                         : dataset.OpenFile(path, options));
  if (dataset.records_.empty()) return absl::InvalidArgumentError(absl::StrCat(path, ": no JPEG or PNG images"));
  return dataset;
}

absl::Status Dataset::OpenFolder(const std::string& path, const Options& options) {
  absl::StatusOr<std::vector<FileRef>> files = ListFolder(path);
  if (!files.ok()) return WithContext(files.status(), path);
  form_ = "a folder";
  records_ = ImagesOf(*std::move(files));
  return Label(path, /*is_folder=*/true, options);
}

absl::Status Dataset::OpenFile(const std::string& path, const Options& options) {
  BITSTAGE_ASSIGN_OR_RETURN(bytes_, FileBytes::Open(path, options.max_unpacked_bytes));
  const std::span<const std::byte> bytes = bytes_->bytes();
  if (LooksLikeTar(bytes)) {
    absl::StatusOr<std::vector<FileRef>> files = ListTar(bytes);
    if (!files.ok()) return WithContext(files.status(), path);
    form_ = "a tar file";
    records_ = ImagesOf(*std::move(files));
    return Label(path, /*is_folder=*/false, options);
  }
  if (LooksLikeImage(bytes)) {
    form_ = "one file";
    records_.resize(1);
    records_[0].name = file_;
    records_[0].file.bytes = bytes;
    return options.labels_path.empty() ? absl::OkStatus() : Label(path, /*is_folder=*/false, options);
  }
  if (LooksLikeIdx(bytes)) return OpenIdx(path, options);

  absl::StatusOr<Records> records;
  if (LooksLikeJpegRecords(bytes)) {
    form_ = "JPEG records";
    records = ReadJpegRecords(bytes);
  } else if (LooksLikeCifar(bytes)) {
    form_ = kCifarForm;
    records = ReadCifar(bytes);
  } else {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": ", bytes.size(), " bytes that are no data set: expected a CIFAR-10 binary file, JPEG ",
                     "records, MNIST idx images, a tar file of images, a folder of images, or one JPEG or PNG file"));
  }
  if (!records.ok()) return WithContext(records.status(), path);
  if (!options.labels_path.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(options.labels_path, ": not wanted: ", path, " holds its labels itself"));
  }
  records_ = *std::move(records);
  return absl::OkStatus();
}

absl::Status Dataset::OpenIdx(const std::string& path, const Options& options) {
  absl::StatusOr<Records> records = ReadIdxImages(bytes_->bytes());
  if (!records.ok()) return WithContext(records.status(), path);
  form_ = "an idx file";
  records_ = *std::move(records);
  const std::string labels_path = options.labels_path.empty() ? IdxLabelsBeside(path).string() : options.labels_path;
  if (labels_path.empty()) return absl::OkStatus();

  BITSTAGE_ASSIGN_OR_RETURN(const std::shared_ptr<const FileBytes> file,
                            FileBytes::Open(labels_path, options.max_unpacked_bytes));
  const absl::StatusOr<std::vector<int>> labels = ReadIdxLabels(file->bytes());
  if (!labels.ok()) return WithContext(labels.status(), labels_path);
  if (labels->size() != records_.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat(labels_path, ": ", labels->size(), " labels for ", records_.size(), " images"));
  }
  for (size_t i = 0; i < records_.size(); ++i) records_[i].label = (*labels)[i];
  return absl::OkStatus();
}

absl::Status Dataset::Label(const std::string& path, bool is_folder, const Options& options) {
  const std::string csv = options.labels_path.empty() ? LabelCsvOf(path, is_folder).string() : options.labels_path;
  if (csv.empty()) return absl::OkStatus();
  BITSTAGE_ASSIGN_OR_RETURN(const std::shared_ptr<const FileBytes> file, FileBytes::Open(csv, kMaxLabelFileBytes));
  const std::span<const std::byte> text = file->bytes();
  const absl::StatusOr<std::vector<LabelRow>> rows =
      ParseLabelCsv({reinterpret_cast<const char*>(text.data()), text.size()});
  if (!rows.ok()) return WithContext(rows.status(), csv);

  // By whole path and by last part; a last part that two paths share is the first one's.
  std::map<absl::string_view, size_t> index;
  for (size_t i = 0; i < records_.size(); ++i) {
    const absl::string_view name = records_[i].name;
    index.emplace(name.substr(name.rfind('/') + 1), i);
  }
  for (size_t i = 0; i < records_.size(); ++i) index.insert_or_assign(records_[i].name, i);

  Records labelled;
  std::set<size_t> taken;
  for (const LabelRow& row : *rows) {
    const auto found = index.find(row.name);
    if (found == index.end() || !taken.insert(found->second).second) {
      return absl::InvalidArgumentError(absl::StrCat(csv, ": line ", row.line, ": ", path, " has no ",
                                                     found == index.end() ? "image " : "second image ", row.name));
    }
    Record record = records_[found->second];
    record.label = row.label;
    labelled.push_back(std::move(record));
  }
  records_ = std::move(labelled);
  return absl::OkStatus();
}

absl::Status Dataset::CheckLabels(int64_t outputs, int offset) const {
  const int64_t classes = outputs - offset;
  if (form_ == kCifarForm && classes != kCifarClasses) {
    return absl::InvalidArgumentError(
        absl::StrCat(file_, ": CIFAR-10 records have ", kCifarClasses, " classes, but the network has ", classes));
  }
  for (const Record& record : records_) {
    if (!record.label || (*record.label >= -offset && *record.label < classes)) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(record.name, ": its label is ", *record.label, ", but the network has ", classes, " classes"));
  }
  return absl::OkStatus();
}

std::string Dataset::Description() const {
  return absl::StrCat(records_.size(), records_.size() == 1 ? " image of " : " images of ", form_, ", ", file_);
}

absl::StatusOr<Image> Dataset::Load(int64_t index, ColorOrder order) const {
  const Record& record = At(index);
  if (record.pixels != Record::Pixels::kEncoded) return RawImage(record, order);
  absl::StatusOr<Image> image = DecodeFile(
      record.file, limits_, [&](std::span<const std::byte> bytes) { return DecodeImage(bytes, order, limits_); });
  if (!image.ok()) return WithContext(image.status(), absl::StrCat(file_, ": ", record.name));
  return image;
}

absl::StatusOr<Image> Dataset::LoadLabelMap(int64_t index) const {
  const Record& record = At(index);
  if (!record.label_map) return absl::NotFoundError(absl::StrCat(file_, ": ", record.name, ": no label map"));
  absl::StatusOr<Image> map = DecodeFile(
      *record.label_map, limits_, [&](std::span<const std::byte> bytes) { return DecodeLabelMap(bytes, limits_); });
  if (!map.ok()) return WithContext(map.status(), absl::StrCat(file_, ": ", record.label_map->name));
  return map;
}

}  // namespace bitstage
