// A model repository in a folder of its own, removed at the end of the test.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace bitstage::server {

class RepositoryFolder {
 public:
  RepositoryFolder() {
    std::string name = (std::filesystem::path(testing::TempDir()) / "bitstage-repository-XXXXXX").string();
    path_ = mkdtemp(name.data());
  }
  ~RepositoryFolder() { std::filesystem::remove_all(path_); }

  // Makes `relative` with `content`, its folders too.
  void Write(const std::string& relative, const std::string& content = "x") const {
    std::filesystem::create_directories((path_ / relative).parent_path());
    std::ofstream(path_ / relative) << content;
  }
  [[nodiscard]] std::string path() const { return path_.string(); }
  [[nodiscard]] std::filesystem::path operator/(const std::string& relative) const { return path_ / relative; }

 private:
  std::filesystem::path path_;
};

}  // namespace bitstage::server
