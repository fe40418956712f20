#include "server/observability/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <prometheus/text_serializer.h>

#include <set>

namespace bitstage::server {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class MetricsTest : public testing::Test {
 protected:
  std::string Text() { return prometheus::TextSerializer().Serialize(metrics_.Collect()); }

  ServerMetrics metrics_{std::make_shared<prometheus::Registry>(), {.version = "1.2.3", .isa = "avx2"}};
};

TEST_F(MetricsTest, SaysWhatRunsAndWhatTheProcessTakes) {
  const std::string text = Text();
  EXPECT_THAT(text, HasSubstr("bitstage_build_info{isa=\"avx2\",version=\"1.2.3\"} 1"));
  EXPECT_THAT(text, HasSubstr("process_cpu_seconds_total "));
  EXPECT_THAT(text, Not(HasSubstr("process_resident_memory_bytes 0\n")));
}

TEST_F(MetricsTest, MeasuresThePhasesOfAModelsRequests) {
  metrics_.AddModel("net", 1, {});
  metrics_.ForModel("net").Observe(Phase::kCompute, std::chrono::microseconds(700));
  const std::string text = Text();
  const std::string series = "bitstage_request_duration_seconds_bucket{model=\"net\",phase=\"compute\",";
  EXPECT_THAT(text, HasSubstr(series + "le=\"0.0005\"} 0"));
  EXPECT_THAT(text, HasSubstr(series + "le=\"0.001\"} 1"));
}

TEST_F(MetricsTest, ModelMemoryComesAndGoesWithTheModel) {
  metrics_.AddModel("net", 2, {.weight_bytes = 10, .arena_bytes_per_image = 20, .scratch_bytes = 25, .file_bytes = 30});
  EXPECT_THAT(Text(), HasSubstr("bitstage_model_weight_bytes{model=\"net\",version=\"2\"} 10"));
  EXPECT_THAT(Text(), HasSubstr("bitstage_model_scratch_bytes{model=\"net\",version=\"2\"} 25"));
  EXPECT_THAT(Text(), HasSubstr("bitstage_model_file_bytes{model=\"net\",version=\"2\"} 30"));
  metrics_.RemoveModel("net", 2);
  EXPECT_THAT(Text(), Not(HasSubstr("bitstage_model_weight_bytes{model=\"net\"")));
}

TEST_F(MetricsTest, NamesThatNobodyAddedShareOneSeries) {
  metrics_.AddModel("net", 1, {});
  for (int i = 0; i < 1000; ++i) metrics_.CountRequest("guess" + std::to_string(i), "ModelInfer", "NOT_FOUND");
  metrics_.CountRequest("net", "ModelInfer", "OK");
  const std::string text = Text();
  EXPECT_THAT(text,
              HasSubstr("bitstage_requests_total{code=\"NOT_FOUND\",method=\"ModelInfer\",model=\"unknown\"} 1000"));
  EXPECT_THAT(text, HasSubstr("bitstage_requests_total{code=\"OK\",method=\"ModelInfer\",model=\"net\"} 1"));
  EXPECT_THAT(text, Not(HasSubstr("guess")));
}

TEST_F(MetricsTest, EveryFamilyIsDeclaredFromTheStart) {
  std::set<std::string> names;
  for (const prometheus::MetricFamily& family : metrics_.Collect()) names.insert(family.name);
  EXPECT_THAT(names, testing::IsSupersetOf({"bitstage_request_duration_seconds", "bitstage_images_total",
                                            "bitstage_queue_requests", "bitstage_queue_bytes",
                                            "bitstage_in_flight_requests", "process_resident_memory_bytes"}));
}

}  // namespace
}  // namespace bitstage::server
