// HealthBoard: who serves and who does not, and who wants to know. The one source of every readiness answer.
//
//   board.Set("", Health::kServing);
//   const HealthBoard::Token token = board.Subscribe("resnet", [](std::optional<Health> health) { … });
//
// Thread-safe. Listeners are called one at a time, under the board's lock: they must be quick and not call back.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "engine/base/mutex.h"

namespace bitstage::server {

enum class Health : uint8_t { kServing, kNotServing };

class HealthBoard {
 public:
  // Told the health of a name, nullopt while the board does not know it.
  using Listener = std::function<void(std::optional<Health>)>;
  using Token = uint64_t;

  void Set(const std::string& name, Health health);

  // Everything is NOT_SERVING from now on, whatever Set says.
  void Drain();

  [[nodiscard]] std::optional<Health> Get(absl::string_view name) const;
  [[nodiscard]] bool IsServing(absl::string_view name) const { return Get(name) == Health::kServing; }

  // Calls `listener` at once with the present health, then at every change until Unsubscribe has returned.
  Token Subscribe(std::string name, Listener listener);
  void Unsubscribe(Token token);

 private:
  struct Subscriber {
    std::string name;
    Listener listener;
  };
  std::optional<Health> Look(absl::string_view name) const BITSTAGE_REQUIRES(mutex_);

  mutable Mutex mutex_;
  bool draining_ BITSTAGE_GUARDED_BY(mutex_) = false;
  std::map<std::string, Health, std::less<>> health_ BITSTAGE_GUARDED_BY(mutex_);
  std::map<Token, Subscriber> subscribers_ BITSTAGE_GUARDED_BY(mutex_);
  Token next_token_ BITSTAGE_GUARDED_BY(mutex_) = 0;
};

}  // namespace bitstage::server
