// A fast store over a slow one (memory over disk; stack again for more tiers). Get() asks the fast tier, then
// loads from the slow one and promotes; concurrent loads of a key share one read. Put() writes the slow tier
// first, then the fast one; if the slow tier fails, its error is returned but the fast tier still keeps the
// chunk, so that a full disk does not cost the hot set as well. Delete() holds on every tier when it returns,
// also against a load under way. Pins live in the slow tier, the one that must not lose the chunk.
// Thread-safe. Bytes being copied between tiers are bounded by max_in_flight_bytes: a load beyond it waits
// its turn (one larger than the whole bound goes alone).
#pragma once

#include <array>
#include <condition_variable>
#include <cstdint>
#include <future>
#include <memory>
#include <mutex>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/store/chunk_store.h"

namespace cacheclip {

struct TieredChunkStoreOptions {
  int64_t max_in_flight_bytes = int64_t{256} << 20;  // copies between tiers at one moment
};

class TieredChunkStore : public ChunkStore {
 public:
  TieredChunkStore(std::shared_ptr<ChunkStore> fast, std::shared_ptr<ChunkStore> slow,
                   TieredChunkStoreOptions options = {});

  using ChunkStore::Get;
  absl::StatusOr<StoreHit> Get(const ChunkKey& key,
                               const GetOptions& options) override;  // StoreHit::tier = the tier that held it
  absl::Status Put(std::shared_ptr<const EncodedChunk> chunk) override;
  absl::Status Delete(const ChunkKey& key) override;
  absl::StatusOr<bool> Contains(const ChunkKey& key) override;
  void MarkUsed(const ChunkKey& key) override;
  absl::Status Pin(const ChunkKey& key, std::string_view owner, absl::Time expiry) override;
  absl::Status Unpin(const ChunkKey& key, std::string_view owner) override;
  StoreStats stats() const override;  // requests of this store; the rest from the slow tier
  absl::Status ForEach(const Visitor& visitor) override;  // what the slow tier holds
  std::string_view tier_name() const override { return "tiered"; }

  ChunkStore& fast() { return *fast_; }
  ChunkStore& slow() { return *slow_; }
  int64_t peak_in_flight_bytes() const;

 private:
  struct Load {
    std::promise<absl::StatusOr<StoreHit>> promise;
    std::shared_future<absl::StatusOr<StoreHit>> result = promise.get_future().share();
    bool deleted = false;  // Delete() came while the load was under way: do not promote
  };
  absl::StatusOr<StoreHit> LoadAndPromote(const ChunkKey& key, absl::Time deadline, Load& load);
  void AcquireInFlight(int64_t bytes);  // waits for its share
  void ReleaseInFlight(int64_t bytes);
  std::mutex& KeyMutex(const ChunkKey& key) { return key_mutexes_[key.digest[0] % key_mutexes_.size()]; }

  const std::shared_ptr<ChunkStore> fast_, slow_;
  const TieredChunkStoreOptions options_;
  std::array<std::mutex, 64> key_mutexes_;  // serialise Put and Delete of a key; taken before mutex_
  mutable std::mutex mutex_;
  std::condition_variable in_flight_changed_;
  absl::flat_hash_map<ChunkKey, std::shared_ptr<Load>> loads_;
  int64_t in_flight_bytes_ = 0, peak_in_flight_bytes_ = 0;
  StoreStats stats_;
};

}  // namespace cacheclip
