#include "tests/pipeline/server_process.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "proto/health.grpc.pb.h"

extern char** environ;

namespace bitstage::server {
namespace {

// `log`: where its standard error goes, or -1.
pid_t Spawn(const std::vector<std::string>& words, int log) {
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  if (log >= 0) posix_spawn_file_actions_adddup2(&actions, log, STDERR_FILENO);
  pid_t process = -1;
  const int failed = posix_spawn(&process, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  EXPECT_EQ(failed, 0) << "cannot run " << words[0];
  return process;
}

// The number behind `before` in `line`, or 0.
int PortIn(const std::string& line, const std::string& before, const std::string& after) {
  const size_t begin = line.find(before);
  if (begin == std::string::npos || !absl::StrContains(line, after)) return 0;
  return std::atoi(line.c_str() + begin + before.size());
}

}  // namespace

std::string ProgramPath(const std::string& name) {
  return std::filesystem::read_symlink("/proc/self/exe").replace_filename(name).string();
}

void RunProgram(const std::vector<std::string>& words) {
  int status = -1;
  waitpid(Spawn(words, -1), &status, 0);
  EXPECT_EQ(status, 0) << words[0] << " " << words[1];
}

ServerProcess::ServerProcess(const std::string& repository, const std::vector<std::string>& flags, int port) {
  std::vector<std::string> words = {ProgramPath("bitstage-server"),
                                    "--model-repository",
                                    repository,
                                    "--host",
                                    "127.0.0.1",
                                    "--metrics-port",
                                    "0",
                                    "--grpc-port",
                                    absl::StrCat(port),
                                    "--workers",
                                    "2"};
  words.insert(words.end(), flags.begin(), flags.end());
  int ends[2];
  EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
  process_ = Spawn(words, ends[1]);
  close(ends[1]);
  reader_ = std::thread([this, descriptor = ends[0]] { ReadLog(descriptor); });
  {
    const MutexLock lock(mutex_);
    size_t seen = 0;
    while (port_ == 0 || metrics_port_ == 0) {
      for (; seen < log_.size(); ++seen) {
        port_ = std::max(port_, PortIn(log_[seen], "listening on 127.0.0.1:", "(gRPC)"));
        metrics_port_ = std::max(metrics_port_, PortIn(log_[seen], "listening on 127.0.0.1:", "(metrics)"));
      }
      if (log_ended_) break;
      if (port_ == 0 || metrics_port_ == 0) logged_.Wait(mutex_);
    }
  }
  EXPECT_NE(port_, 0) << "the server did not start";
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  channel_ = grpc::CreateCustomChannel(address(), grpc::InsecureChannelCredentials(), arguments);
  stub_ = inference::GRPCInferenceService::NewStub(channel_);
}

ServerProcess::~ServerProcess() {
  Kill();
  reader_.join();
  if (!testing::Test::HasFailure()) return;
  for (const std::string& line : log_) std::fprintf(stderr, "  [%d] %s\n", port_, line.c_str());
}

std::string ServerProcess::address() const { return absl::StrCat("127.0.0.1:", port_); }

void ServerProcess::ReadLog(int descriptor) {
  FILE* const file = fdopen(descriptor, "r");
  char* line = nullptr;
  size_t size = 0;
  while (getline(&line, &size, file) > 0) {
    const MutexLock lock(mutex_);
    log_.emplace_back(absl::StripSuffix(line, "\n"));
    logged_.NotifyAll();
  }
  std::free(line);
  std::fclose(file);
  const MutexLock lock(mutex_);
  log_ended_ = true;
  logged_.NotifyAll();
}

void ServerProcess::WaitForLog(const std::string& text) {
  const MutexLock lock(mutex_);
  for (size_t seen = 0;; ++seen) {
    while (seen == log_.size() && !log_ended_) logged_.Wait(mutex_);
    if (seen == log_.size()) break;
    if (absl::StrContains(log_[seen], text)) return;
  }
  ADD_FAILURE() << "the log ended without: " << text;
}

void ServerProcess::WaitFor(bool ready) const {
  const auto health = grpc::health::v1::Health::NewStub(channel_);
  grpc::ClientContext context;
  context.set_wait_for_ready(true);
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
  const auto watch = health->Watch(&context, {});
  grpc::health::v1::HealthCheckResponse response;
  bool became = false;
  while (!became && watch->Read(&response)) {
    became = (response.status() == grpc::health::v1::HealthCheckResponse::SERVING) == ready;
  }
  context.TryCancel();
  watch->Finish();
  if (!became) ADD_FAILURE() << "never became " << (ready ? "ready" : "not ready");
}

bool ServerProcess::IsReady() const {
  grpc::ClientContext context;
  inference::ServerReadyResponse response;
  return stub_->ServerReady(&context, {}, &response).ok() && response.ready();
}

void ServerProcess::Signal(int signal) const { kill(process_, signal); }

int ServerProcess::Wait() {
  int status = -1;
  waitpid(process_, &status, 0);
  process_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

int ServerProcess::Terminate() {
  // An idle client of gRPC looks at its connection every five seconds only, and a server waits for it to hang up.
  stub_ = nullptr;
  channel_ = nullptr;
  Signal(SIGTERM);
  return Wait();
}

void ServerProcess::Kill() {
  if (process_ < 0) return;
  Signal(SIGKILL);
  Wait();
}

double ServerProcess::Metric(const std::string& series) const {
  const int connection = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(metrics_port_));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::string page;
  if (connect(connection, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
    constexpr absl::string_view kRequest = "GET /metrics HTTP/1.0\r\n\r\n";
    EXPECT_EQ(write(connection, kRequest.data(), kRequest.size()), static_cast<ssize_t>(kRequest.size()));
    char buffer[4096];
    for (ssize_t n = 0; (n = read(connection, buffer, sizeof(buffer))) > 0;)
      page.append(buffer, static_cast<size_t>(n));
  }
  close(connection);
  EXPECT_FALSE(page.empty()) << "no metrics";
  for (const absl::string_view line : absl::StrSplit(page, '\n')) {
    double value = 0;
    if (absl::StartsWith(line, absl::StrCat(series, " ")) && absl::SimpleAtod(line.substr(series.size() + 1), &value)) {
      return value;
    }
  }
  return 0;
}

}  // namespace bitstage::server
