// What a stage's model file says about its two boundaries, and who may talk over them.
#pragma once

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "engine/codec/boundary.h"
#include "engine/graph/model.h"
#include "proto/stage.pb.h"

namespace bitstage::server {

// Of a stage's only input, or output. FAILED_PRECONDITION where there is not exactly one, or no grid on it.
absl::StatusOr<FrameBoundary> InputBoundary(const Model& stage);
absl::StatusOr<FrameBoundary> OutputBoundary(const Model& stage);

// The stage that `info` with `index` names, called `model`, as what receives the frames of `boundary`.
v1::StageIdentity IdentityOf(absl::string_view model, const StageInfo& info, int index, const FrameBoundary& boundary);

// FAILED_PRECONDITION naming both and what differs, unless they are the same stage. `expected` is the caller's.
absl::Status CheckIdentity(const v1::StageIdentity& expected, const v1::StageIdentity& found);

}  // namespace bitstage::server
