#include "server/services/status.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/observability/text.h"

namespace bitstage::server {
namespace {

using ::testing::EndsWith;
using ::testing::StartsWith;

TEST(Status, KeepsTheCode) {
  EXPECT_TRUE(ToGrpcStatus(absl::OkStatus()).ok());
  EXPECT_EQ(ToGrpcStatus(absl::NotFoundError("x")).error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(ToGrpcStatus(absl::DataLossError("x")).error_code(), grpc::StatusCode::DATA_LOSS);
  EXPECT_EQ(ToGrpcStatus(absl::UnknownError("x")).error_code(), grpc::StatusCode::INTERNAL);
}

TEST(Status, TextIsCutToAKilobyte) {
  const std::string text = ToGrpcStatus(absl::InternalError(std::string(100'000, 'x'))).error_message();
  EXPECT_EQ(text.size(), kMaxTextBytes);
  EXPECT_THAT(text, EndsWith("x..."));
  const std::string fits(kMaxTextBytes, 'x');
  EXPECT_EQ(ToGrpcStatus(absl::InternalError(fits)).error_message(), fits);
}

TEST(Status, ControlCharactersAreEscapedWithinTheLimit) {
  EXPECT_EQ(SafeMessage("a\r\nb\x7f"), "a\\x0d\\x0ab\\x7f");
  EXPECT_LE(SafeMessage(std::string(100'000, '\n')).size(), kMaxTextBytes);
}

TEST(Status, QuotedPartsAreCutTo128Bytes) {
  EXPECT_EQ(Quoted("net"), "'net'");
  const std::string text = Quoted(std::string(200'000, 'n'));
  EXPECT_EQ(text.size(), kMaxQuotedBytes + 2);
  EXPECT_THAT(text, EndsWith("n...'"));
}

TEST(Status, Utf8IsKeptWholeAndWhatIsNotUtf8IsEscaped) {
  EXPECT_EQ(Quoted("M\xc3\xbcll"), "'M\xc3\xbcll'");
  EXPECT_EQ(Quoted("\xff\xc3"), "'\\xff\\xc3'");
  EXPECT_EQ(Quoted("\xc0\x80\xed\xa0\x80"), "'\\xc0\\x80\\xed\\xa0\\x80'") << "overlong, surrogate";
  std::string umlauts;
  for (int i = 0; i < 200; ++i) umlauts += "\xc3\xbc";
  const std::string text = Quoted(umlauts);
  EXPECT_THAT(text, StartsWith("'\xc3\xbc"));
  EXPECT_THAT(text, EndsWith("\xc3\xbc...'"));
  EXPECT_LE(text.size(), kMaxQuotedBytes + 2);
}

}  // namespace
}  // namespace bitstage::server
