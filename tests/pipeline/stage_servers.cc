#include "tests/pipeline/stage_servers.h"

#include <stdlib.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "engine/format/model_file.h"
#include "tests/pipeline/small_network.h"

namespace bitstage::server {

std::string StageServers::root_;

void StageServers::SetUpTestSuite() {
  std::string folder = (std::filesystem::temp_directory_path() / "stages-XXXXXX").string();
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  root_ = folder;
  std::filesystem::create_directories(root_ + "/whole/net/1");
  const std::string model = root_ + "/whole/net/1/model.bitstage";
  ASSERT_TRUE(WriteModelFile(SmallNetwork(), model).ok());
  for (const std::string stages : {"2", "3"}) {
    RunProgram({ProgramPath("bitstage-model"), "partition", model, "--stages", stages, "-o", root_ + "/" + stages});
  }
}

void StageServers::TearDownTestSuite() { std::filesystem::remove_all(root_); }

std::string StageServers::Stage(int of, int index) { return absl::StrCat(root_, "/", of, "/stage-", index); }

}  // namespace bitstage::server
