// Times the codec on real boundary tensors, beside general compressors; prints Markdown (docs/benchmarks.md).
//
//   codec_bench NETWORK.onnx IMAGES [NETWORK.onnx IMAGES …]
//
// Of each network and width: all block outputs of one image with at least 16,384 elements, a frame each. Sizes are of
// whole frames; times are the sum over the tensors of each one's median. Run it on a core of its own.
#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <functional>

#include "engine/codec/frame.h"
#include "engine/codec/kernel_choice.h"
#include "engine/codec/table_fitting.h"
#include "tests/bench/codec_peers.h"
#include "tests/frames/block_tensors.h"

namespace bitstage {
namespace {

constexpr size_t kLeastElements = 16384;
constexpr int kCalibrationImages = 24;

double Seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// The median of as many samples as 20 ms hold, 15 at least; each of so many runs that reading the clock does not count.
double MedianTime(const std::function<void()>& run) {
  constexpr double kLeastSample = 20e-6;
  std::vector<double> times;
  const double begin = Seconds();
  run();
  const int runs = std::max(1, static_cast<int>(kLeastSample / std::max(Seconds() - begin, 1e-7)));
  while (times.size() < 15 || Seconds() - begin < 0.02) {
    const double at = Seconds();
    for (int i = 0; i < runs; ++i) run();
    times.push_back((Seconds() - at) / runs);
  }
  std::nth_element(times.begin(), times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2), times.end());
  return times[times.size() / 2];
}

// Cycles a second while a core is busy: a chain of additions takes one each.
double ClockRate() {
  double best = 0;
  for (int round = 0; round < 5; ++round) {
    constexpr int kSteps = 2000000;
    uint64_t x = 1;
    const double begin = Seconds();
    for (int i = 0; i < kSteps; ++i) __asm__ volatile("" : "+r"(x) : "r"(x += 1));
    best = std::max(best, kSteps / (Seconds() - begin));
  }
  return best;
}

double EntropyBits(std::span<const uint8_t> codes) {
  std::array<double, 256> counts{};
  for (const uint8_t code : codes) ++counts[code];
  double bits = 0;
  for (const double count : counts) {
    if (count > 0) bits -= count * std::log2(count / static_cast<double>(codes.size()));
  }
  return bits;
}

struct Row {
  std::string name;
  double bits = 0, encode = 0, decode = 0;
};

[[noreturn]] void Fail(const std::string& what) {
  std::fprintf(stderr, "codec_bench: %s\n", what.c_str());
  std::exit(1);
}

CodeTables Fitted(const BlockTensor& tensor, bool pairs, FitOptions options) {
  CellCounts counts(tensor.grid, tensor.shape, pairs);
  counts.Add(kCalibrationImages, tensor.calibration);
  return counts.Fit(options);
}

// Tables made on the calibration's images.
FrameBoundary BoundaryWith(const BlockTensor& tensor, CodeTables plain, bool contexts) {
  BoundaryTables tables;
  if (contexts) {
    CellCounts counts(tensor.grid, tensor.shape, plain);
    counts.Add(kCalibrationImages, tensor.calibration);
    // As recipes do (engine/compression/boundary_statistics.cc).
    tables.contexts =
        counts.Fit({.max_tables = 32, .max_length = tensor.grid.bits[0] == 3 || tensor.grid.bits[0] == 5 ? 10 : 11});
  }
  tables.plain = std::move(plain);
  absl::StatusOr<FrameBoundary> boundary = FrameBoundary::Create(tensor.name, tensor.shape, tensor.grid, tables);
  if (!boundary.ok()) Fail(boundary.status().ToString());
  return *std::move(boundary);
}

Row TimeFrames(const std::string& name, const std::vector<BlockTensor>& tensors,
               const std::vector<FrameBoundary>& boundaries, FrameCoding coding, const codec::CellKernels* kernels) {
  Row row{.name = name};
  for (size_t i = 0; i < tensors.size(); ++i) {
    const FrameBoundary& boundary = boundaries[i];
    std::vector<std::byte> room(FrameRoom(boundary, boundary.height()));
    std::vector<uint8_t> back(tensors[i].codes.size());
    const FrameOptions options = {.coding = coding, .kernels = kernels};
    const auto encode = [&] {
      return EncodeFrameInto(boundary, 1, {0, boundary.height()}, tensors[i].codes, options, room);
    };
    const auto frame = encode();
    if (!frame.ok()) Fail(frame.status().ToString());
    const absl::string_view bytes(reinterpret_cast<const char*>(frame->data()), frame->size());
    const auto decode = [&] { return DecodeFrame(bytes, boundary, 1, back, kernels); };
    if (!decode().ok() || back != tensors[i].codes) Fail(name + " does not give back " + tensors[i].name);
    row.bits += 8.0 * static_cast<double>(bytes.size());
    row.encode += MedianTime([&] { static_cast<void>(encode()); });
    row.decode += MedianTime([&] { static_cast<void>(decode()); });
  }
  return row;
}

Row TimePeer(const Peer& peer, const std::vector<BlockTensor>& tensors) {
  Row row{.name = peer.name};
  for (const BlockTensor& tensor : tensors) {
    std::vector<uint8_t> packed;
    peer.compress(tensor.codes, packed);
    std::vector<uint8_t> back(tensor.codes.size());
    if (!peer.decompress(packed, back) || back != tensor.codes) Fail(peer.name + " does not give back " + tensor.name);
    row.bits += 8.0 * static_cast<double>(packed.size());
    row.encode += MedianTime([&] { peer.compress(tensor.codes, packed); });
    row.decode += MedianTime([&] { peer.decompress(packed, back); });
  }
  return row;
}

void BenchWidth(const std::string& network, const std::string& images, int bits, double clock) {
  absl::StatusOr<std::vector<BlockTensor>> all =
      BlockTensors(network, images, bits, {.calibration = kCalibrationImages});
  if (!all.ok()) Fail(all.status().ToString());
  std::vector<BlockTensor> tensors;
  for (BlockTensor& tensor : *all) {
    if (tensor.codes.size() >= kLeastElements) tensors.push_back(std::move(tensor));
  }
  double elements = 0;
  double entropy = 0;
  for (const BlockTensor& tensor : tensors) {
    elements += static_cast<double>(tensor.codes.size());
    entropy += EntropyBits(tensor.codes);
  }

  std::vector<FrameBoundary> fast, fast_pairs, small;
  for (const BlockTensor& tensor : tensors) {
    fast.push_back(BoundaryWith(tensor, Fitted(tensor, false, {.max_tables = 1, .max_length = std::min(bits + 3, 11)}),
                                /*contexts=*/false));
    if (bits <= 4) {
      const FitOptions one_table = {.max_tables = 1, .max_length = bits == 3 ? 8 : 11};
      fast_pairs.push_back(BoundaryWith(tensor, Fitted(tensor, true, one_table), false));
    }
    const bool pairs = bits <= 4;
    // As recipes choose them (engine/compression/boundary_statistics.cc).
    const FitOptions options = {.max_tables = pairs ? 4 : 8, .max_length = bits == 3 || bits == 5 ? 8 : 11};
    small.push_back(BoundaryWith(tensor, Fitted(tensor, pairs, options), /*contexts=*/true));
  }
  std::vector<Row> rows;
  for (const codec::CellKernels* kernels : codec::SupportedKernels()) {
    if (kernels == &codec::ReferenceKernels()) continue;
    const std::string tier = std::string(", ") + kernels->name;
    rows.push_back(TimeFrames("plain, one table" + tier, tensors, fast, FrameCoding::kPlain, kernels));
    if (!fast_pairs.empty()) {
      rows.push_back(TimeFrames("plain, one table, pairs" + tier, tensors, fast_pairs, FrameCoding::kPlain, kernels));
    }
    rows.push_back(TimeFrames("inline table" + tier, tensors, fast, FrameCoding::kInline, kernels));
    rows.push_back(TimeFrames((bits <= 4 ? "plain, 4 groups, pairs" : "plain, 8 groups") + tier, tensors, small,
                              FrameCoding::kPlain, kernels));
    rows.push_back(TimeFrames("contexts" + tier, tensors, small, FrameCoding::kContexts, kernels));
  }
  rows.push_back(TimeFrames("stored", tensors, fast, FrameCoding::kStored, &codec::PortableKernels()));
  for (const Peer& peer : Peers()) rows.push_back(TimePeer(peer, tensors));

  const std::string title = std::filesystem::path(network).parent_path().filename().string();
  std::printf("\n%s, %d bits: %zu tensors, %.0f elements, entropy %.3f bits an element\n\n", title.c_str(), bits,
              tensors.size(), elements, entropy / elements);
  std::printf("| coder | bits an element | over entropy | encode Gsym/s | decode Gsym/s | decode GB/s | cycles |\n");
  std::printf("|---|---|---|---|---|---|---|\n");
  for (const Row& row : rows) {
    std::printf("| %s | %.3f | %+.1f %% | %.2f | %.2f | %.2f | %.2f / %.2f |\n", row.name.c_str(), row.bits / elements,
                100 * (row.bits / entropy - 1), elements / row.encode * 1e-9, elements / row.decode * 1e-9,
                row.bits / 8 / row.decode * 1e-9, row.encode * clock / elements, row.decode * clock / elements);
  }
  std::fflush(stdout);
}

}  // namespace
}  // namespace bitstage

int main(int count, char** arguments) {
  if (count < 3 || count % 2 != 1) {
    std::fprintf(stderr, "usage: codec_bench NETWORK.onnx IMAGES [NETWORK.onnx IMAGES …]\n");
    return 2;
  }
  const double clock = bitstage::ClockRate();
  std::printf("One core at %.2f GHz; cycles: a symbol, to encode / decode\n", clock * 1e-9);
  for (int i = 1; i + 1 < count; i += 2) {
    for (const int bits : {3, 4, 5, 8}) bitstage::BenchWidth(arguments[i], arguments[i + 1], bits, clock);
  }
  return 0;
}
