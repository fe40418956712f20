// StageStream: one stream to the next stage, from its start to its end. What StageLink needs of gRPC, and no more, so
// that it is tested without sockets.
#pragma once

#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "proto/stage.pb.h"

namespace bitstage::server {

class StageStream {
 public:
  // Called one at a time, on any thread, only between Start and the end of OnEnd; may Write and Cancel.
  class Listener {
   public:
    virtual ~Listener() = default;
    virtual void OnResponse(v1::StageResponse response) = 0;
    // The last call. Why the stream ended; may be OK.
    virtual void OnEnd(const absl::Status& status) = 0;
    // Asked before a request leaves: false drops it, because nobody waits for its answer any more.
    virtual bool IsWanted(const v1::StageRequest& request) = 0;
  };

  virtual ~StageStream() = default;

  // Once. OnEnd follows, whatever happens.
  virtual void Start() = 0;
  // In order, never blocks. Nothing happens after the stream's end. Thread-safe.
  virtual void Write(v1::StageRequest request) = 0;
  // Ends the stream soon. Thread-safe.
  virtual void Cancel() = 0;
};

// Makes a stream that is not started. The listener outlives OnEnd.
using StageStreamFactory = std::function<std::shared_ptr<StageStream>(StageStream::Listener* listener)>;

// Over gRPC without encryption to `address`, HOST:PORT. Every stream has a connection of its own, whose silent death is
// noticed within about 15 seconds.
StageStreamFactory GrpcStageStreams(const std::string& address);

}  // namespace bitstage::server
