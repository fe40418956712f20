#include "engine/tools/npy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "absl/strings/str_cat.h"

namespace bitstage {
namespace {

using testing::HasSubstr;

std::span<const std::byte> Bytes(const std::string& text) { return std::as_bytes(std::span(text.data(), text.size())); }

// A version 1.0 file as numpy writes it.
std::string File(const std::string& header, const std::string& data) {
  return absl::StrCat(std::string("\x93NUMPY\x01\x00", 8), std::string(1, static_cast<char>(header.size() & 0xff)),
                      std::string(1, static_cast<char>(header.size() >> 8)), header, data);
}

TEST(NpyTest, WhatIsWrittenIsReadBack) {
  const float floats[] = {1.5f, -2, 0, 1e-30f, 5, 6};
  const uint8_t codes[] = {0, 255, 7};
  const int64_t indices[] = {-1, int64_t{1} << 40};
  const Tensor tensors[] = {Tensor::Of<float>({1, 2, 3}, floats), Tensor::Of<uint8_t>({3}, codes),
                            Tensor::Of<int64_t>({2, 1}, indices)};
  const std::string path = testing::TempDir() + "/npy_test.npy";
  for (const Tensor& tensor : tensors) {
    ASSERT_TRUE(WriteNpy(tensor.View(), path).ok());
    const absl::StatusOr<Tensor> read = ReadNpy(path);
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(read->type(), tensor.type());
    EXPECT_EQ(read->shape(), tensor.shape());
    EXPECT_EQ(std::memcmp(read->data(), tensor.data(), tensor.bytes()), 0);
  }
  std::filesystem::remove(path);
}

TEST(NpyTest, DataBeginOnA64ByteBoundaryAsTheFormatAsks) {
  for (const int64_t extent : {1, 12, 123, 12345}) {
    const Tensor tensor(DataType::kFloat32, {extent});
    const std::string file = FormatNpy(tensor.View());
    EXPECT_EQ((file.size() - tensor.bytes()) % 64, 0u);
    EXPECT_EQ(file[file.size() - tensor.bytes() - 1], '\n');
  }
}

TEST(NpyTest, ReadsHeadersOfOtherWritersAndVersions) {
  const std::string data(8, '\0');
  for (const std::string header : {"{'shape':(2,),'fortran_order':False,'descr':'<f4'}",
                                   "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2,), }   \n",
                                   "{'descr': '<i8', 'fortran_order': False, 'shape': (1,), }\n"}) {
    EXPECT_TRUE(ParseNpy(Bytes(File(header, data))).ok()) << header;
  }
  const std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n";
  const std::string version2 =
      absl::StrCat(std::string("\x93NUMPY\x02\x00", 8), std::string(1, static_cast<char>(header.size())),
                   std::string(3, '\0'), header, data);
  EXPECT_TRUE(ParseNpy(Bytes(version2)).ok());
}

TEST(NpyTest, RefusalsSayWhatIsWrong) {
  const std::string good = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n";
  const std::string data(8, '\0');
  const auto refusal = [](const std::string& file) {
    const absl::Status status = ParseNpy(Bytes(file)).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    return std::string(status.message());
  };
  EXPECT_THAT(refusal(""), HasSubstr("not a .npy file"));
  EXPECT_THAT(refusal("PK\x03\x04 an archive"), HasSubstr("not a .npy file"));
  EXPECT_THAT(refusal(File(good, data).substr(0, 30)), HasSubstr("truncated"));
  EXPECT_THAT(refusal(File(good, data.substr(1))), HasSubstr("7 bytes of data for FP32 2"));
  EXPECT_THAT(refusal(File(good, data + "x")), HasSubstr("9 bytes of data"));
  EXPECT_THAT(refusal(File("{'fortran_order': False, 'shape': (2,), }", data)), HasSubstr("no 'descr'"));
  EXPECT_THAT(refusal(File("{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }", data)), HasSubstr("'<f8'"));
  EXPECT_THAT(refusal(File("{'descr': '>f4', 'fortran_order': False, 'shape': (2,), }", data)), HasSubstr("'>f4'"));
  EXPECT_THAT(refusal(File("{'descr': '<f4', 'fortran_order': True, 'shape': (2,), }", data)), HasSubstr("Fortran"));
  EXPECT_THAT(refusal(File("{'descr': '<f4', 'fortran_order': False, 'shape': 2, }", data)), HasSubstr("no tuple"));
  EXPECT_THAT(refusal(File("{'descr': '<f4', 'fortran_order': False, 'shape': (), }", data)), HasSubstr("rank 0"));
  EXPECT_THAT(refusal(File("{'descr': '<f4', 'fortran_order': False, 'shape': (-2,), }", data)), HasSubstr("'-2'"));
  EXPECT_THAT(refusal(File("{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4), }", data)),
              HasSubstr("8 bytes of data"));
  std::string version = File(good, data);
  version[6] = 9;
  EXPECT_THAT(refusal(version), HasSubstr("version 9"));
}

TEST(NpyTest, MissingFilesAndFoldersAreNamed) {
  const Tensor tensor(DataType::kFloat32, {1});
  EXPECT_THAT(std::string(ReadNpy("no/such.npy").status().message()), HasSubstr("no/such.npy"));
  EXPECT_THAT(std::string(WriteNpy(tensor.View(), "no/such.npy").message()), HasSubstr("no/such.npy"));
}

}  // namespace
}  // namespace bitstage
