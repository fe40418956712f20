#include "server/services/health_board.h"

#include <utility>

namespace bitstage::server {

std::optional<Health> HealthBoard::Look(absl::string_view name) const {
  const auto found = health_.find(name);
  return found == health_.end() ? std::nullopt : std::optional(found->second);
}

void HealthBoard::Set(const std::string& name, Health health) {
  const MutexLock lock(mutex_);
  if (draining_) health = Health::kNotServing;
  if (Look(name) == health) return;
  health_[name] = health;
  for (const auto& [token, subscriber] : subscribers_) {
    if (subscriber.name == name) subscriber.listener(health);
  }
}

void HealthBoard::Drain() {
  const MutexLock lock(mutex_);
  draining_ = true;
  for (auto& [name, health] : health_) {
    if (std::exchange(health, Health::kNotServing) == Health::kNotServing) continue;
    for (const auto& [token, subscriber] : subscribers_) {
      if (subscriber.name == name) subscriber.listener(Health::kNotServing);
    }
  }
}

std::optional<Health> HealthBoard::Get(absl::string_view name) const {
  const MutexLock lock(mutex_);
  return Look(name);
}

HealthBoard::Token HealthBoard::Subscribe(std::string name, Listener listener) {
  const MutexLock lock(mutex_);
  listener(Look(name));
  subscribers_[next_token_] = {std::move(name), std::move(listener)};
  return next_token_++;
}

void HealthBoard::Unsubscribe(Token token) {
  const MutexLock lock(mutex_);
  subscribers_.erase(token);
}

}  // namespace bitstage::server
