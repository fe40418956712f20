#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "clients/commands.h"
#include "engine/base/status_macros.h"
#include "engine/base/table.h"

namespace bitstage::client {
namespace {

std::string Tensors(const google::protobuf::RepeatedPtrField<inference::ModelMetadataResponse::TensorMetadata>& list) {
  return absl::StrJoin(list, ", ", [](std::string* out, const auto& tensor) {
    absl::StrAppend(out, tensor.name(), " ", tensor.datatype(), " [", absl::StrJoin(tensor.shape(), ","), "]");
  });
}

}  // namespace

absl::Status RunStatus(const Connection& connection, const Arguments& arguments) {
  BITSTAGE_ASSIGN_OR_RETURN(const auto server, connection.ServerMetadata());
  BITSTAGE_ASSIGN_OR_RETURN(const bool ready, connection.ServerReady());
  BITSTAGE_ASSIGN_OR_RETURN(const auto index, connection.RepositoryIndex());
  std::cout << server.name() << ' ' << server.version() << " at " << connection.address() << ": "
            << (ready ? "ready" : "not ready") << '\n';
  Table table({{"model"}, {"version", Align::kRight}, {"state"}, {"inputs"}, {"outputs"}});
  for (const auto& model : index.models()) {
    if (arguments.Has("model") && model.name() != arguments.Get("model")) continue;
    std::string inputs = model.reason();
    std::string outputs;
    if (model.state() == "READY") {
      BITSTAGE_ASSIGN_OR_RETURN(const auto metadata, connection.ModelMetadata(model.name()));
      inputs = Tensors(metadata.inputs());
      outputs = Tensors(metadata.outputs());
    }
    table.AddRow({model.name(), model.version(), model.state(), inputs, outputs});
  }
  table.Print(std::cout, /*bold=*/false);
  return absl::OkStatus();
}

}  // namespace bitstage::client
