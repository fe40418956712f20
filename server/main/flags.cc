#include "server/main/flags.h"

#include <limits>
#include <variant>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "engine/base/flags.h"
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

struct ServerFlag {
  Flag flag;
  Member member;
};

constexpr int64_t kMaxPort = 65535;
constexpr int64_t kMaxInt = std::numeric_limits<int>::max();
constexpr int64_t kMaxThreads = 1024;

const std::vector<ServerFlag>& Flags() {
  static const auto& flags = *new std::vector<ServerFlag>{
      {{.name = "model-repository",
        .value = "DIR",
        .help = "folder of models: DIR/NAME/VERSION/model.bitstage (required)"},
       &ServerFlags::model_repository},
      {{.name = "host", .value = "ADDRESS", .help = "address to listen on"}, &ServerFlags::host},
      {{.name = "grpc-port",
        .value = "N",
        .help = "port of the inference and health services; 0: the system chooses, the log says which"},
       Number{&ServerFlags::grpc_port, 0, kMaxPort}},
      {{.name = "metrics-port", .value = "N", .help = "port of http://ADDRESS:N/metrics; 0: the system chooses"},
       Number{&ServerFlags::metrics_port, 0, kMaxPort}},
      {{.name = "max-batch", .value = "N", .help = "most images in one request"},
       Number{&ServerFlags::max_batch, 1, 4096}},
      {{.name = "workers", .value = "N", .help = "requests that run at once; 0: as many as CPUs are available"},
       Number{&ServerFlags::workers, 0, kMaxThreads}},
      {{.name = "threads",
        .value = "N",
        .help = "threads that share one request when the server is not busy; 0: as many as CPUs are available"},
       Number{&ServerFlags::threads, 0, kMaxThreads}},
      {{.name = "queue-size",
        .value = "N",
        .help = "requests of one model that may wait; more are refused with RESOURCE_EXHAUSTED"},
       Number{&ServerFlags::queue_size, 1, kMaxInt}},
      {{.name = "queue-bytes", .value = "N", .help = "bytes of the requests of one model that may wait"},
       Number{&ServerFlags::queue_bytes, 1, std::numeric_limits<int64_t>::max()}},
      {{.name = "max-message-bytes", .value = "N", .help = "largest request"},
       Number{&ServerFlags::max_message_bytes, 1024, kMaxInt}},
      {{.name = "stage", .help = "serve later stages of pipelines (bitstage-model partition) to the stages before"},
       &ServerFlags::stage},
      {{.name = "next-stage", .value = "HOST:PORT", .help = "where the stages behind those of this server are served"},
       &ServerFlags::next_stage},
      {{.name = "frame-coding",
        .value = "NAME",
        .help = "of the activations sent there: preferred (as the model file says), stored, plain, inline, contexts or "
                "split"},
       &ServerFlags::frame_coding},
      {{.name = "drain-delay-ms",
        .value = "N",
        .help =
            "after SIGTERM: serve on for so long while saying \"not ready\", so that load balancers turn away first"},
       Number{&ServerFlags::drain_delay_ms, 0, kMaxInt}},
      {{.name = "shutdown-grace-ms", .value = "N", .help = "after the drain delay: time for requests under way to end"},
       Number{&ServerFlags::shutdown_grace_ms, 0, kMaxInt}},
      {{.name = "version", .help = "print the version and exit"}, &ServerFlags::version},
      {{.name = "help", .help = "print this and exit"}, &ServerFlags::help},
  };
  return flags;
}

absl::Status Set(const ServerFlag& entry, const Arguments& arguments, ServerFlags& flags) {
  const absl::string_view name = entry.flag.name;
  if (const auto* text = std::get_if<std::string ServerFlags::*>(&entry.member)) {
    flags.** text = arguments.Get(name, flags.**text);
  } else if (const auto* number = std::get_if<Number>(&entry.member)) {
    int64_t& value = flags.*number->member;
    BITSTAGE_ASSIGN_OR_RETURN(value, arguments.Int(name, value, number->low, number->high));
  } else {
    flags.*std::get<bool ServerFlags::*>(entry.member) = arguments.Has(name);
  }
  return absl::OkStatus();
}

// HOST:PORT, where the host may be an IPv6 address in brackets.
bool IsAddress(absl::string_view text) {
  const size_t colon = text.rfind(':');
  int64_t port = 0;
  return colon != absl::string_view::npos && colon > 0 && absl::SimpleAtoi(text.substr(colon + 1), &port) && port > 0 &&
         port <= kMaxPort;
}

std::string DefaultText(const ServerFlag& flag) {
  const ServerFlags defaults;
  if (const auto* member = std::get_if<std::string ServerFlags::*>(&flag.member)) {
    return (defaults.**member).empty() ? "" : absl::StrCat(" [", defaults.**member, "]");
  }
  if (const auto* number = std::get_if<Number>(&flag.member)) return absl::StrCat(" [", defaults.*number->member, "]");
  return "";
}

}  // namespace

absl::StatusOr<ServerFlags> ParseFlags(std::span<const std::string> words) {
  std::vector<Flag> known;
  for (const ServerFlag& entry : Flags()) known.push_back(entry.flag);
  BITSTAGE_ASSIGN_OR_RETURN(const Arguments arguments, Arguments::Parse(known, words));
  if (!arguments.positional().empty()) {
    return UsageError(absl::StrCat("\"", arguments.positional()[0], "\" is no flag"));
  }
  ServerFlags flags;
  for (const ServerFlag& entry : Flags()) BITSTAGE_RETURN_IF_ERROR(Set(entry, arguments, flags));
  if (flags.model_repository.empty() && !flags.help && !flags.version) {
    return UsageError("--model-repository DIR is missing");
  }
  if (!flags.next_stage.empty() && !IsAddress(flags.next_stage)) {
    return UsageError(absl::StrCat("--next-stage takes HOST:PORT, not \"", flags.next_stage, "\""));
  }
  if (const absl::Status status = ParseFrameCoding(flags.frame_coding).status(); !status.ok()) {
    return UsageError(absl::StrCat("--frame-coding: ", status.message()));
  }
  return flags;
}

std::string FlagsHelp() {
  std::string help =
      "usage: bitstage-server --model-repository DIR [flags]\n\n"
      "Serves the low-bit image models of DIR over gRPC (Open Inference Protocol), with health checks, reflection and\n"
      "Prometheus metrics. Stops cleanly on SIGTERM and SIGINT.\n\n";
  for (const ServerFlag& entry : Flags()) {
    const Flag& flag = entry.flag;
    const std::string left = absl::StrCat("--", flag.name, flag.value.empty() ? "" : " ", flag.value);
    absl::StrAppendFormat(&help, "  %-26s %s%s\n", left, flag.help, DefaultText(entry));
  }
  absl::StrAppend(
      &help, "\nThe environment variable BITSTAGE_ISA forces an instruction set: reference, avx2, avx512_vnni, amx.\n");
  return help;
}

}  // namespace bitstage::server
