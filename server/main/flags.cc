#include "server/main/flags.h"

#include <algorithm>
#include <limits>
#include <variant>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "engine/base/status_macros.h"
#include "engine/codec/frame.h"

namespace bitstage::server {
namespace {

struct Number {
  int64_t ServerFlags::*member;
  int64_t low;
  int64_t high;
};
using Member = std::variant<std::string ServerFlags::*, Number, bool ServerFlags::*>;

struct Flag {
  absl::string_view name;
  absl::string_view value;  // what --help calls it; empty for a switch
  Member member;
  absl::string_view help;
};

constexpr int64_t kMaxPort = 65535;
constexpr int64_t kMaxInt = std::numeric_limits<int>::max();
constexpr int64_t kMaxThreads = 1024;

const std::vector<Flag>& Flags() {
  static const auto& flags = *new std::vector<Flag>{
      {"model-repository", "DIR", &ServerFlags::model_repository,
       "folder of models: DIR/NAME/VERSION/model.bitstage (required)"},
      {"host", "ADDRESS", &ServerFlags::host, "address to listen on"},
      {"grpc-port", "N", Number{&ServerFlags::grpc_port, 0, kMaxPort},
       "port of the inference and health services; 0: the system chooses, the log says which"},
      {"metrics-port", "N", Number{&ServerFlags::metrics_port, 0, kMaxPort},
       "port of http://ADDRESS:N/metrics; 0: the system chooses"},
      {"max-batch", "N", Number{&ServerFlags::max_batch, 1, 4096}, "most images in one request"},
      {"workers", "N", Number{&ServerFlags::workers, 0, kMaxThreads},
       "requests that run at once; 0: as many as CPUs are available"},
      {"threads", "N", Number{&ServerFlags::threads, 0, kMaxThreads},
       "threads that share one request when the server is not busy; 0: as many as CPUs are available"},
      {"queue-size", "N", Number{&ServerFlags::queue_size, 1, kMaxInt},
       "requests of one model that may wait; more are refused with RESOURCE_EXHAUSTED"},
      {"queue-bytes", "N", Number{&ServerFlags::queue_bytes, 1, std::numeric_limits<int64_t>::max()},
       "bytes of the requests of one model that may wait"},
      {"max-message-bytes", "N", Number{&ServerFlags::max_message_bytes, 1024, kMaxInt}, "largest request"},
      {"stage", "", &ServerFlags::stage,
       "serve later stages of pipelines (bitstage-model partition) to the stages before"},
      {"next-stage", "HOST:PORT", &ServerFlags::next_stage, "where the stages behind those of this server are served"},
      {"frame-coding", "NAME", &ServerFlags::frame_coding,
       "of the activations sent there: preferred (as the model file says), stored, plain, inline, contexts or split"},
      {"drain-delay-ms", "N", Number{&ServerFlags::drain_delay_ms, 0, kMaxInt},
       "after SIGTERM: serve on for so long while saying \"not ready\", so that load balancers turn away first"},
      {"shutdown-grace-ms", "N", Number{&ServerFlags::shutdown_grace_ms, 0, kMaxInt},
       "after the drain delay: time for requests under way to end"},
      {"version", "", &ServerFlags::version, "print the version and exit"},
      {"help", "", &ServerFlags::help, "print this and exit"},
  };
  return flags;
}

absl::Status Set(const Flag& flag, absl::string_view text, ServerFlags& flags) {
  if (const auto* member = std::get_if<std::string ServerFlags::*>(&flag.member)) {
    flags.** member = std::string(text);
    return absl::OkStatus();
  }
  const Number& number = std::get<Number>(flag.member);
  int64_t value = 0;
  if (!absl::SimpleAtoi(text, &value) || value < number.low || value > number.high) {
    return absl::InvalidArgumentError(absl::StrCat("--", flag.name, " takes a number from ", number.low, " to ",
                                                   number.high, ", not \"", text, "\""));
  }
  flags.*number.member = value;
  return absl::OkStatus();
}

// HOST:PORT, where the host may be an IPv6 address in brackets.
bool IsAddress(absl::string_view text) {
  const size_t colon = text.rfind(':');
  int64_t port = 0;
  return colon != absl::string_view::npos && colon > 0 && absl::SimpleAtoi(text.substr(colon + 1), &port) && port > 0 &&
         port <= kMaxPort;
}

std::string DefaultText(const Flag& flag) {
  const ServerFlags defaults;
  if (const auto* member = std::get_if<std::string ServerFlags::*>(&flag.member)) {
    return (defaults.**member).empty() ? "" : absl::StrCat(" [", defaults.**member, "]");
  }
  if (const auto* number = std::get_if<Number>(&flag.member)) return absl::StrCat(" [", defaults.*number->member, "]");
  return "";
}

}  // namespace

absl::StatusOr<ServerFlags> ParseFlags(std::span<const char* const> arguments) {
  ServerFlags flags;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const absl::string_view argument = arguments[i];
    const size_t equals = argument.find('=');
    const absl::string_view name = argument.substr(0, equals);
    const auto flag = std::find_if(Flags().begin(), Flags().end(),
                                   [&](const Flag& known) { return name == absl::StrCat("--", known.name); });
    if (flag == Flags().end()) {
      return absl::InvalidArgumentError(absl::StrCat("unknown argument \"", argument, "\"; see --help"));
    }
    if (const auto* member = std::get_if<bool ServerFlags::*>(&flag->member)) {
      if (equals != absl::string_view::npos) {
        return absl::InvalidArgumentError(absl::StrCat("--", flag->name, " takes no value"));
      }
      flags.** member = true;
    } else if (equals != absl::string_view::npos) {
      BITSTAGE_RETURN_IF_ERROR(Set(*flag, argument.substr(equals + 1), flags));
    } else if (i + 1 < arguments.size()) {
      BITSTAGE_RETURN_IF_ERROR(Set(*flag, arguments[++i], flags));
    } else {
      return absl::InvalidArgumentError(absl::StrCat("--", flag->name, " needs a value: ", flag->value));
    }
  }
  if (flags.model_repository.empty() && !flags.help && !flags.version) {
    return absl::InvalidArgumentError("--model-repository DIR is required; see --help");
  }
  if (!flags.next_stage.empty() && !IsAddress(flags.next_stage)) {
    return absl::InvalidArgumentError(absl::StrCat("--next-stage takes HOST:PORT, not \"", flags.next_stage, "\""));
  }
  if (const absl::Status status = ParseFrameCoding(flags.frame_coding).status(); !status.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("--frame-coding: ", status.message()));
  }
  return flags;
}

std::string FlagsHelp() {
  std::string help =
      "usage: bitstage-server --model-repository DIR [flags]\n\n"
      "Serves the low-bit image models of DIR over gRPC (Open Inference Protocol), with health checks, reflection and\n"
      "Prometheus metrics. Stops cleanly on SIGTERM and SIGINT.\n\n";
  for (const Flag& flag : Flags()) {
    const std::string left = absl::StrCat("--", flag.name, flag.value.empty() ? "" : " ", flag.value);
    absl::StrAppendFormat(&help, "  %-26s %s%s\n", left, flag.help, DefaultText(flag));
  }
  absl::StrAppend(
      &help, "\nThe environment variable BITSTAGE_ISA forces an instruction set: reference, avx2, avx512_vnni, amx.\n");
  return help;
}

}  // namespace bitstage::server
