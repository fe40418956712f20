#include <algorithm>
#include <atomic>
#include <chrono>
#include <iostream>
#include <map>
#include <random>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "clients/commands.h"
#include "clients/images.h"
#include "clients/latencies.h"
#include "engine/base/mutex.h"
#include "engine/base/status_macros.h"

namespace bitstage::client {
namespace {

using Clock = std::chrono::steady_clock;

struct Outcome {
  std::vector<double> milliseconds;  // of the answered requests
  std::map<absl::StatusCode, int64_t> errors;
  absl::Status first_error;

  void Merge(Outcome other) {
    milliseconds.insert(milliseconds.end(), other.milliseconds.begin(), other.milliseconds.end());
    for (const auto& [code, count] : other.errors) errors[code] += count;
    if (first_error.ok()) first_error = other.first_error;
  }
};

// A random tensor of the declared shape, the batch one.
inference::ModelInferRequest RandomRequest(const std::string& model,
                                           const inference::ModelMetadataResponse::TensorMetadata& input) {
  inference::ModelInferRequest request;
  request.set_model_name(model);
  auto* tensor = request.add_inputs();
  tensor->set_name(input.name());
  tensor->set_datatype(input.datatype());
  size_t elements = 1;
  for (const int64_t extent : input.shape()) {
    tensor->add_shape(extent < 0 ? 1 : extent);
    elements *= static_cast<size_t>(extent < 0 ? 1 : extent);
  }
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> values(elements);
  for (float& value : values) value = normal(random);
  request.add_raw_input_contents(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
  return request;
}

Outcome SendUntil(const Connection& connection, const std::vector<inference::ModelInferRequest>& requests,
                  Clock::time_point end, std::atomic<int64_t>& left) {
  Outcome outcome;
  for (size_t i = 0; Clock::now() < end && left.fetch_sub(1) > 0; ++i) {
    const auto start = Clock::now();
    const absl::Status status = connection.Infer(requests[i % requests.size()]).status();
    const std::chrono::duration<double, std::milli> latency = Clock::now() - start;
    if (status.ok()) {
      outcome.milliseconds.push_back(latency.count());
      continue;
    }
    ++outcome.errors[status.code()];
    if (outcome.first_error.ok()) outcome.first_error = status;
    if (status.code() == absl::StatusCode::kUnavailable || status.code() == absl::StatusCode::kNotFound) break;
  }
  return outcome;
}

}  // namespace

absl::Status RunBench(const Connection& connection, const Arguments& arguments) {
  BITSTAGE_ASSIGN_OR_RETURN(const int64_t concurrency, arguments.Int("concurrency", 1, 1, 1024));
  BITSTAGE_ASSIGN_OR_RETURN(const double seconds, arguments.Number("seconds", 5, 0.1, 3600));
  BITSTAGE_ASSIGN_OR_RETURN(const int64_t limit, arguments.Int("requests", INT64_MAX, 1, INT64_MAX));
  BITSTAGE_ASSIGN_OR_RETURN(const int64_t timeout, arguments.Int("timeout-ms", 10000, 1, 3600 * 1000));
  BITSTAGE_ASSIGN_OR_RETURN(const std::string model, connection.ResolveModel(arguments.Get("model")));
  BITSTAGE_ASSIGN_OR_RETURN(const auto metadata, connection.ModelMetadata(model));
  if (metadata.inputs_size() != 1) {
    return absl::FailedPreconditionError(absl::StrCat("model '", model, "' does not take one input"));
  }
  std::vector<inference::ModelInferRequest> requests;
  for (const std::string& path : ImagePaths(arguments)) {
    BITSTAGE_ASSIGN_OR_RETURN(const std::string encoded, ReadImageFile(path));
    requests.push_back(ImageRequest(model, metadata.inputs(0).name(), encoded));
  }
  if (requests.empty()) requests.push_back(RandomRequest(model, metadata.inputs(0)));
  // The first request pays for connecting; it is not counted, and it shows errors before the load begins.
  BITSTAGE_RETURN_IF_ERROR(connection.Infer(requests[0]).status());

  const auto start = Clock::now();
  const auto end = start + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  std::atomic<int64_t> left{limit};
  Mutex mutex;
  Outcome total;
  std::vector<std::thread> clients;
  for (int64_t i = 0; i < concurrency; ++i) {
    clients.emplace_back([&] {
      const Connection own(connection.address(), std::chrono::milliseconds(timeout));
      Outcome outcome = SendUntil(own, requests, end, left);
      MutexLock lock(mutex);
      total.Merge(std::move(outcome));
    });
  }
  for (std::thread& client : clients) client.join();
  const std::chrono::duration<double> elapsed = Clock::now() - start;

  for (const auto& [code, count] : total.errors) std::cout << count << " x " << absl::StatusCodeToString(code) << '\n';
  if (total.milliseconds.empty()) return total.first_error;
  std::sort(total.milliseconds.begin(), total.milliseconds.end());
  const double rate = static_cast<double>(total.milliseconds.size()) / elapsed.count();
  const auto at = [&](double fraction) { return Percentile(total.milliseconds, fraction); };
  std::cout << absl::StrFormat(
      "%s at concurrency %d: %d images in %.1f s, %.1f images/s, latency p50 %.2f ms, p90 %.2f ms, p99 %.2f ms, max "
      "%.2f ms\n",
      model, concurrency, total.milliseconds.size(), elapsed.count(), rate, at(0.5), at(0.9), at(0.99), at(1.0));
  if (arguments.Has("json")) {
    std::cout
        << absl::StrFormat(
               R"({"images": %d, "seconds": %.3f, "images_per_second": %.2f, "p50_ms": %.3f, "p90_ms": %.3f, "p99_ms": %.3f})",
               total.milliseconds.size(), elapsed.count(), rate, at(0.5), at(0.9), at(0.99))
        << '\n';
  }
  return absl::OkStatus();
}

}  // namespace bitstage::client
