#include "common/store/tiered_chunk_store.h"

#include <algorithm>
#include <utility>

#include "common/base/status.h"
#include "common/kv/chunk_builder.h"

namespace cacheclip {

TieredChunkStore::TieredChunkStore(std::shared_ptr<ChunkStore> fast, std::shared_ptr<ChunkStore> slow,
                                   TieredChunkStoreOptions options)
    : fast_(std::move(fast)), slow_(std::move(slow)), options_(options) {}

absl::StatusOr<StoreHit> TieredChunkStore::Get(const ChunkKey& key, const GetOptions& options) {
  if (auto hit = fast_->Get(key); hit.ok()) {
    slow_->MarkUsed(key);
    std::lock_guard lock(mutex_);
    ++stats_.hits;
    return hit;
  }
  std::shared_ptr<Load> load;
  bool leads = false;
  {
    std::lock_guard lock(mutex_);
    auto& entry = loads_[key];
    leads = entry == nullptr;
    if (leads) entry = std::make_shared<Load>();
    load = entry;
  }
  if (leads) load->promise.set_value(LoadAndPromote(key, options.deadline, *load));
  auto hit = load->result.get();
  std::lock_guard lock(mutex_);
  ++(hit.ok() ? stats_.hits : stats_.misses);
  return hit;
}

absl::StatusOr<StoreHit> TieredChunkStore::LoadAndPromote(const ChunkKey& key, absl::Time deadline,
                                                          Load& load) {
  auto hit = slow_->Get(key, {.deadline = deadline});
  if (hit.ok()) {
    // What the fast tier keeps is on the heap: a mapped file's pages may be read from disk again, unchecked.
    const int64_t bytes = hit->chunk->total_bytes();
    AcquireInFlight(bytes);
    if (auto copy = CopyToHeap(*hit->chunk); copy.ok()) hit->chunk = *std::move(copy);
    ReleaseInFlight(bytes);
  }
  std::lock_guard lock(mutex_);
  // Under mutex_, so that Delete() either sees this load or finds what it promoted. A fast tier that refuses
  // is full of pins: the hit is as good without it.
  if (hit.ok() && !load.deleted) fast_->Put(hit->chunk).IgnoreError();
  loads_.erase(key);
  return hit;
}

void TieredChunkStore::AcquireInFlight(int64_t bytes) {
  std::unique_lock lock(mutex_);
  in_flight_changed_.wait(lock, [&] {
    return in_flight_bytes_ == 0 || in_flight_bytes_ + bytes <= options_.max_in_flight_bytes;
  });
  in_flight_bytes_ += bytes;
  peak_in_flight_bytes_ = std::max(peak_in_flight_bytes_, in_flight_bytes_);
}

void TieredChunkStore::ReleaseInFlight(int64_t bytes) {
  {
    std::lock_guard lock(mutex_);
    in_flight_bytes_ -= bytes;
  }
  in_flight_changed_.notify_all();
}

absl::Status TieredChunkStore::Put(std::shared_ptr<const EncodedChunk> chunk) {
  std::lock_guard key_lock(KeyMutex(chunk->key()));
  const absl::Status status = slow_->Put(chunk);
  fast_->Put(std::move(chunk)).IgnoreError();
  std::lock_guard lock(mutex_);
  ++(status.ok() ? stats_.puts : stats_.rejected_puts);
  return status;
}

absl::Status TieredChunkStore::Delete(const ChunkKey& key) {
  std::lock_guard key_lock(KeyMutex(key));
  const absl::Status slow_status = slow_->Delete(key);
  // The slow tier first: a load that starts from here on finds nothing, one that started before is marked.
  std::lock_guard lock(mutex_);
  if (const auto it = loads_.find(key); it != loads_.end()) it->second->deleted = true;
  const absl::Status fast_status = fast_->Delete(key);
  return slow_status.ok() ? fast_status : slow_status;
}

absl::StatusOr<bool> TieredChunkStore::Contains(const ChunkKey& key) {
  CACHECLIP_ASSIGN_OR_RETURN(const bool in_fast, fast_->Contains(key));
  if (in_fast) return true;
  return slow_->Contains(key);
}

void TieredChunkStore::MarkUsed(const ChunkKey& key) {
  fast_->MarkUsed(key);
  slow_->MarkUsed(key);
}

absl::Status TieredChunkStore::Pin(const ChunkKey& key, std::string_view owner, absl::Time expiry) {
  return slow_->Pin(key, owner, expiry);
}

absl::Status TieredChunkStore::Unpin(const ChunkKey& key, std::string_view owner) {
  return slow_->Unpin(key, owner);
}

StoreStats TieredChunkStore::stats() const {
  const StoreStats slow = slow_->stats();
  std::lock_guard lock(mutex_);
  StoreStats stats = stats_;
  stats.evictions = slow.evictions;
  stats.corrupt = slow.corrupt;
  stats.bytes = slow.bytes;
  stats.objects = slow.objects;
  return stats;
}

absl::Status TieredChunkStore::ForEach(const Visitor& visitor) { return slow_->ForEach(visitor); }

int64_t TieredChunkStore::peak_in_flight_bytes() const {
  std::lock_guard lock(mutex_);
  return peak_in_flight_bytes_;
}

}  // namespace cacheclip
