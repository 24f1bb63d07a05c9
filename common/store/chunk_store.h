// Where encoded chunks are kept. One interface for every tier (memory, disk, remote, tiers on top of each
// other) and one contract for all of them (tests/support/chunk_store_contract.h):
//   * chunks are immutable and addressed by content; Put() of a key that is there changes nothing;
//   * a chunk is visible only when complete; a Put() that fails leaves nothing half-written behind;
//   * Get() never returns bytes whose checksums do not hold: such an object is deleted, counted, DATA_LOSS;
//   * byte and object budgets hold at every moment; the chunk used longest ago goes first, pinned ones never;
//   * a chunk that a reader holds stays readable after it was evicted or deleted.
// Callers compare the ids of a hit with CheckIdentity() (common/kv/chunk_header.h). Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/kv/chunk_key.h"
#include "common/kv/encoded_chunk.h"
#include "common/store/chunk_arrival.h"

namespace cacheclip {

// Who served a chunk; kComputed is never a store but what a miss ends in.
enum class Tier { kMemory, kDisk, kRedis, kObject, kComputed };
std::string_view TierName(Tier tier);  // "memory", "disk", "redis", "object", "computed"

class TierSet {
 public:
  TierSet() = default;
  TierSet(std::initializer_list<Tier> tiers) {
    for (const Tier tier : tiers) Add(tier);
  }
  void Add(Tier tier) { bits_ |= 1u << static_cast<int>(tier); }
  bool Contains(Tier tier) const { return (bits_ >> static_cast<int>(tier) & 1u) != 0; }
  bool IsWithin(TierSet other) const { return (bits_ & ~other.bits_) == 0; }
  bool empty() const { return bits_ == 0; }

 private:
  uint32_t bits_ = 0;
};

struct StoreHit {
  std::shared_ptr<const EncodedChunk> chunk;
  Tier tier = Tier::kMemory;
  // Null: every byte is there and checked. Else header, ids and shape are, and layer l may be read once
  // arrival->WaitForLayer(l) returned OK. Only given to callers that accept it.
  std::shared_ptr<ChunkArrival> arrival;
};

struct GetOptions {
  // When to give up with DEADLINE_EXCEEDED. Tiers without a network need not look at it.
  absl::Time deadline = absl::InfiniteFuture();
  // Whether a chunk may be returned whose layers are still coming in, in order from layer 0.
  bool accept_arriving = false;
  // Tiers of a stack that are not worth asking; what only they hold is NOT_FOUND. A single tier ignores it.
  TierSet avoid;
  // The quota group that a copy promoted into a faster tier is counted to.
  std::string_view group;
  bool changes_nothing = false;  // a look: no use noted, nothing promoted, nothing damaged deleted
  // A stack of tiers notes here which one it is asking, so that the caller knows who is late.
  std::atomic<Tier>* now_asking = nullptr;
};

struct StoreStats {
  static constexpr int64_t kUnknown = -1;  // bytes and objects of a tier that others change as well

  int64_t hits = 0, misses = 0;
  int64_t puts = 0;  // chunks added; repeated puts of a present key are not counted
  int64_t evictions = 0;
  int64_t corrupt = 0;        // objects found damaged and deleted
  int64_t rejected_puts = 0;  // refused: too large, everything pinned, disk full
  int64_t bytes = 0;          // now held, or kUnknown
  int64_t objects = 0;        // now held, or kUnknown
};

inline constexpr int64_t kMaxStorePinOwnerBytes = 128;
inline constexpr int64_t kMaxPinsPerChunk = 64;
inline constexpr absl::Duration kMaxPinDuration = absl::Hours(24 * 366);

class ChunkStore {
 public:
  virtual ~ChunkStore() = default;

  // NOT_FOUND is a miss. DATA_LOSS: the object was damaged and has been deleted; treat as a miss.
  // UNAVAILABLE: the tier cannot be reached; DEADLINE_EXCEEDED: it is late.
  virtual absl::StatusOr<StoreHit> Get(const ChunkKey& key, const GetOptions& options) = 0;
  absl::StatusOr<StoreHit> Get(const ChunkKey& key) { return Get(key, GetOptions{}); }

  // RESOURCE_EXHAUSTED: larger than the budget, everything else pinned, or the disk is full.
  virtual absl::Status Put(std::shared_ptr<const EncodedChunk> chunk) = 0;

  // The same, with the bytes counted to a quota group ("" = none). A group over its quota loses its own
  // oldest chunks first. Tiers without quotas ignore the group.
  virtual absl::Status PutInGroup(std::shared_ptr<const EncodedChunk> chunk, std::string_view /*group*/) {
    return Put(std::move(chunk));
  }

  // OK also when the key is not there. Deletes pinned chunks too, with their pins.
  virtual absl::Status Delete(const ChunkKey& key) = 0;

  // Says whether the key is held, without reading the payload and without counting as a use.
  virtual absl::StatusOr<bool> Contains(const ChunkKey& key) = 0;

  // Whether the chunk is held where it is kept: of a stack, in the slowest tier that is written; what another
  // tier alone holds is copied there first.
  virtual absl::StatusOr<bool> EnsureKept(const ChunkKey& key, std::string_view /*group*/) {
    return Contains(key);
  }

  // Counts as a use although the bytes were served from elsewhere: a faster tier tells the slower one, so
  // that what is hot in memory is not the first to go on disk. A hint; nothing happens without the key.
  virtual void MarkUsed(const ChunkKey& /*key*/) {}

  // Hint that these chunks will be asked for soon: a stack brings them into its fast tiers in the background,
  // as long as that is done by `deadline`. For embedding callers (docs/architecture.md says why).
  virtual void Prefetch(std::span<const ChunkKey> /*keys*/, absl::Time /*deadline*/) {}

  // Whether a chunk of this size could be put without an eviction.
  virtual bool HasRoomFor(int64_t /*bytes*/) const { return true; }

  // Evicts down to the low-water mark if the tier is above its high-water mark, so that puts find room.
  virtual void EvictToLowWater() {}

  // Keeps the chunk from eviction until `expiry` or Unpin(); the same owner pinning again replaces its
  // expiry. NOT_FOUND: no such chunk. INVALID_ARGUMENT: owner or expiry out of bounds. RESOURCE_EXHAUSTED:
  // too many owners.
  virtual absl::Status Pin(const ChunkKey& key, std::string_view owner, absl::Time expiry) = 0;
  virtual absl::Status Unpin(const ChunkKey& key, std::string_view owner) = 0;  // OK also when not pinned

  virtual StoreStats stats() const = 0;

  // Calls `visitor` for every chunk held when the call began; one that comes or goes meanwhile may be missed.
  using Visitor = std::function<void(const ChunkKey& key, int64_t bytes)>;
  virtual absl::Status ForEach(const Visitor& visitor) = 0;

  virtual std::string_view tier_name() const = 0;
};

// INVALID_ARGUMENT unless the owner is 1…kMaxStorePinOwnerBytes bytes and the expiry at most kMaxPinDuration
// away.
absl::Status ValidatePin(std::string_view owner, absl::Time expiry, absl::Time now);

}  // namespace cacheclip
