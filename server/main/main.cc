#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <thread>
#include <vector>

#include "server/main/flags.h"
#include "server/main/server.h"
#include "server/main/version.h"
#include "server/observability/text.h"
#include "spdlog/sinks/stdout_color_sinks.h"
#include "spdlog/spdlog.h"

namespace bitstage::server {
namespace {

constexpr int kUsageError = 2;

// SIGTERM and SIGINT are not handled but waited for; every thread started later inherits the mask.
sigset_t BlockSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);  // a peer that went away is an error code
  return signals;
}

// False where one of `signals` came first.
bool Sleep(std::chrono::milliseconds duration, const sigset_t& signals) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(duration);
  const timespec timeout{.tv_sec = seconds.count(), .tv_nsec = std::chrono::nanoseconds(duration - seconds).count()};
  return sigtimedwait(&signals, nullptr, &timeout) < 0;
}

int Run(const ServerFlags& flags, const sigset_t& signals) {
  absl::StatusOr<std::unique_ptr<Server>> server = Server::Start(flags);
  if (!server.ok()) {
    spdlog::error("{}", SafeMessage(server.status().message()));
    return 1;
  }
  absl::Status loaded;
  std::thread loader([&] {
    loaded = (*server)->LoadModels();
    if (!loaded.ok()) kill(getpid(), SIGTERM);
  });
  int signal = 0;
  sigwait(&signals, &signal);
  (*server)->BeginDrain();
  loader.join();
  if (!loaded.ok()) {
    spdlog::error("{}", SafeMessage(loaded.message()));
    return 1;
  }
  spdlog::info("{}: not ready, serving on for {} ms", signal == SIGTERM ? "SIGTERM" : "SIGINT", flags.drain_delay_ms);
  if (!Sleep(std::chrono::milliseconds(flags.drain_delay_ms), signals)) spdlog::info("a second signal: no more delay");
  (*server)->Shutdown(std::chrono::milliseconds(flags.shutdown_grace_ms));
  spdlog::info("stopped");
  // Nothing is left but the metrics port, whose threads would take two seconds to join.
  spdlog::shutdown();
  std::quick_exit(0);
}

int Main(int argc, char** argv) {
  spdlog::set_default_logger(spdlog::stderr_color_mt("bitstage"));
  spdlog::set_pattern("%Y-%m-%dT%H:%M:%S.%e %^%l%$ %v");
  const absl::StatusOr<ServerFlags> flags =
      ParseFlags(std::vector<std::string>(argv + (argc > 0 ? 1 : 0), argv + argc));
  if (!flags.ok()) {
    std::fprintf(stderr, "bitstage-server: %s; see --help\n", std::string(flags.status().message()).c_str());
    return kUsageError;
  }
  if (flags->help) {
    std::fputs(FlagsHelp().c_str(), stdout);
    return 0;
  }
  if (flags->version) {
    std::printf("bitstage-server %s\n", kVersion);
    return 0;
  }
  return Run(*flags, BlockSignals());
}

}  // namespace
}  // namespace bitstage::server

int main(int argc, char** argv) { return bitstage::server::Main(argc, argv); }
