#include "server/pipeline/stage_boundary.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "engine/runtime/code_layout.h"
#include "server/observability/text.h"

namespace bitstage::server {
namespace {

absl::StatusOr<FrameBoundary> BoundaryAt(const Model& stage, const std::vector<ValueId>& ids, absl::string_view side) {
  if (ids.size() != 1 || !stage.graph.value(ids[0]).grid) {
    return absl::FailedPreconditionError(absl::StrCat("a stage passes on one value of codes; this one has ", ids.size(),
                                                      " ", side, "s",
                                                      ids.size() == 1 ? ", and its values are no codes" : ""));
  }
  const Value& value = stage.graph.value(ids[0]);
  const auto tables = stage.boundary_tables.find(value.name);
  return FrameBoundary::Create(value.name, CodeShape(value.shape), *value.grid,
                               tables == stage.boundary_tables.end() ? BoundaryTables() : tables->second);
}

std::string Describe(const v1::StageIdentity& identity) {
  return absl::StrCat("stage ", identity.stage(), " of model ", Quoted(identity.model()), ", pipeline ",
                      Quoted(identity.pipeline_id()), ", boundary ", Quoted(identity.boundary()), " ",
                      absl::StrFormat("%016x", identity.boundary_identity()));
}

}  // namespace

absl::StatusOr<FrameBoundary> InputBoundary(const Model& stage) {
  return BoundaryAt(stage, stage.graph.inputs, "input");
}

absl::StatusOr<FrameBoundary> OutputBoundary(const Model& stage) {
  return BoundaryAt(stage, stage.graph.outputs, "output");
}

v1::StageIdentity IdentityOf(absl::string_view model, const StageInfo& info, int index, const FrameBoundary& boundary) {
  v1::StageIdentity identity;
  identity.set_model(model.data(), model.size());
  identity.set_pipeline_id(info.pipeline_id);
  identity.set_stage(static_cast<uint32_t>(index));
  identity.set_boundary(boundary.name());
  identity.set_boundary_identity(boundary.identity());
  return identity;
}

absl::Status CheckIdentity(const v1::StageIdentity& expected, const v1::StageIdentity& found) {
  if (expected.model() == found.model() && expected.pipeline_id() == found.pipeline_id() &&
      expected.stage() == found.stage() && expected.boundary() == found.boundary() &&
      expected.boundary_identity() == found.boundary_identity()) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(
      absl::StrCat("the stage before expects ", Describe(expected), "; found ", Describe(found)));
}

}  // namespace bitstage::server
