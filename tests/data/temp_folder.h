// A folder that lives as long as the test, and files of the forms that data sets come in.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace bitstage {

class TempFolder {
 public:
  TempFolder();
  ~TempFolder();
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }
  // Writes a file, with the folders above it, and returns its path.
  std::string Write(const std::string& name, const std::string& content) const;

 private:
  std::string path_;
};

// A grey PNG whose every pixel is `value`.
std::string GreyPng(int width, int height, uint8_t value);

struct TarMember {
  std::string name;
  std::string content;
  char type = '0';
};
std::string MakeTar(const std::vector<TarMember>& members);

std::string Gzip(const std::string& content);

// An idx file of bytes.
std::string MakeIdx(const std::vector<uint32_t>& extents, const std::string& elements);

}  // namespace bitstage
