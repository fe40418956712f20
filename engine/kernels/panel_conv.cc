#include "engine/kernels/panel_conv.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "engine/base/checked_math.h"
#include "engine/kernels/scratch.h"

namespace bitstage::kernels {
namespace {

constexpr int64_t kStepBytes = 4;
constexpr int64_t kCopyBytes = 256 * 1024;  // of a band of input rows: a part of the L2 cache
constexpr int64_t kBandPixels = 4096;
constexpr int64_t kTilesAtOnce = 8;  // before their output transform
constexpr int64_t kOverread = 64;    // as params.h allows
constexpr int64_t kPanelOutputs = kMaxPanelBlocks * kPanelLanes;
constexpr int64_t kVectorBytes = 64;  // of packed weights

// The sizes that follow from a shape.
struct Layout {
  Layout(const PanelTier& tier, const ConvShape& shape)
      : code_bytes(tier.wide ? 2 : 1),
        step_codes(kStepBytes / code_bytes),
        row_runs(shape.groups == 1 && shape.dilation_width == 1),
        runs(row_runs ? shape.kernel_height : shape.kernel_height * shape.kernel_width),
        run_codes(row_runs ? shape.kernel_width * shape.in_channels : shape.group_in()),
        steps(DivideRoundUp(run_codes, step_codes)),
        panels(DivideRoundUp(shape.group_out(), kPanelOutputs)),
        group_lanes(panels * kPanelOutputs),
        panel_bytes(runs * steps * kPanelStepBytes),
        width(shape.ColumnsUnder(shape.out_width)) {
    const int64_t height = shape.RowsUnder(shape.out_height);
    const bool inside =
        shape.pad_top == 0 && shape.pad_left == 0 && height <= shape.in_height && width <= shape.in_width;
    copies = tier.wide || !inside || shape.kernel_width > 1;
    row_bytes = width * shape.in_channels * code_bytes;
    const int64_t copy_rows = copies ? kCopyBytes / row_bytes : INT32_MAX;
    const int64_t rows = std::min(copy_rows - (shape.kernel_height - 1) * shape.dilation_height, kBandPixels / width);
    band_rows = std::clamp<int64_t>(rows / shape.stride_height, 1, shape.out_height);
    copied_rows = shape.RowsUnder(band_rows);
  }

  int64_t code_bytes;
  int64_t step_codes;
  bool row_runs;
  int64_t runs;
  int64_t run_codes;
  int64_t steps;        // of a run
  int64_t panels;       // of one group
  int64_t group_lanes;  // output channels of a group, rounded up to whole panels
  int64_t panel_bytes;  // opened
  int64_t width;        // padded columns that a row of outputs reaches
  bool copies;          // else the tiles read the input where it lies
  int64_t row_bytes;    // of the copy
  int64_t band_rows;    // output rows at a time
  int64_t copied_rows;  // input rows that a band reaches
};

PackedShape PackedShapeOf(const Layout& layout, const ConvShape& shape) {
  return {.blocks = shape.groups * layout.panels,
          .sections = layout.runs,
          .section_vectors = DivideRoundUp(layout.steps * kPanelStepBytes / layout.code_bytes, kVectorBytes),
          .vector_bytes = kVectorBytes};
}

class Runner {
 public:
  Runner(const PanelTier& tier, const ConvShape& shape, const ConvCall& call, Scratch& scratch)
      : tier_(tier), shape_(shape), call_(call), layout_(tier, shape) {
    acc_init_ = scratch.Take<int32_t>(shape.groups * layout_.group_lanes);
    pixels_ = scratch.Take<int32_t>(layout_.band_rows * shape.out_width + kMaxPanelPixels);
    runs_ = scratch.Take<int32_t>(layout_.runs);
    if (layout_.copies) copy_ = scratch.Take<std::byte>(layout_.copied_rows * layout_.row_bytes + kOverread);
    panel_ = scratch.Take<std::byte>(layout_.panel_bytes + kOverread);
  }

  void Run() {
    packed_ = ViewPackedWeights(PackedShapeOf(layout_, shape_), call_.packed_weights);
    PadAccInit();
    pixel_bytes_ = layout_.copies ? shape_.in_channels * layout_.code_bytes : call_.input_pixel_stride;
    row_bytes_ = layout_.copies ? layout_.row_bytes : shape_.in_width * call_.input_pixel_stride;
    FillOffsets();
    for (int64_t y = call_.row_begin; y < call_.row_end; y += layout_.band_rows) {
      const int64_t rows = std::min(layout_.band_rows, call_.row_end - y);
      const int64_t in_y = y * shape_.stride_height - shape_.pad_top;
      if (layout_.copies) {
        CopyRows(in_y, shape_.RowsUnder(rows));
        base_ = copy_;
      } else {
        base_ = reinterpret_cast<const std::byte*>(call_.input) + in_y * row_bytes_;
      }
      for (int64_t group = 0; group < shape_.groups; ++group) {
        for (int64_t panel = 0; panel < layout_.panels; ++panel) {
          RunPanel(group, panel, y * shape_.out_width, rows * shape_.out_width);
        }
      }
    }
  }

 private:
  void PadAccInit() {
    for (int64_t group = 0; group < shape_.groups; ++group) {
      int32_t* lanes = acc_init_ + group * layout_.group_lanes;
      std::copy_n(call_.acc_init + group * shape_.group_out(), shape_.group_out(), lanes);
      std::fill(lanes + shape_.group_out(), lanes + layout_.group_lanes, 0);
    }
  }

  // The same for every band; a tile's missing pixels are its last one again.
  void FillOffsets() {
    int32_t* pixel = pixels_;
    const int64_t rows = std::min(layout_.band_rows, call_.row_end - call_.row_begin);
    for (int64_t y = 0; y < rows; ++y) {
      for (int64_t x = 0; x < shape_.out_width; ++x) {
        *pixel++ = static_cast<int32_t>(y * shape_.stride_height * row_bytes_ + x * shape_.stride_width * pixel_bytes_);
      }
    }
    int32_t* run = runs_;
    for (int64_t ky = 0; ky < shape_.kernel_height; ++ky) {
      for (int64_t kx = 0; kx < layout_.runs / shape_.kernel_height; ++kx) {
        *run++ =
            static_cast<int32_t>(ky * shape_.dilation_height * row_bytes_ + kx * shape_.dilation_width * pixel_bytes_);
      }
    }
  }

  void CopyCodes(const uint8_t* codes, int64_t count, std::byte* to) const {
    if (tier_.wide) {
      tier_.widen_codes(codes, count, to);
    } else {
      std::memcpy(to, codes, static_cast<size_t>(count));
    }
  }

  void FillPadding(int64_t pixels, std::byte* to) const {
    const int64_t count = pixels * shape_.in_channels;
    if (tier_.wide) {
      std::fill_n(reinterpret_cast<uint16_t*>(to), count, call_.zero_point);
    } else {
      std::memset(to, call_.zero_point, static_cast<size_t>(count));
    }
  }

  void CopyRows(int64_t in_y, int64_t rows) const {
    const int64_t first = std::min(shape_.pad_left, layout_.width);
    const int64_t last = std::clamp(shape_.pad_left + shape_.in_width, first, layout_.width);
    for (int64_t y = in_y; y < in_y + rows; ++y) {
      std::byte* to = copy_ + (y - in_y) * layout_.row_bytes;
      if (y < 0 || y >= shape_.in_height) {
        FillPadding(layout_.width, to);
        continue;
      }
      const uint8_t* from = call_.input + y * shape_.in_width * call_.input_pixel_stride;
      if (call_.input_pixel_stride == shape_.in_channels) {
        CopyCodes(from, (last - first) * shape_.in_channels, to + first * pixel_bytes_);
      } else {
        for (int64_t x = first; x < last; ++x, from += call_.input_pixel_stride) {
          CopyCodes(from, shape_.in_channels, to + x * pixel_bytes_);
        }
      }
      FillPadding(first, to);
      FillPadding(layout_.width - last, to + last * pixel_bytes_);
    }
  }

  // Weights of 8 bits are read where they lie unless they have to be widened.
  const std::byte* OpenedPanel(int64_t panel) {
    if (!tier_.wide && packed_.width == 8) {
      return reinterpret_cast<const std::byte*>(packed_.chunks) + panel * layout_.panel_bytes;
    }
    if (panel != opened_panel_) tier_.open({packed_, panel, layout_.runs, layout_.steps, panel_});
    opened_panel_ = panel;
    return panel_;
  }

  void RunPanel(int64_t group, int64_t panel, int64_t first_pixel, int64_t pixels) {
    const int64_t channel = panel * kPanelOutputs;
    const int64_t blocks = std::min<int64_t>(kMaxPanelBlocks, DivideRoundUp(shape_.group_out() - channel, kPanelLanes));
    const PanelTier::Tile& kernel = tier_.tiles[blocks - 1];
    const int64_t channels = blocks * kPanelLanes;
    alignas(64) int32_t acc[kTilesAtOnce * kMaxPanelPixels * kPanelOutputs];

    PanelTile tile = {};
    tile.base = base_ + group * shape_.group_in() * layout_.code_bytes;
    tile.runs = runs_;
    tile.run_count = layout_.runs;
    tile.steps = layout_.steps;
    tile.weights = OpenedPanel(group * layout_.panels + panel);
    tile.flush_steps = FlushSteps(call_.max_code, call_.max_weight);
    tile.acc_init = acc_init_ + group * layout_.group_lanes + channel;

    for (int64_t begin = 0; begin < pixels; begin += kTilesAtOnce * kernel.pixels) {
      const int64_t end = std::min(begin + kTilesAtOnce * kernel.pixels, pixels);
      for (int64_t pixel = begin; pixel < end; pixel += kernel.pixels) {
        tile.pixels = pixels_ + pixel;
        tile.acc = acc + (pixel - begin) * channels;
        RunTile(kernel, std::min(kernel.pixels, end - pixel), tile);
      }
      OutputTile output = TileAt(call_, first_pixel + begin, group * shape_.group_out() + channel);
      output.channels = std::min(channels, shape_.group_out() - channel);
      output.pixels = end - begin;
      output.acc = acc;
      output.acc_stride = channels;
      tier_.transform(output);
    }
  }

  static void RunTile(const PanelTier::Tile& kernel, int64_t count, PanelTile& tile) {
    int64_t served = count;
    while (kernel.run[served - 1] == nullptr) ++served;
    if (served == count) return kernel.run[served - 1](tile);
    int32_t pixels[kMaxPanelPixels];
    for (int64_t i = 0; i < served; ++i) pixels[i] = tile.pixels[std::min(i, count - 1)];
    tile.pixels = pixels;
    kernel.run[served - 1](tile);
  }

  const PanelTier& tier_;
  const ConvShape& shape_;
  const ConvCall& call_;
  const Layout layout_;
  int32_t* acc_init_;
  int32_t* pixels_;
  int32_t* runs_;
  std::byte* copy_ = nullptr;
  PackedView packed_ = {};
  std::byte* panel_;
  int64_t opened_panel_ = -1;
  int64_t pixel_bytes_ = 0;  // from one pixel that the tiles read to the next
  int64_t row_bytes_ = 0;
  const std::byte* base_ = nullptr;
};

// Calls use(PackedSource) for a layer's weights: as the header says, runs rounded up to whole vectors.
template <typename Use>
auto WithSource(const Layout& layout, const ConvShape& shape, const int8_t* weights, const Use& use) {
  const PackedShape packed = PackedShapeOf(layout, shape);
  const int64_t run_bytes = packed.section_vectors * packed.vector_bytes;
  const int64_t taps = shape.kernel_height * shape.kernel_width;
  const LaneLayout lanes(shape.group_in(), taps, [&](int64_t input, int64_t tap) {
    const int64_t run = layout.row_runs ? tap / shape.kernel_width : tap;
    const int64_t code = layout.row_runs ? tap % shape.kernel_width * shape.in_channels + input : input;
    const int64_t step = code / layout.step_codes * kPanelOutputs * layout.step_codes;
    return run * run_bytes + step + code % layout.step_codes;
  });
  const int64_t per_output = shape.group_in() * taps;
  return use(PackedSource{.shape = packed,
                          .weights = {weights, static_cast<size_t>(shape.out_channels * per_output)},
                          .arrange = [&](int64_t panel, int8_t* vectors) {
                            const int64_t in_group = panel % layout.panels * kPanelOutputs;
                            const int64_t first = panel / layout.panels * shape.group_out() + in_group;
                            lanes.Arrange(weights + first * per_output,
                                          std::min(kPanelOutputs, shape.group_out() - in_group), layout.step_codes,
                                          vectors);
                          }});
}

}  // namespace

int64_t FlushSteps(int max_code, int max_weight) {
  return std::max(1, INT16_MAX / std::max(1, 2 * max_code * max_weight));
}

double PanelCycles(const PanelTier& tier, const ConvShape& shape, double macs_per_cycle) {
  const Layout layout(tier, shape);
  // Of a last panel with one block the other is not computed.
  const int64_t outputs = shape.groups * RoundUp(shape.group_out(), kPanelLanes);
  const int64_t products =
      shape.out_height * shape.out_width * outputs * layout.runs * layout.steps * layout.step_codes;
  const int64_t copied = layout.copies ? shape.in_height * layout.row_bytes : 0;
  const int64_t opened = shape.groups * layout.panels * layout.panel_bytes;
  return static_cast<double>(products) / macs_per_cycle +
         static_cast<double>(copied + opened * DivideRoundUp(shape.out_height, layout.band_rows)) / 16;
}

size_t PanelPackedBytes(const PanelTier& tier, const ConvShape& shape, const int8_t* weights) {
  const Layout layout(tier, shape);
  return WithSource(layout, shape, weights, PackedWeightsBytes);
}

void PanelPack(const PanelTier& tier, const ConvShape& shape, const int8_t* weights, std::byte* packed) {
  const Layout layout(tier, shape);
  WithSource(layout, shape, weights, [packed](const PackedSource& source) { PackWeights(source, packed); });
}

size_t PanelScratchBytes(const PanelTier& tier, const ConvShape& shape) {
  Scratch scratch(nullptr);
  const ConvCall no_call = {};
  const Runner runner(tier, shape, no_call, scratch);
  return scratch.bytes();
}

void PanelRun(const PanelTier& tier, const ConvShape& shape, const ConvCall& call) {
  Scratch scratch(call.scratch);
  Runner(tier, shape, call, scratch).Run();
}

}  // namespace bitstage::kernels
