// How much the object tier holds, and what goes when it may hold no more. Without limits it only counts what
// this process changed, corrected by every complete listing during which nothing changed. With limits, a put
// first reserves its bytes; if they do not fit, chunks are listed and the longest unused removed, pinned ones
// never. The oldest kMaxEvictionCandidates of a listing are kept, so that one listing serves many puts; each
// is looked at again before it goes. Thread-safe: one thread at a time evicts or removes; counts are readable
// meanwhile.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <mutex>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/cancellation.h"
#include "common/kv/chunk_key.h"
#include "common/store/chunk_store.h"
#include "common/store/object/object_client.h"
#include "common/store/object/object_pins.h"

namespace cacheclip {

inline constexpr size_t kMaxEvictionCandidates = 4096;

struct ObjectLimits {
  int64_t max_bytes = std::numeric_limits<int64_t>::max();
  int64_t max_objects = std::numeric_limits<int64_t>::max();
};

class ObjectBudget {
 public:
  struct Usage {
    int64_t bytes = 0;
    int64_t objects = 0;
  };

  ObjectBudget(ObjectClient* client, ObjectPins* pins, ObjectLimits limits);  // both outlive it

  // Makes room for one more chunk. RESOURCE_EXHAUSTED: what is not pinned would not make enough. False:
  // another thread was putting the same chunk and has ended: look again. After true exactly one of the two
  // below.
  absl::StatusOr<bool> Reserve(const ChunkKey& key, int64_t bytes, const CancellationToken& token);
  void Commit(const ChunkKey& key);  // it is visible
  void Cancel(const ChunkKey& key);  // it is not, or was there before

  // Deletes the chunk and its pins. OK also when it is not there.
  absl::Status Remove(const ChunkKey& key, const CancellationToken& token);

  // Calls `visitor` for every chunk and sets the counts right.
  absl::Status ForEach(const ChunkStore::Visitor& visitor, const CancellationToken& token);

  bool Fits(int64_t bytes) const;  // without an eviction
  Usage usage() const;             // with what is reserved
  int64_t evictions() const;

 private:
  using ObjectVisitor = std::function<void(const ChunkKey& key, const ObjectInfo& info)>;

  struct Put {
    int64_t bytes = 0;
    bool was_listed = false;  // seen by a listing, which leaves the counting to Commit() or Cancel()
  };

  bool IsLimited() const;
  absl::Status MakeRoom(int64_t bytes, const CancellationToken& token);
  // Evicting, and removing where there are limits, is done by one thread at a time, which waits for the place
  // meanwhile; others wait for their turn no longer than their token allows.
  absl::Status TakeTurn(const CancellationToken& token);
  void EndTurn();
  absl::StatusOr<bool> WaitForPut(const ChunkKey& key, const CancellationToken& token);
  void EndPut(const ChunkKey& key, bool is_visible);
  absl::Status ListChunks(const ObjectVisitor& visitor, const CancellationToken& token);
  absl::Status FindCandidates(const CancellationToken& token);
  absl::Status EvictOne(const CancellationToken& token);
  absl::Status RemoveObject(const ChunkKey& key, const CancellationToken& token);
  void AddToHeld(int64_t bytes, int64_t objects);
  int64_t NumChanges() const;

  ObjectClient& client_;
  ObjectPins& pins_;
  const ObjectLimits limits_;

  std::mutex change_mutex_;            // held by who evicts or removes, also while waiting for the place
  bool is_counted_ = false;            // whether a listing has been counted
  std::deque<ObjectInfo> candidates_;  // longest unused first

  mutable std::mutex count_mutex_;
  std::condition_variable changed_;  // a put or a turn has ended
  bool is_turn_taken_ = false;
  absl::flat_hash_map<ChunkKey, Put> puts_;  // under way
  Usage held_;                               // without those
  Usage reserved_;                           // for those
  int64_t num_changes_ = 0;                  // of held_
  int64_t evictions_ = 0;
};

}  // namespace cacheclip
