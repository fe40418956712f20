// How the two ends of a stage stream notice that the other is gone without a word.
#pragma once

namespace bitstage::server {

// The sender pings a connection this often, and gives up on it where no answer comes.
inline constexpr int kKeepaliveMilliseconds = 10'000;
inline constexpr int kKeepaliveTimeoutMilliseconds = 5'000;
// The receiver takes more frequent pings for abuse.
inline constexpr int kLeastPingMilliseconds = 5'000;

}  // namespace bitstage::server
