// ModelSummary: what `inspect` tells about a model, as numbers and words that the table and the JSON share.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/graph/model.h"

namespace bitstage {

// The grid of a layer's output, in a few words: "4 bits" · "4+2 bits" where some channels have 2 more · "8 bits signed"
// where zero is not the lowest code · "float" without a grid.
std::string DescribeGrid(const std::optional<Grid>& grid);

struct LayerSummary {
  std::string name;
  std::string op;                // "Conv 3x3/2 g32"
  Shape shape;                   // of the output, per image
  std::optional<Shape> weights;  // of a weighted layer
  double bits = 0;               // a weight at rest, without scales; 0 without weights
  std::string codebook;          // "uniform", "ternary", "float32"; empty without weights
  std::string scale;             // "channel", "pixel", …; empty without codes
  std::string activation;        // DescribeGrid of the output
  int64_t bytes = 0;             // at rest: codes, scales, alphas and float constants
  int64_t macs = 0;
};

// Layers whose weights are coded alike.
struct CodesSummary {
  std::string codebook;
  std::string scale;
  int64_t layers = 0;
  int64_t weights = 0;
  double least_bits = 0;  // LayerSummary::bits
  double most_bits = 0;
};

// "16 layers uniform (2 to 8 bits, a scale a channel), 3 layers ternary (a scale a layer)".
std::string DescribeCodes(const std::vector<CodesSummary>& codes);

struct ModelSummary {
  std::vector<LayerSummary> layers;  // in the order of execution
  std::vector<CodesSummary> codes;   // in the order in which layers have them
  int64_t parameters = 0;            // weights, biases and other constants
  int64_t weights = 0;               // of Conv, ConvTranspose and FullyConnected alone
  double bits_per_weight = 0;        // codes, scales and alphas at rest, over `weights`
  int64_t macs = 0;
  int64_t float32_bytes = 0;  // what the parameters would take as float32,
  int64_t int8_bytes = 0;     // and with weights of one byte and one float scale an output channel
};

// A constant that two layers share counts for the first of them.
ModelSummary Summarize(const Model& model);

}  // namespace bitstage
