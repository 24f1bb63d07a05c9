// How far a chunk has come in from a remote tier. The writer (the tier's fetching thread) fills the chunk's
// image front to back and publishes each layer once its checksums hold; readers wait for the layer they need
// next, so that layer 0 is usable while layer 20 is in flight. Ends once: with all layers there, or failed. A
// reader that no longer wants the chunk says so with Abandon(); when no reader is left the writer stops at
// its next step. Thread-safe; shared by writer and readers.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace cacheclip {

class ChunkArrival {
 public:
  explicit ChunkArrival(int32_t num_layers) : num_layers_(num_layers) {}

  // Returns once layers 0 … `layer` are there and checked. The writer's error (DATA_LOSS, UNAVAILABLE, …) if
  // the layer will not come, DEADLINE_EXCEEDED if it has not come by `deadline`. A layer that is there stays
  // readable after a failure further back.
  absl::Status WaitForLayer(int32_t layer, absl::Time deadline) const;
  absl::Status WaitForAll(absl::Time deadline) const { return WaitForLayer(num_layers_ - 1, deadline); }

  // One more reader. False: nobody was left, the writer may have stopped; fetch the chunk anew.
  bool Share();
  // One reader less; the first one is counted from the start.
  void Abandon();

  // Calls `on_end` once: with OK when all layers are there, or with the error. At once if that has happened
  // already, else on the writer's thread, which must not be held up.
  using EndCallback = std::function<void(const absl::Status&)>;
  void OnEnd(EndCallback on_end);

  int32_t num_layers() const { return num_layers_; }
  int num_readers() const;

  // For the writer. Publish: layers below `num_layers` are there; never goes down.
  void Publish(int32_t num_layers);
  void Fail(const absl::Status& status);  // `status` is not OK; ignored after the last layer
  bool IsAbandoned() const;

 private:
  bool HasEnded() const { return num_published_ >= num_layers_ || !failure_.ok(); }  // with mutex_ held

  const int32_t num_layers_;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  int32_t num_published_ = 0;
  int num_readers_ = 1;
  absl::Status failure_;
  std::vector<EndCallback> on_end_;
};

}  // namespace cacheclip
