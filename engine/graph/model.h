// Model: everything a .bitstage file holds. The graph, and what a server must know to feed it and to name its answers.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/graph/graph.h"
#include "engine/tensor/boundary_tables.h"
#include "engine/tensor/preprocessing.h"

namespace bitstage {

// Where a model came from: enough to make it again.
struct Provenance {
  std::string source_file;    // file name without its path
  std::string source_sha256;  // hex, of the ONNX file
  std::string command;        // the command line that wrote this file (file names without paths)
  std::string tool_version;
  std::vector<std::string> notes;  // corrections applied, calibration set, recipe
};

// A model cut into pipeline stages: this file holds stage `index` of `count`.
struct StageInfo {
  int index = 0;
  int count = 1;
  std::string pipeline_id;  // equal for all stages of one partition
};

struct Model {
  std::string name;
  Graph graph;
  std::optional<Preprocessing> preprocessing;  // absent: only tensors are accepted
  std::vector<std::string> labels;             // by output index; may be empty
  int class_offset = 0;                        // output index − class index (1 for models with a background class)
  Provenance provenance;
  std::optional<StageInfo> stage;
  // Of values that carry a grid and at which the graph can be cut into stages, or is; by name.
  std::map<std::string, BoundaryTables> boundary_tables;

  [[nodiscard]] Model Clone() const;
  // True where values carry grids and every Conv, ConvTranspose and FullyConnected has WeightCodes.
  [[nodiscard]] bool IsQuantized() const;
};

}  // namespace bitstage
