// bitstage-server as a process of its own, on ports of 127.0.0.1 that the system chose.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "engine/base/mutex.h"
#include "grpcpp/grpcpp.h"
#include "proto/inference.grpc.pb.h"

namespace bitstage::server {

// Of a program that was built beside this one.
std::string ProgramPath(const std::string& name);

// Runs a program to its end; fails the test where that is not 0.
void RunProgram(const std::vector<std::string>& words);

class ServerProcess {
 public:
  // Returns when it listens. `port` 0: any.
  ServerProcess(const std::string& repository, const std::vector<std::string>& flags, int port = 0);
  // Kills what is left.
  ~ServerProcess();
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  [[nodiscard]] int port() const { return port_; }
  [[nodiscard]] std::string address() const;
  [[nodiscard]] inference::GRPCInferenceService::Stub& stub() const { return *stub_; }
  [[nodiscard]] const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }

  // Waits until health Watch says that the server is ready, or is not.
  void WaitFor(bool ready) const;
  [[nodiscard]] bool IsReady() const;
  // Waits for a line of the log that contains `text`.
  void WaitForLog(const std::string& text);

  void Signal(int signal) const;
  // SIGTERM; the exit code. Kill: SIGKILL.
  int Terminate();
  void Kill();

  // The value of the metric with this name and these labels as /metrics writes them; 0 where there is none.
  [[nodiscard]] double Metric(const std::string& series) const;

 private:
  int Wait();
  void ReadLog(int descriptor);

  pid_t process_ = -1;
  int port_ = 0;
  int metrics_port_ = 0;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<inference::GRPCInferenceService::Stub> stub_;
  Mutex mutex_;
  CondVar logged_;
  std::vector<std::string> log_ BITSTAGE_GUARDED_BY(mutex_);
  bool log_ended_ BITSTAGE_GUARDED_BY(mutex_) = false;
  std::thread reader_;
};

}  // namespace bitstage::server
