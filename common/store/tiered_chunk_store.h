// Tiers on top of each other, fastest first: memory, disk, Redis, object store, or any part of that.
//   * Get() asks tier after tier; one caller fetches, the others share (common/store/single_flight.h). A tier
//     that fails or is late is recorded, left alone for a while and the next one asked.
//   * A chunk served from a slower tier is promoted into faster ones: always where it fits, into a full tier
//     only on its second use, so that a scan of chunks used once does not flush what is hot (ADR 0010). The
//     first tier gets it at once, the others in the background; what is still arriving, when it is complete.
//     Local tiers never wait for remote ones; a remote one that is left alone or avoided gets no copy.
//   * Put() writes local tiers, then remote ones as the write mode says. The answer of the slowest tier that
//     is written counts: it is the one that must not lose the chunk; a faster one that refuses costs time.
//   * Delete() holds on every tier when it returns OK. A tier that cannot be told leaves an error and a
//     tombstone: the chunk is not served from it until the deletion could be repeated.
//   * Pins are set where the chunk lies, except in the first of several tiers.
// Thread-safe. max_in_flight_bytes bounds the bytes under way, of loads and of work on each kind of tier.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/store/background_queue.h"
#include "common/store/chunk_store.h"
#include "common/store/recent_keys.h"
#include "common/store/single_flight.h"
#include "common/store/tier_monitor.h"
#include "common/store/tombstones.h"
#include "common/store/write_back_queue.h"

namespace cacheclip {

struct StoreTier {
  std::shared_ptr<ChunkStore> store;
  Tier tier = Tier::kMemory;  // named in hits and reports
  bool is_remote = false;     // shared with others, behind a network
};

// How remote tiers learn of new chunks: before Put() returns; later, from a queue that survives a restart (a
// full one writes through); never.
enum class WriteMode { kThrough, kBack, kNone };

struct TieredChunkStoreOptions {
  WriteMode write_mode = WriteMode::kThrough;
  WriteBackOptions write_back;                       // kBack; needs a local tier that survives a restart
  absl::Duration remote_timeout = absl::Seconds(2);  // one remote tier's share of a Get()
  absl::Duration remote_use_interval = absl::Minutes(10);  // between two news of local hits to remote tiers
  int64_t max_in_flight_bytes = int64_t{256} << 20;
  int64_t max_recent_keys = 65536;   // remembered to tell a second use from a first
  bool admit_first_use = false;      // into full tiers too: plain LRU, for a working set that keeps changing
  const Clock* clock = RealClock();  // outlives the stack and the arrivals it gave
};

class TieredChunkStore : public ChunkStore {
 public:
  // INVALID_ARGUMENT: no tiers, a local tier behind a remote one. Errors of the write-back journal.
  static absl::StatusOr<std::unique_ptr<TieredChunkStore>> Open(std::vector<StoreTier> tiers,
                                                                TieredChunkStoreOptions options = {});
  ~TieredChunkStore() override;

  using ChunkStore::Get;
  absl::StatusOr<StoreHit> Get(const ChunkKey& key, const GetOptions& options) override;
  absl::Status Put(std::shared_ptr<const EncodedChunk> chunk) override { return PutInGroup(chunk, ""); }
  absl::Status PutInGroup(std::shared_ptr<const EncodedChunk> chunk, std::string_view group) override;
  absl::Status Delete(const ChunkKey& key) override;
  absl::StatusOr<bool> Contains(const ChunkKey& key) override;
  absl::StatusOr<bool> EnsureKept(const ChunkKey& key, std::string_view group) override;
  void MarkUsed(const ChunkKey& key) override;
  void Prefetch(std::span<const ChunkKey> keys, absl::Time deadline) override;
  absl::Status Pin(const ChunkKey& key, std::string_view owner, absl::Time expiry) override;
  absl::Status Unpin(const ChunkKey& key, std::string_view owner) override;
  // Requests to the stack; damaged chunks of all tiers; else of the home tier (the slowest one written).
  StoreStats stats() const override;
  absl::Status ForEach(const Visitor& visitor) override;  // what the home tier holds
  std::string_view tier_name() const override { return "tiered"; }

  std::vector<TierReport> tier_reports() const;  // fastest first
  WriteBackStats write_back_stats() const;       // zeros unless kBack
  ChunkStore& tier(size_t index) { return *tiers_[index].store; }
  WriteBackQueue* write_back() { return write_back_.get(); }  // null unless kBack
  int64_t peak_in_flight_bytes() const;
  int64_t num_waiting() const { return flights_.num_waiting(); }
  void WaitUntilIdle();  // until promotions and prefetches asked for so far are done; for tests and shutdown

 private:
  TieredChunkStore(std::vector<StoreTier> tiers, TieredChunkStoreOptions options);

  // Reads: tiered_chunk_store.cc.
  absl::StatusOr<StoreHit> Fetch(const ChunkKey& key, const GetOptions& options, absl::Status problem);
  absl::StatusOr<StoreHit> Ask(size_t index, const ChunkKey& key, const GetOptions& options);
  bool IsUsable(size_t index, const ChunkKey& key, const GetOptions& options) const;
  void RecordArrival(size_t index, const StoreHit& hit, absl::Time begin);
  void NoteUse(const ChunkKey& key, size_t served_by);

  // Copies between tiers: tiered_promotion.cc.
  struct Promotion;
  void Promote(StoreHit& hit, size_t from, const GetOptions& options, int64_t deletions);
  void PromoteMapped(StoreHit& hit, Promotion promotion, absl::Time deadline);
  void PromoteInto(const Promotion& promotion, size_t begin, size_t end);
  bool Admits(size_t index, const Promotion& promotion) const;
  bool AcquireInFlight(int64_t bytes, absl::Time deadline);
  void ReleaseInFlight(int64_t bytes);
  void ScheduleEviction();

  // Writes: tiered_writes.cc.
  absl::Status PutLocal(const std::shared_ptr<const EncodedChunk>& chunk, std::string_view group);
  absl::Status PutRemote(const std::shared_ptr<const EncodedChunk>& chunk, std::string_view group);
  absl::Status PutInto(size_t index, const std::shared_ptr<const EncodedChunk>& chunk,
                       std::string_view group);
  absl::Status QueueWriteBack(const EncodedChunk& chunk);
  absl::Status WriteBack(const ChunkKey& key);
  absl::Status DeleteFrom(size_t begin, size_t end, const ChunkKey& key);
  void RepeatDeletions(size_t index);

  bool HasRemoteWrites() const;
  size_t home() const;  // index of the slowest tier that is written
  TierMonitor& monitor(size_t index) const { return *monitors_[index]; }
  static constexpr size_t kStripes = 256;  // by the key's first byte
  std::mutex& LocalMutex(const ChunkKey& key) { return local_mutexes_[key.digest[0]]; }
  std::mutex& RemoteMutex(const ChunkKey& key) { return remote_mutexes_[key.digest[0]]; }
  std::atomic<int64_t>& Deletions(const ChunkKey& key) { return deletions_[key.digest[0]]; }

  const std::vector<StoreTier> tiers_;
  const TieredChunkStoreOptions options_;
  size_t num_local_ = 0;  // tiers_[0, num_local_) are local
  std::vector<std::shared_ptr<TierMonitor>> monitors_;
  SingleFlight flights_;
  RecentKeys recent_, told_remote_;
  Tombstones tombstones_;
  // Serialise puts, promotions and deletes of a key; remote tiers, which may hang, apart. Never both at once.
  std::array<std::mutex, kStripes> local_mutexes_, remote_mutexes_;
  std::array<std::atomic<int64_t>, kStripes> deletions_{};  // a load that sees it change promotes nothing
  mutable std::mutex mutex_;                                // guards what follows; a leaf
  std::condition_variable in_flight_changed_;
  int64_t in_flight_bytes_ = 0, peak_in_flight_bytes_ = 0;
  absl::Time told_remote_since_;
  StoreStats stats_;
  std::atomic<bool> is_eviction_scheduled_{false};
  std::unique_ptr<WriteBackQueue> write_back_;
  // Last: their threads use all of the above. Shared, because an arrival may end after the stack is gone.
  // What may wait for a remote tier is remote_work_; promotions_ into local tiers and evictions never do.
  std::shared_ptr<BackgroundQueue> promotions_, remote_work_, prefetches_;
};

}  // namespace cacheclip
