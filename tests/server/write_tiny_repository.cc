// write_tiny_repository DIR: makes DIR a model repository with the tiny model, version 3, in it.
#include <cstdio>
#include <string>

#include "tests/server/tiny_model.h"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const absl::Status written = bitstage::server::WriteTinyModel(std::string(argv[1]) + "/tiny/3/model.bitstage");
  if (!written.ok()) std::fprintf(stderr, "%s\n", written.ToString().c_str());
  return written.ok() ? 0 : 1;
}
