// One chunk on its way in from an object: the front of the object is read and checked (Open), then the rest
// in ranges of whole slices that several threads read at once (ReadRanges), each straight into its place in
// the image. Layers are published in order as their checksums hold. Bytes that do not hold are read once
// more: what the network broke is not the object's fault. Open() once, then ReadRanges() from any number of
// threads; waiters may come and go. Ends once, with everything there or failed.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/cancellation.h"
#include "common/store/object/object_client.h"
#include "common/store/remote/chunk_assembler.h"

namespace cacheclip {

struct ObjectFetchOptions {
  int64_t max_chunk_bytes = 0;
  int64_t first_read_bytes = 0;
  int64_t range_bytes = 0;
  // Called with the image's size before it is allocated; a refusal ends the fetch. `release` when it ended.
  std::function<absl::Status(int64_t bytes)> reserve;
  std::function<void(int64_t bytes)> release;
  std::function<void(const absl::Status& reason)> on_damaged;  // the object is no intact chunk of this key
  bool notes_use = true;
};

class ObjectFetch {
 public:
  // `client` outlives the fetch; `deadline` is in the time of `clock`; `is_stopping` ends it early.
  ObjectFetch(ObjectClient* client, const ChunkKey& key, absl::Time deadline, Clock* clock,
              std::function<bool()> is_stopping, ObjectFetchOptions options);
  ~ObjectFetch();

  void Open();        // on a fetching thread
  void ReadRanges();  // on fetching threads; returns when no range is left to take, or the fetch failed
  void Fail(const absl::Status& status);

  // After Open(): how many ranges there are to read; 0 when it failed or everything is there.
  int num_ranges() const { return static_cast<int>(ranges_.size()); }

  struct Opened {
    std::shared_ptr<const EncodedChunk> chunk;
    std::shared_ptr<ChunkArrival> arrival;
  };
  // Waits for Open() until `deadline` (real time); then gives up and cancels the fetch.
  absl::StatusOr<Opened> WaitForHeader(absl::Time deadline);

 private:
  struct Range {
    size_t begin = 0, end = 0;  // slices
    bool is_done = false;
  };

  bool IsCancelled() const;
  absl::Status OpenOnce();
  absl::Status TakeFront(std::span<const std::byte> front);
  void PlanRanges(size_t first_slice);
  absl::Status ReadRange(const Range& range);
  bool HoldsChecksums(const Range& range) const;
  bool TakeRange(size_t& index);
  void FinishRange(size_t index);
  void End(const absl::Status& status);  // with mutex_ not held

  ObjectClient& client_;
  const ChunkKey key_;
  const std::string name_;
  const std::function<bool()> is_stopping_;
  const ObjectFetchOptions options_;
  CancellationToken token_;

  std::unique_ptr<ChunkAssembler> assembler_;
  std::vector<Range> ranges_;  // fixed by Open(); is_done under mutex_

  mutable std::mutex mutex_;
  std::condition_variable opened_;
  bool is_opened_ = false, is_given_up_ = false, is_ending_ = false, has_ended_ = false;
  absl::Status failure_;
  size_t next_range_ = 0, num_finished_ranges_ = 0;
  int64_t reserved_bytes_ = 0;
};

}  // namespace cacheclip
