// On its own: what it measures is the memory of its process.
#include <gtest/gtest.h>
#include <malloc.h>
#include <sys/prctl.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "engine/format/model_file.h"
#include "server/repository/served_model.h"
#include "tests/graph/graph_builder.h"

namespace bitstage::server {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

// Of a line "Key:   123 kB" of a file of this process; 0 where there is none.
size_t BytesOf(const std::string& file, const std::string& key) {
  std::ifstream lines("/proc/self/" + file);
  for (std::string word; lines >> word;) {
    size_t kilobytes = 0;
    if (word == key + ":" && lines >> kilobytes) return kilobytes * 1024;
  }
  return 0;
}

// Like a ResNet at 2 bits, 9.4 million weights.
class Network {
 public:
  Model Make() {
    ValueId x = Coded(b_.Input({3, 112, 112}));
    x = Layer(x, {3, 112, 112}, 64, 7, 2);
    x = Layer(x, {64, 56, 56}, 64, 3, 1);
    x = Layer(x, {64, 56, 56}, 256, 3, 2);
    x = Layer(x, {256, 28, 28}, 256, 3, 1);
    x = Layer(x, {256, 28, 28}, 512, 3, 2);
    for (int i = 0; i < 3; ++i) x = Layer(x, {512, 14, 14}, 512, 3, 1);
    Model model;
    model.name = "net";
    model.preprocessing = Preprocessing{.width = 112, .height = 112};
    model.graph = b_.Finish({b_.Add(GlobalAveragePool{}, {x})});
    return model;
  }

 private:
  ValueId Coded(ValueId id) {
    b_.graph().value(id).grid = Grid{.step = {0.05f}, .bits = {4}};
    return id;
  }
  ValueId Layer(ValueId input, const Shape& shape, int64_t outputs, int64_t kernel, int64_t stride) {
    Conv conv;
    conv.window.kernel = {kernel, kernel};
    conv.window.stride = {stride, stride};
    conv.window.pad_before = conv.window.pad_after = {kernel / 2, kernel / 2};
    WeightCodes weights;
    weights.shape = {outputs, shape[0], kernel, kernel};
    weights.bits = 2;
    weights.kind = ScaleKind::kLayer;
    weights.scale = {0.01f};
    for (int64_t i = 0; i < weights.shape.elements(); ++i)
      weights.codes.push_back(static_cast<int8_t>(i * i % 7 % 3 - 1));
    conv.weights = b_.Codes(std::move(weights));
    return Coded(b_.Add(conv, {input}));
  }

  GraphBuilder b_;
};

TEST(ServedModelMemoryTest, IsWhatItsGaugesCountWithinFivePercentAndNeverHoldsAllCodesWhileItLoads) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer's own memory is counted with it";
  if (BytesOf("smaps_rollup", "Private_Dirty") == 0) GTEST_SKIP() << "no /proc/self/smaps_rollup";
  prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);  // pages of 2 MB would be measured in place of what is used of them
  const std::string path = ::testing::TempDir() + "/memory_test.bitstage";
  ASSERT_TRUE(WriteModelFile(Network().Make(), path).ok());
  ThreadPool pool(2);
  const LoadOptions options = {.max_batch = 8, .pool = &pool};
  ASSERT_TRUE(LoadServedModel(path, "net", 1, options).ok());  // what comes once a process
  malloc_trim(0);

  const size_t before = BytesOf("smaps_rollup", "Private_Dirty");
  const size_t resident_before = BytesOf("status", "VmRSS");
  std::ofstream("/proc/self/clear_refs") << 5;  // the peak is now what is resident
  const bool peak_known = BytesOf("status", "VmHWM") < resident_before + (size_t{1} << 20);
  const auto served = LoadServedModel(path, "net", 2, options);
  ASSERT_TRUE(served.ok()) << served.status();
  const size_t peak = BytesOf("status", "VmHWM") - resident_before;
  const auto taken = static_cast<double>(BytesOf("smaps_rollup", "Private_Dirty") - before);
  std::filesystem::remove(path);

  const ModelMemory& memory = (*served)->memory();
  const size_t counted = memory.weight_bytes + memory.arena_bytes_per_image + memory.scratch_bytes;
  EXPECT_NEAR(static_cast<double>(counted) / taken, 1, 0.05) << counted << " counted of " << taken;
  EXPECT_LT(memory.weight_bytes, size_t{3} << 20);
  // One layer's codes a thread, the file's pages, and tables.
  const size_t codes = size_t{512} * 512 * 9;
  if (!peak_known) return;
  EXPECT_LT(peak, counted + 2 * codes + memory.file_bytes + (size_t{1} << 20));
}

}  // namespace
}  // namespace bitstage::server
