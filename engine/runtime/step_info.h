// StepInfo: one step of a plan, for people and profiles.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace bitstage {

// A kernel that could compute a layer, and the cycles it promised (KernelTable::ChooseConv takes the least).
struct KernelCandidate {
  std::string kernel;
  double cycles = 0;
};

struct StepInfo {
  std::string node;
  std::string op;
  int64_t macs = 0;  // of one image

  std::string kernel = {};
  std::string shape = {};                        // of a weighted layer: "56x56x64 -> 28x28x128, 3x3 by 2"
  int64_t weights = 0;                           // how many
  size_t packed_bytes = 0;                       // that the kernel keeps them in
  size_t constant_bytes = 0;                     // with scales, tables and what else the step keeps
  size_t scratch_bytes = 0;                      // of each thread
  std::vector<KernelCandidate> candidates = {};  // in the tier's order of preference
};

}  // namespace bitstage
