// How chunks rise in a stack of tiers (common/store/tiered_chunk_store.h): into the first tier at once, into
// the others in the background, the local ones in one queue, all remote ones in another: a remote tier that
// is slow holds up, and fills, no more than the queue it shares with the other remote tiers. Every copy is
// made under the key's lock and only if no deletion came since the chunk was read.
#include <algorithm>
#include <utility>

#include "common/kv/chunk_builder.h"
#include "common/store/tiered_chunk_store.h"

namespace cacheclip {

struct TieredChunkStore::Promotion {
  std::shared_ptr<const EncodedChunk> chunk;
  std::string group;
  int64_t deletions = 0;     // of the key's stripe when the read began
  bool used_before = false;  // lately: a full tier makes room for it
  TierSet avoid;             // remote tiers that the reader found too slow
};

void TieredChunkStore::Promote(StoreHit& hit, size_t from, const GetOptions& options, int64_t deletions) {
  Promotion promotion{.chunk = hit.chunk,
                      .group = std::string(options.group),
                      .deletions = deletions,
                      .used_before = !recent_.Insert(hit.chunk->key()) || options_.admit_first_use,
                      .avoid = options.avoid};
  const size_t local_end = std::min(from, num_local_);
  // While a queue takes tasks the stack is alive: its destructor stops the queues first.
  const auto promote_later = [this, from, local_end, local = std::weak_ptr(promotions_),
                              remote = std::weak_ptr(remote_work_)](const Promotion& what, size_t begin) {
    const auto add = [&](const std::weak_ptr<BackgroundQueue>& queue, size_t first, size_t end) {
      if (first >= end) return;
      if (const auto alive = queue.lock(); alive != nullptr)
        alive->Add(what.chunk->total_bytes(), [this, what, first, end] { PromoteInto(what, first, end); });
    };
    add(local, begin, local_end);
    add(remote, local_end, from);
  };
  if (hit.arrival != nullptr) {
    hit.arrival->OnEnd([promote_later, promotion = std::move(promotion)](const absl::Status& status) {
      if (status.ok()) promote_later(promotion, 0);
    });
    return;
  }
  if (tiers_[from].tier == Tier::kDisk) {
    PromoteMapped(hit, promotion, options.deadline);
  } else if (local_end > 0) {
    PromoteInto(promotion, 0, 1);
  }
  promote_later(promotion, 1);
}

// What a faster tier keeps is on the heap: a mapped file's pages may be read from disk again, unchecked.
void TieredChunkStore::PromoteMapped(StoreHit& hit, Promotion promotion, absl::Time deadline) {
  const int64_t bytes = hit.chunk->total_bytes();
  if (!Admits(0, promotion) || !AcquireInFlight(bytes, deadline)) return;
  auto copy = CopyToHeap(*hit.chunk);
  ReleaseInFlight(bytes);
  if (!copy.ok()) return;
  hit.chunk = promotion.chunk = *std::move(copy);
  PromoteInto(promotion, 0, 1);
}

bool TieredChunkStore::Admits(size_t index, const Promotion& promotion) const {
  if (tiers_[index].is_remote) {
    if (options_.write_mode == WriteMode::kNone) return false;
    // A tier that is not worth reading from is not worth the time and bandwidth of a copy either.
    if (promotion.avoid.Contains(tiers_[index].tier) || monitor(index).IsPaused()) return false;
  }
  return promotion.used_before || tiers_[index].store->HasRoomFor(promotion.chunk->total_bytes());
}

void TieredChunkStore::PromoteInto(const Promotion& promotion, size_t begin, size_t end) {
  const ChunkKey& key = promotion.chunk->key();
  for (size_t i = begin; i < end; ++i) {
    if (!Admits(i, promotion)) continue;
    std::lock_guard lock(tiers_[i].is_remote ? RemoteMutex(key) : LocalMutex(key));
    if (Deletions(key) != promotion.deletions) return;
    // A tier that refuses is full of pins: the hit is as good without it.
    if (PutInto(i, promotion.chunk, promotion.group).ok()) monitor(i).RecordPromotion();
  }
  if (begin < num_local_) ScheduleEviction();  // remote work gave local tiers nothing
}

bool TieredChunkStore::AcquireInFlight(int64_t bytes, absl::Time deadline) {
  std::unique_lock lock(mutex_);
  while (in_flight_bytes_ > 0 && in_flight_bytes_ + bytes > options_.max_in_flight_bytes) {
    if (options_.clock->Now() >= deadline) return false;
    in_flight_changed_.wait_for(lock, absl::ToChronoNanoseconds(SingleFlight::kPollInterval));
  }
  in_flight_bytes_ += bytes;
  peak_in_flight_bytes_ = std::max(peak_in_flight_bytes_, in_flight_bytes_);
  return true;
}

void TieredChunkStore::ReleaseInFlight(int64_t bytes) {
  {
    std::lock_guard lock(mutex_);
    in_flight_bytes_ -= bytes;
  }
  in_flight_changed_.notify_all();
}

int64_t TieredChunkStore::peak_in_flight_bytes() const {
  std::lock_guard lock(mutex_);
  return peak_in_flight_bytes_;
}

void TieredChunkStore::ScheduleEviction() {
  if (is_eviction_scheduled_.exchange(true)) return;
  const bool added = promotions_->Add(0, [this] {
    is_eviction_scheduled_ = false;
    for (size_t i = 0; i < num_local_; ++i) tiers_[i].store->EvictToLowWater();
  });
  if (!added) is_eviction_scheduled_ = false;
}

void TieredChunkStore::WaitUntilIdle() {
  prefetches_->WaitUntilIdle();
  promotions_->WaitUntilIdle();
  remote_work_->WaitUntilIdle();
}

}  // namespace cacheclip
