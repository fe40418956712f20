#include "clients/images.h"

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

#include "absl/strings/str_cat.h"

namespace bitstage::client {
namespace {

constexpr uintmax_t kMaxFileBytes = uintmax_t{32} << 20;

}  // namespace

absl::StatusOr<std::string> ReadImageFile(const std::string& path) {
  std::error_code error;
  const uintmax_t size = std::filesystem::file_size(path, error);
  if (error) return absl::NotFoundError(absl::StrCat("image '", path, "' cannot be read: ", error.message()));
  if (size == 0) return absl::InvalidArgumentError(absl::StrCat("image '", path, "' is empty"));
  if (size > kMaxFileBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("image '", path, "' has ", size, " bytes, expected at most ", kMaxFileBytes));
  }
  std::ifstream file(path, std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (!file || bytes.size() != size)
    return absl::DataLossError(absl::StrCat("image '", path, "' could not be read whole"));
  return bytes;
}

inference::ModelInferRequest ImageRequest(const std::string& model, const std::string& input,
                                          const std::string& encoded) {
  inference::ModelInferRequest request;
  request.set_model_name(model);
  auto* tensor = request.add_inputs();
  tensor->set_name(input);
  tensor->set_datatype("BYTES");
  tensor->add_shape(1);
  tensor->mutable_contents()->add_bytes_contents(encoded);
  return request;
}

}  // namespace bitstage::client
