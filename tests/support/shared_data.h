// Where tests find the real models, images and golden vectors, which are not part of this repository.
//
// The folder is named by the environment variable BITSTAGE_SHARED, or is `../shared` beside the checkout. A test that
// needs a file of it begins with
//
//   const std::string path = BITSTAGE_SHARED_OR_SKIP("golden/quantization.json");
//
// and is skipped, saying so, where the file is absent.
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <string>

namespace bitstage {

// The path of a file or folder below the shared folder, or nullopt where there is none.
std::optional<std::string> SharedPath(const std::string& relative);

}  // namespace bitstage

#define BITSTAGE_SHARED_OR_SKIP(relative)                                                                       \
  ({                                                                                                            \
    const std::optional<std::string> bitstage_path = ::bitstage::SharedPath(relative);                          \
    if (!bitstage_path) GTEST_SKIP() << "SKIPPED FOR LACK OF DATA: " << (relative) << " (set BITSTAGE_SHARED)"; \
    *bitstage_path;                                                                                             \
  })
