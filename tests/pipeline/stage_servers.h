// A small network cut into two and into three stages, and servers of its pieces.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "tests/pipeline/server_process.h"

namespace bitstage::server {

class StageServers : public testing::Test {
 protected:
  // Writes the whole network and its partitions, as `bitstage-model partition` makes them, into a folder of the
  // suite's.
  static void SetUpTestSuite();
  static void TearDownTestSuite();

  // The repository of stage `index` of `of`.
  static std::string Stage(int of, int index);

  static ServerProcess Whole() { return ServerProcess(root_ + "/whole", {}); }
  static ServerProcess Last(int of = 2, int port = 0) { return ServerProcess(Stage(of, of - 1), {"--stage"}, port); }
  static ServerProcess Front(const ServerProcess& next, int of = 2) {
    return ServerProcess(Stage(of, 0), {"--next-stage", next.address()});
  }

 private:
  static std::string root_;
};

}  // namespace bitstage::server
