#include "common/store/tiered_chunk_store.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace cacheclip {
namespace {

bool IsLost(const absl::Status& status) { return absl::IsNotFound(status) || absl::IsDataLoss(status); }

}  // namespace

absl::StatusOr<std::unique_ptr<TieredChunkStore>> TieredChunkStore::Open(std::vector<StoreTier> tiers,
                                                                         TieredChunkStoreOptions options) {
  if (tiers.empty() || tiers.size() > Tombstones::kMaxTiers)
    return InvalidField("tiers", absl::StrCat(tiers.size(), " tiers"));
  if (!std::ranges::is_sorted(tiers, {}, &StoreTier::is_remote))
    return InvalidField("tiers", "a local tier lies behind a remote one");
  if (options.write_mode == WriteMode::kBack && tiers.front().is_remote == tiers.back().is_remote)
    options.write_mode = WriteMode::kThrough;  // there is nothing to write back, or nothing to write from
  std::unique_ptr<TieredChunkStore> store(new TieredChunkStore(std::move(tiers), std::move(options)));
  if (store->options_.write_mode == WriteMode::kBack) {
    CACHECLIP_ASSIGN_OR_RETURN(
        store->write_back_,
        WriteBackQueue::Open(store->options_.write_back,
                             [self = store.get()](const ChunkKey& key) { return self->WriteBack(key); }));
    store->write_back_->Start();  // only now: it writes through the store
  }
  return store;
}

TieredChunkStore::TieredChunkStore(std::vector<StoreTier> tiers, TieredChunkStoreOptions options)
    : tiers_(std::move(tiers)),
      options_(std::move(options)),
      num_local_(std::ranges::count(tiers_, false, &StoreTier::is_remote)),
      flights_(options_.clock),
      recent_(options_.max_recent_keys),
      told_remote_(options_.max_recent_keys),
      told_remote_since_(options_.clock->Now()),
      promotions_(std::make_shared<BackgroundQueue>(
          BackgroundQueueOptions{.max_bytes = options_.max_in_flight_bytes})),
      remote_work_(std::make_shared<BackgroundQueue>(
          BackgroundQueueOptions{.max_bytes = options_.max_in_flight_bytes})),
      prefetches_(std::make_shared<BackgroundQueue>(BackgroundQueueOptions{})) {
  for (size_t i = 0; i < tiers_.size(); ++i)
    monitors_.push_back(std::make_shared<TierMonitor>(options_.clock));
}

TieredChunkStore::~TieredChunkStore() {
  prefetches_->Stop();
  promotions_->Stop();
  remote_work_->Stop();
  write_back_.reset();
}

absl::StatusOr<StoreHit> TieredChunkStore::Get(const ChunkKey& key, const GetOptions& options) {
  absl::StatusOr<StoreHit> hit =
      absl::NotFoundError(absl::StrCat("chunk ", key.ToHex(), " is in none of the tiers asked"));
  const bool has_fast_path = !tiers_.front().is_remote && IsUsable(0, key, options);
  if (has_fast_path) {
    absl::StatusOr<StoreHit> fast = Ask(0, key, options);
    if (fast.ok() || !absl::IsNotFound(fast.status())) hit = std::move(fast);
    if (hit.ok() && !options.changes_nothing) NoteUse(key, 0);
  }
  // A caller that looks into the first tier alone must not wait for what another one fetches from elsewhere.
  bool goes_on = false;
  for (size_t i = has_fast_path ? 1 : 0; i < tiers_.size(); ++i) goes_on |= IsUsable(i, key, options);
  if (!hit.ok() && goes_on)
    hit = flights_.Do(key, options, [&] { return Fetch(key, options, hit.status()); });
  std::lock_guard lock(mutex_);
  ++(hit.ok() ? stats_.hits : stats_.misses);
  return hit;
}

absl::StatusOr<StoreHit> TieredChunkStore::Fetch(const ChunkKey& key, const GetOptions& options,
                                                 absl::Status problem) {
  const int64_t deletions = Deletions(key);
  for (size_t i = 0; i < tiers_.size(); ++i) {
    if (!IsUsable(i, key, options)) continue;
    // A local first tier has been asked; whoever fetched the chunk before may have promoted it since.
    if (i == 0 && !tiers_[i].is_remote && !tiers_[i].store->Contains(key).value_or(false)) continue;
    if (tiers_[i].is_remote && options_.clock->Now() >= options.deadline)
      return absl::DeadlineExceededError(absl::StrCat("chunk ", key.ToHex(), " was not found in time"));
    if (tiers_[i].is_remote && !monitor(i).MayAsk()) {
      if (absl::IsNotFound(problem))
        problem = absl::UnavailableError(
            absl::StrCat("tier ", std::string(TierName(tiers_[i].tier)), " is left alone after failures"));
      continue;
    }
    if (options.now_asking != nullptr) *options.now_asking = tiers_[i].tier;
    absl::StatusOr<StoreHit> hit = Ask(i, key, options);
    if (hit.ok()) {
      if (options.changes_nothing) return hit;
      if (i > 0) Promote(*hit, i, options, deletions);
      NoteUse(key, i);
      return hit;
    }
    if (absl::IsNotFound(problem)) problem = hit.status();
  }
  return problem;
}

bool TieredChunkStore::IsUsable(size_t index, const ChunkKey& key, const GetOptions& options) const {
  return !options.avoid.Contains(tiers_[index].tier) && !tombstones_.Has(key, index);
}

absl::StatusOr<StoreHit> TieredChunkStore::Ask(size_t index, const ChunkKey& key, const GetOptions& options) {
  const StoreTier& tier = tiers_[index];
  const absl::Time begin = options_.clock->Now();
  const absl::Time latest = tier.is_remote ? begin + options_.remote_timeout : absl::InfiniteFuture();
  absl::StatusOr<StoreHit> hit =
      tier.store->Get(key, {.deadline = std::min(options.deadline, latest),
                            .accept_arriving = options.accept_arriving && tier.is_remote,
                            .changes_nothing = options.changes_nothing});
  const absl::Duration duration = options_.clock->Now() - begin;
  if (hit.ok()) {
    hit->tier = tier.tier;
    if (hit->arrival != nullptr)
      RecordArrival(index, *hit, begin);
    else
      monitor(index).RecordHit(hit->chunk->total_bytes(), duration);
  } else if (IsLost(hit.status())) {
    monitor(index).RecordMiss(duration);
  } else {
    monitor(index).RecordFailure(hit.status());
    return hit;
  }
  if (tier.is_remote) RepeatDeletions(index);
  return hit;
}

void TieredChunkStore::RecordArrival(size_t index, const StoreHit& hit, absl::Time begin) {
  hit.arrival->OnEnd([monitor = monitors_[index], bytes = hit.chunk->total_bytes(), begin,
                      clock = options_.clock](const absl::Status& status) {
    if (status.ok())
      monitor->RecordHit(bytes, clock->Now() - begin);
    else if (IsLost(status) || absl::IsCancelled(status))
      monitor->RecordMiss(absl::ZeroDuration());
    else
      monitor->RecordFailure(status);
  });
}

// Slower tiers learn of a use, so that what is hot in a fast tier is not the first to go from them. Local
// ones at once, remote ones in the background and only now and then.
void TieredChunkStore::NoteUse(const ChunkKey& key, size_t served_by) {
  for (size_t i = served_by + 1; i < num_local_; ++i) tiers_[i].store->MarkUsed(key);
  const size_t first_remote = std::max(served_by + 1, num_local_);
  if (first_remote >= tiers_.size()) return;
  {
    std::lock_guard lock(mutex_);
    const absl::Time now = options_.clock->Now();
    if (now - told_remote_since_ >= options_.remote_use_interval) {
      told_remote_.Clear();
      told_remote_since_ = now;
    }
  }
  if (!told_remote_.Insert(key)) return;
  remote_work_->Add(0, [this, key, first_remote] {
    for (size_t i = first_remote; i < tiers_.size(); ++i)
      if (!tombstones_.Has(key, i)) tiers_[i].store->MarkUsed(key);
  });
}

absl::StatusOr<bool> TieredChunkStore::Contains(const ChunkKey& key) {
  absl::Status problem;
  for (size_t i = 0; i < tiers_.size(); ++i) {
    if (tombstones_.Has(key, i)) continue;
    const absl::StatusOr<bool> has = tiers_[i].store->Contains(key);
    if (has.ok() && *has) return true;
    if (!has.ok() && i == home()) problem = has.status();
  }
  // With write-back a chunk may be put while the home tier is down, so its silence counts as a no.
  if (!problem.ok() && options_.write_mode != WriteMode::kBack) return problem;
  return false;
}

void TieredChunkStore::MarkUsed(const ChunkKey& key) {
  for (const StoreTier& tier : tiers_) tier.store->MarkUsed(key);
}

void TieredChunkStore::Prefetch(std::span<const ChunkKey> keys, absl::Time deadline) {
  for (const ChunkKey& key : keys) {
    recent_.Insert(key);  // being asked for is a use: the chunk may push out others
    prefetches_->Add(0, [this, key, deadline] {
      if (options_.clock->Now() >= deadline || tiers_.front().store->Contains(key).value_or(false)) return;
      flights_
          .Do(key, {.deadline = deadline},
              [&] { return Fetch(key, {.deadline = deadline}, absl::NotFoundError("nowhere")); })
          .IgnoreError();
    });
  }
}

size_t TieredChunkStore::home() const { return HasRemoteWrites() ? tiers_.size() - 1 : num_local_ - 1; }

bool TieredChunkStore::HasRemoteWrites() const {
  return num_local_ == 0 || (num_local_ < tiers_.size() && options_.write_mode != WriteMode::kNone);
}

StoreStats TieredChunkStore::stats() const {
  StoreStats result = tiers_[home()].store->stats();
  result.puts -= monitor(home()).observations().num_promotions;
  result.corrupt = 0;
  for (const StoreTier& tier : tiers_) result.corrupt += tier.store->stats().corrupt;
  std::lock_guard lock(mutex_);
  result.hits = stats_.hits;
  result.misses = stats_.misses;
  result.rejected_puts = stats_.rejected_puts;
  return result;
}

std::vector<TierReport> TieredChunkStore::tier_reports() const {
  std::vector<TierReport> reports;
  for (size_t i = 0; i < tiers_.size(); ++i)
    reports.push_back({std::string(tiers_[i].store->tier_name()), tiers_[i].tier, tiers_[i].store->stats(),
                       monitor(i).observations()});
  // Others fill and empty a remote tier as well: what this process has counted is not what it holds.
  for (size_t i = num_local_; i < tiers_.size(); ++i)
    reports[i].stats.bytes = reports[i].stats.objects = StoreStats::kUnknown;
  return reports;
}

WriteBackStats TieredChunkStore::write_back_stats() const {
  return write_back_ != nullptr ? write_back_->stats() : WriteBackStats{};
}

absl::Status TieredChunkStore::ForEach(const Visitor& visitor) {
  return tiers_[home()].store->ForEach(visitor);
}

}  // namespace cacheclip
