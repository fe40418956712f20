// bitstage-client: asks a bitstage-server, or any server of the Open Inference Protocol, from the command line.
#include <chrono>
#include <csignal>
#include <iostream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "clients/commands.h"
#include "clients/connection.h"
#include "engine/base/status_macros.h"

namespace bitstage::client {
namespace {

constexpr absl::string_view kHelp = R"(Asks a bitstage-server.

  bitstage-client [--server HOST:PORT] status
      The server's state and its models.
  bitstage-client [--server HOST:PORT] classify IMAGE… [--model NAME] [--top K]
      The likeliest classes of JPEG or PNG files, with probabilities and latency.
  bitstage-client [--server HOST:PORT] bench [IMAGE…] [--model NAME] [--concurrency N] [--seconds S] [--requests N] [--json]
      Sends the images (or a random tensor) in a closed loop; prints latency percentiles and images/s.

  --server HOST:PORT   the server (localhost:8001)
  --model NAME         the model; needed where more than one is ready
  --timeout-ms N       limit of one request (10000)
  --top K              classes to print (5)
  --concurrency N      clients that send at the same time (1)
  --seconds S          how long (5)
  --requests N         stop after so many requests
  --json               one JSON object as the last line
  --help               this text
)";

const std::vector<Flag> kFlags = {
    {.name = "server", .value = "HOST:PORT"}, {.name = "model", .value = "NAME"},
    {.name = "timeout-ms", .value = "N"},     {.name = "top", .value = "K"},
    {.name = "concurrency", .value = "N"},    {.name = "seconds", .value = "S"},
    {.name = "requests", .value = "N"},       {.name = "json"},
    {.name = "help", .letter = 'h'},
};

absl::Status Run(const std::vector<std::string>& words) {
  BITSTAGE_ASSIGN_OR_RETURN(const Arguments arguments, Arguments::Parse(kFlags, words));
  if (arguments.Has("help")) {
    std::cout << kHelp;
    return absl::OkStatus();
  }
  if (arguments.positional().empty()) return UsageError("which verb? status, classify or bench");
  const std::string verb = arguments.positional()[0];
  BITSTAGE_ASSIGN_OR_RETURN(const int64_t timeout, arguments.Int("timeout-ms", 10000, 1, 3600 * 1000));
  const Connection connection(arguments.Get("server", "localhost:8001"), std::chrono::milliseconds(timeout));
  if (verb == "status") {
    if (arguments.positional().size() > 1) return UsageError("status takes no arguments");
    return RunStatus(connection, arguments);
  }
  if (verb == "classify") {
    if (arguments.positional().size() < 2) return UsageError("classify: which images?");
    return RunClassify(connection, arguments);
  }
  if (verb == "bench") return RunBench(connection, arguments);
  return UsageError(absl::StrCat("unknown verb '", verb, "', expected status, classify or bench"));
}

}  // namespace
}  // namespace bitstage::client

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  const absl::Status status = bitstage::client::Run({argv + 1, argv + argc});
  if (status.ok()) return 0;
  std::cerr << "bitstage-client: " << status.message() << '\n';
  if (!bitstage::IsUsageError(status)) return 1;
  std::cerr << "bitstage-client --help says more\n";
  return 2;
}
