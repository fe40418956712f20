#include "server/pipeline/topology.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "server/observability/text.h"
#include "server/pipeline/stage_boundary.h"

namespace bitstage::server {
namespace {

absl::Status NeedsFlag(const ServedModel& model, const StageInfo& info, absl::string_view flag) {
  return absl::FailedPreconditionError(absl::StrCat("model ", Quoted(model.interface().name), " is stage ", info.index,
                                                    " of ", info.count, " (counted from 0): start the server with ",
                                                    flag));
}

}  // namespace

absl::Status Topology::Admit(const ServedModel& served) {
  const Model& model = served.executable().model();
  if (!model.stage || model.stage->count < 2) return absl::OkStatus();
  const ModelInterface& interface = served.interface();
  auto role = std::make_shared<StageRole>();
  role->info = *model.stage;
  role->metrics = &metrics_.ForStage(interface.name);
  if (role->info.index > 0) {
    if (!options_.takes_frames) return NeedsFlag(served, role->info, "--stage");
    BITSTAGE_ASSIGN_OR_RETURN(role->input, InputBoundary(model));
  }
  if (role->info.index + 1 < role->info.count) {
    if (options_.next_stage.empty()) return NeedsFlag(served, role->info, "--next-stage HOST:PORT");
    BITSTAGE_ASSIGN_OR_RETURN(FrameBoundary output, OutputBoundary(model));
    StageLink::Options link{.address = options_.next_stage,
                            .next = IdentityOf(interface.name, role->info, role->info.index + 1, output),
                            .interface = interface,
                            .limits = options_.limits,
                            .coding = options_.frame_coding};
    role->next = std::make_shared<StageLink>(
        std::move(link), std::move(output), GrpcStageStreams(options_.next_stage), clock_, *role->metrics,
        [this, name = interface.name](const absl::Status& state) { observer_(name, state); });
  }
  const MutexLock lock(mutex_);
  roles_[{interface.name, interface.version}] = std::move(role);
  return absl::OkStatus();
}

void Topology::Remove(const std::string& name, int64_t version) {
  std::shared_ptr<const StageRole> role;
  {
    const MutexLock lock(mutex_);
    const auto found = roles_.find({name, std::to_string(version)});
    if (found == roles_.end()) return;
    role = std::move(found->second);
    roles_.erase(found);
  }
  if (role->next != nullptr) role->next->Stop();
}

std::shared_ptr<const StageRole> Topology::RoleOf(const ServedModel& model) const {
  const MutexLock lock(mutex_);
  const auto found = roles_.find({model.interface().name, model.interface().version});
  return found == roles_.end() ? nullptr : found->second;
}

absl::StatusOr<Offer> Topology::OfferOf(std::shared_ptr<ServedModel> model) const {
  const ModelInterface* own = &model->interface();
  const std::shared_ptr<const StageRole> role = RoleOf(*model);
  if (role == nullptr) return Offer{model, std::shared_ptr<const ModelInterface>(model, own), nullptr};
  if (role->info.index > 0) {
    return absl::NotFoundError(absl::StrCat("Request for unknown model: ", Quoted(own->name),
                                            " is not found: here is its stage ", role->info.index, " of ",
                                            role->info.count, ", clients ask the server of stage 0"));
  }
  BITSTAGE_ASSIGN_OR_RETURN(const std::shared_ptr<const PipelineEnd> end, role->next->End());
  return Offer{std::move(model), std::shared_ptr<const ModelInterface>(end, &end->interface), role->next};
}

bool Topology::IsComplete(const std::string& name) const {
  const MutexLock lock(mutex_);
  return std::all_of(roles_.begin(), roles_.end(), [&](const auto& entry) {
    const auto& [key, role] = entry;
    return key.first != name || role->next == nullptr || role->next->End().ok();
  });
}

void Topology::Stop() {
  std::map<Key, std::shared_ptr<const StageRole>> roles;
  {
    const MutexLock lock(mutex_);
    roles = roles_;
  }
  for (const auto& [key, role] : roles) {
    if (role->next != nullptr) role->next->Stop();
  }
}

}  // namespace bitstage::server
