// The model reader against mutated files. Inputs are .bitstage files: what crashes can be given to `bitstage-model
// inspect`.
//
// Random bytes would end at the first checksum. So the mutator takes a file apart, changes one section, and puts it
// together again with good checksums; now and then it changes the raw bytes instead.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>

#include "engine/format/model_file.h"
#include "tests/format/model_samples.h"
#include "tests/fuzz/fuzz_check.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace {

using bitstage::BytesOf;
using bitstage::FileOf;

std::string ToString(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void Mutate(std::string& bytes, size_t max_growth) {
  const size_t size = bytes.size();
  bytes.resize(size + max_growth);
  bytes.resize(LLVMFuzzerMutate(reinterpret_cast<uint8_t*>(bytes.data()), size, bytes.size()));
}

std::string Sample(uint32_t seed) {
  return FileOf(seed % 2 == 0 ? bitstage::TinyModel() : bitstage::ModelWithEverything(seed % 16));
}

}  // namespace

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned int seed) {
  std::minstd_rand random(seed);
  if (random() % 16 == 0) return LLVMFuzzerMutate(data, size, max_size);
  const absl::StatusOr<bitstage::ModelSections> sections =
      bitstage::ParseContainer({reinterpret_cast<const std::byte*>(data), size});
  std::string file;
  if (!sections.ok()) {
    file = Sample(random());
  } else {
    bitstage::ModelBytes bytes{ToString(sections->meta), ToString(sections->weights), ToString(sections->floats)};
    const size_t room = max_size > size ? (max_size - size) / 2 : 0;
    const auto choice = random() % 8;
    Mutate(choice == 0 ? bytes.weights : choice == 1 ? bytes.floats : bytes.meta, std::min<size_t>(room, 256));
    file = FileOf(bytes);
  }
  if (file.size() > max_size) return LLVMFuzzerMutate(data, size, max_size);
  std::memcpy(data, file.data(), file.size());
  return file.size();
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::StatusOr<bitstage::Model> model =
      bitstage::ParseModelFile({reinterpret_cast<const std::byte*>(data), size});
  if (!model.ok()) {
    FUZZ_CHECK(!model.status().message().empty());
    return 0;
  }
  // What was read can be written and read again, to the same bytes.
  const std::string file = FileOf(*model);
  const absl::StatusOr<bitstage::Model> again = bitstage::ParseModelFile(BytesOf(file));
  FUZZ_CHECK(again.ok());
  FUZZ_CHECK(FileOf(*again) == file);
  return 0;
}
