#include "server/scheduling/work_queue.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace bitstage::server {
namespace {

// Outside the lock: a job that is dropped may answer its client.
void DropAll(const std::vector<std::pair<Job*, absl::Status>>& dead) {
  for (const auto& [job, reason] : dead) job->Drop(reason);
}

}  // namespace

WorkQueue::Lane& WorkQueue::LaneOf(const std::string& name) {
  const auto found = std::find_if(lanes_.begin(), lanes_.end(), [&](const Lane& lane) { return lane.name == name; });
  if (found != lanes_.end()) return *found;
  Lane& lane = lanes_.emplace_back();
  lane.name = name;
  return lane;
}

void WorkQueue::Report(const Lane& lane) {
  if (observer_) observer_(lane.name, static_cast<int64_t>(lane.jobs.size()), lane.bytes);
}

void WorkQueue::Sweep(Lane& lane, Dead& dead) {
  std::deque<Job*> live;
  for (Job* job : lane.jobs) {
    absl::Status status = job->state()->Check();
    if (status.ok()) {
      live.push_back(job);
    } else {
      lane.bytes -= job->bytes();
      dead.emplace_back(job, std::move(status));
    }
  }
  lane.jobs = std::move(live);
}

absl::Status WorkQueue::Push(Job* job) {
  Dead dead;
  absl::Status refusal;
  {
    const MutexLock lock(mutex_);
    if (!closed_.ok()) return closed_;
    Lane& lane = LaneOf(job->lane());
    const auto full = [&] {
      return static_cast<int64_t>(lane.jobs.size()) >= limits_.requests || lane.bytes > limits_.bytes - job->bytes();
    };
    if (full()) Sweep(lane, dead);
    if (full()) {
      refusal = absl::ResourceExhaustedError(absl::StrCat(
          "the queue is full: ", lane.jobs.size(), " requests of ", lane.bytes, " bytes wait, at most ",
          limits_.requests, " requests and ", limits_.bytes, " bytes may; this request has ", job->bytes(), " bytes"));
    } else {
      lane.jobs.push_back(job);
      lane.bytes += job->bytes();
      filled_.NotifyOne();
    }
    Report(lane);
    if (lane.jobs.empty()) lanes_.remove_if([&](const Lane& other) { return &other == &lane; });
  }
  DropAll(dead);
  return refusal;
}

Job* WorkQueue::TakeLive(Dead& dead) {
  while (!lanes_.empty()) {
    Lane& lane = lanes_.front();
    Job* job = lane.jobs.front();
    lane.jobs.pop_front();
    lane.bytes -= job->bytes();
    Report(lane);
    if (lane.jobs.empty()) {
      lanes_.pop_front();
    } else {
      lanes_.splice(lanes_.end(), lanes_, lanes_.begin());
    }
    absl::Status status = job->state()->Check();
    if (status.ok()) return job;
    dead.emplace_back(job, std::move(status));
  }
  return nullptr;
}

Job* WorkQueue::Pop() {
  while (true) {
    Dead dead;
    Job* job = nullptr;
    {
      const MutexLock lock(mutex_);
      while (lanes_.empty() && closed_.ok()) filled_.Wait(mutex_);
      if (!closed_.ok()) return nullptr;
      job = TakeLive(dead);
    }
    DropAll(dead);
    if (job != nullptr) return job;
  }
}

void WorkQueue::Close(const absl::Status& reason) {
  Dead dead;
  {
    const MutexLock lock(mutex_);
    if (closed_.ok()) closed_ = reason;
    for (Lane& lane : lanes_) {
      for (Job* job : lane.jobs) dead.emplace_back(job, reason);
      lane.jobs.clear();
      lane.bytes = 0;
      Report(lane);
    }
    lanes_.clear();
    filled_.NotifyAll();
  }
  DropAll(dead);
}

}  // namespace bitstage::server
