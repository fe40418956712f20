#include "tests/frames/block_tensors.h"

#include <algorithm>
#include <numeric>

#include "engine/base/status_macros.h"
#include "engine/base/thread_pool.h"
#include "engine/compression/calibration.h"
#include "engine/data/batch.h"
#include "engine/data/dataset.h"
#include "engine/format/onnx_import.h"
#include "engine/graph/passes.h"
#include "engine/quant/activation_grids.h"
#include "engine/reference/float_executor.h"
#include "engine/study/block_outputs.h"

namespace bitstage {
namespace {

// C x H x W (or C) values of each image to H x W x C codes.
std::vector<uint8_t> CodesOf(const Tensor& value, int64_t first, int64_t images, const Grid& grid) {
  const int64_t channels = value.shape()[1];
  const int64_t inner = value.shape().InnerElements(1);
  std::vector<uint8_t> codes(static_cast<size_t>(images * channels * inner));
  const std::span<const float> values = value.Span<float>();
  for (int64_t n = 0; n < images; ++n) {
    for (int64_t c = 0; c < channels; ++c) {
      EncodeToGrid(
          grid, c,
          values.subspan(static_cast<size_t>(((first + n) * channels + c) * inner), static_cast<size_t>(inner)),
          codes.data() + n * channels * inner + c, channels);
    }
  }
  return codes;
}

}  // namespace

absl::StatusOr<std::vector<BlockTensor>> BlockTensors(const std::string& network, const std::string& images, int bits,
                                                      BlockImages count) {
  BITSTAGE_ASSIGN_OR_RETURN(Model model, ImportOnnxFile(network));
  if (!model.preprocessing) return absl::FailedPreconditionError("the network declares no preprocessing");
  BITSTAGE_RETURN_IF_ERROR(Optimize(model.graph));
  BITSTAGE_ASSIGN_OR_RETURN(const Dataset data, Dataset::Open(images));
  std::vector<int64_t> indices(static_cast<size_t>(count.calibration + count.coded));
  std::iota(indices.begin(), indices.end(), 0);
  ThreadPool pool(1);
  BITSTAGE_ASSIGN_OR_RETURN(const Tensor batch, LoadBatch(data, indices, *model.preprocessing, &pool));
  BITSTAGE_ASSIGN_OR_RETURN(const Calibration calibration, Calibrate(model.graph, batch, &pool, {}));

  const std::vector<ValueId> blocks = BlockOutputs(model.graph);
  std::vector<BlockTensor> tensors;
  const std::vector<TensorView> inputs = {batch.View()};
  const auto observe = [&](ValueId id, Tensor& value) {
    if (std::find(blocks.begin(), blocks.end(), id) == blocks.end() || value.shape().rank() != 4) return;
    BlockTensor tensor;
    tensor.name = model.graph.value(id).name;
    tensor.shape = {value.shape()[2], value.shape()[3], value.shape()[1]};
    tensor.grid = UnsignedGrid(calibration.values[static_cast<size_t>(id)].channels, bits, StepKind::kChannel, {});
    tensor.calibration = CodesOf(value, 0, count.calibration, tensor.grid);
    tensor.codes = CodesOf(value, count.calibration, count.coded, tensor.grid);
    tensors.push_back(std::move(tensor));
  };
  BITSTAGE_RETURN_IF_ERROR(FloatExecutor(model.graph, &pool).Run(inputs, observe).status());
  return tensors;
}

}  // namespace bitstage
