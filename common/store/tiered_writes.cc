// How chunks come into a stack of tiers and leave it (common/store/tiered_chunk_store.h).
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/logging.h"
#include "common/base/status.h"
#include "common/store/tiered_chunk_store.h"

namespace cacheclip {
namespace {

constexpr std::string_view kWriteBackOwner = "write-back";  // of the pin that keeps queued chunks local
constexpr absl::Duration kWriteBackPin = absl::Hours(24 * 30);

}  // namespace

absl::Status TieredChunkStore::PutInGroup(std::shared_ptr<const EncodedChunk> chunk, std::string_view group) {
  tombstones_.RemoveAll(chunk->key());
  absl::Status status = PutLocal(chunk, group);
  if (HasRemoteWrites()) {
    const bool is_queued = write_back_ != nullptr && status.ok() && QueueWriteBack(*chunk).ok();
    if (!is_queued) {
      std::lock_guard lock(RemoteMutex(chunk->key()));
      status = PutRemote(chunk, group);
    }
  }
  ScheduleEviction();
  if (status.ok()) return status;
  std::lock_guard lock(mutex_);
  ++stats_.rejected_puts;
  return status;
}

// The slowest local tier first: its answer counts. The first tier takes the chunk also when that one refuses,
// so that a full disk does not cost the hot set as well.
absl::Status TieredChunkStore::PutLocal(const std::shared_ptr<const EncodedChunk>& chunk,
                                        std::string_view group) {
  absl::Status status = absl::FailedPreconditionError("no local tier");
  const bool used_before = !recent_.Insert(chunk->key()) || options_.admit_first_use;
  std::lock_guard lock(LocalMutex(chunk->key()));
  for (size_t i = num_local_; i-- > 0;) {
    const bool is_slowest = i + 1 == num_local_;
    if (!is_slowest && status.ok() && !used_before && !tiers_[i].store->HasRoomFor(chunk->total_bytes()))
      continue;
    const absl::Status put = PutInto(i, chunk, group);
    if (is_slowest) status = put;
  }
  return status;
}

// With RemoteMutex(chunk->key()) held.
absl::Status TieredChunkStore::PutRemote(const std::shared_ptr<const EncodedChunk>& chunk,
                                         std::string_view group) {
  absl::Status status;
  for (size_t i = tiers_.size(); i-- > num_local_;) {
    const absl::Status put = PutInto(i, chunk, group);
    if (i == home()) status = put;
  }
  return status;
}

// A tier that fails or has lost the chunk is passed over: whoever is told no puts the chunk anew.
absl::StatusOr<bool> TieredChunkStore::EnsureKept(const ChunkKey& key, std::string_view group) {
  if (!HasRemoteWrites()) return Contains(key);
  if (write_back_ != nullptr && write_back_->IsQueued(key)) return true;
  const int64_t deletions = Deletions(key);
  if (!tombstones_.Has(key, home())) {
    const absl::StatusOr<bool> is_home = tiers_[home()].store->Contains(key);
    if (is_home.ok() && *is_home) return true;
    // With write-back a chunk waits in the queue for a home tier that is down.
    if (!is_home.ok() && write_back_ == nullptr) return is_home.status();
  }
  for (size_t i = 0; i < home(); ++i) {
    if (tombstones_.Has(key, i)) continue;
    const absl::StatusOr<StoreHit> hit =
        tiers_[i].store->Get(key, {.deadline = options_.clock->Now() + options_.remote_timeout});
    if (!hit.ok()) continue;
    if (write_back_ != nullptr && QueueWriteBack(*hit->chunk).ok()) return true;
    std::lock_guard lock(RemoteMutex(key));
    if (Deletions(key) != deletions) return false;
    CACHECLIP_RETURN_IF_ERROR(PutRemote(hit->chunk, group));
    return true;
  }
  return false;
}

absl::Status TieredChunkStore::PutInto(size_t index, const std::shared_ptr<const EncodedChunk>& chunk,
                                       std::string_view group) {
  const absl::Status status =
      group.empty() ? tiers_[index].store->Put(chunk) : tiers_[index].store->PutInGroup(chunk, group);
  if (!status.ok()) monitor(index).RecordFailedPut();
  return status;
}

// Pinned where it lies until the remote tiers have it; one that is forgotten expires.
absl::Status TieredChunkStore::QueueWriteBack(const EncodedChunk& chunk) {
  ChunkStore& local = *tiers_[num_local_ - 1].store;
  CACHECLIP_RETURN_IF_ERROR(local.Pin(chunk.key(), kWriteBackOwner, options_.clock->Now() + kWriteBackPin));
  const absl::Status queued = write_back_->Add(chunk.key(), chunk.total_bytes());
  if (!queued.ok()) local.Unpin(chunk.key(), kWriteBackOwner).IgnoreError();
  return queued;
}

absl::Status TieredChunkStore::WriteBack(const ChunkKey& key) {
  std::lock_guard lock(RemoteMutex(key));
  if (!write_back_->IsQueued(key)) return absl::OkStatus();  // deleted meanwhile
  absl::StatusOr<StoreHit> hit = absl::NotFoundError("no local tier");
  for (size_t i = 0; i < num_local_ && !hit.ok(); ++i) hit = tiers_[i].store->Get(key);
  if (!hit.ok())
    return absl::IsDataLoss(hit.status()) ? absl::NotFoundError(hit.status().message()) : hit.status();
  absl::Status status;
  for (size_t i = tiers_.size(); i-- > num_local_;) {
    const absl::Status put = PutInto(i, hit->chunk, "");
    if (status.ok()) status = put;
  }
  if (status.ok()) tiers_[num_local_ - 1].store->Unpin(key, kWriteBackOwner).IgnoreError();
  return status;
}

absl::Status TieredChunkStore::Delete(const ChunkKey& key) {
  if (write_back_ != nullptr) write_back_->Forget(key);
  // Counted before anything is deleted, for loads that run, and again under each lock, for loads that begin
  // meanwhile: neither promotes what it read.
  ++Deletions(key);
  absl::Status remote_status, local_status;
  {
    std::lock_guard lock(RemoteMutex(key));
    remote_status = DeleteFrom(num_local_, tiers_.size(), key);
    ++Deletions(key);
  }
  {
    std::lock_guard lock(LocalMutex(key));
    local_status = DeleteFrom(0, num_local_, key);
    ++Deletions(key);
  }
  flights_.Forget(key);
  return remote_status.ok() ? local_status : remote_status;
}

absl::Status TieredChunkStore::DeleteFrom(size_t begin, size_t end, const ChunkKey& key) {
  absl::Status problem;
  for (size_t i = end; i-- > begin;) {
    const absl::Status status = tiers_[i].store->Delete(key);
    if (status.ok()) {
      tombstones_.Remove(key, i);
      continue;
    }
    tombstones_.Add(key, i);
    if (problem.ok()) problem = status;
  }
  return problem;
}

void TieredChunkStore::RepeatDeletions(size_t index) {
  if (!tombstones_.Any(index).has_value()) return;
  remote_work_->Add(0, [this, index] {
    for (auto key = tombstones_.Any(index); key.has_value(); key = tombstones_.Any(index)) {
      std::lock_guard lock(RemoteMutex(*key));
      if (!tombstones_.Has(*key, index)) continue;  // put again meanwhile
      if (!tiers_[index].store->Delete(*key).ok()) return;
      tombstones_.Remove(*key, index);
    }
  });
}

absl::Status TieredChunkStore::Pin(const ChunkKey& key, std::string_view owner, absl::Time expiry) {
  absl::Status status = absl::NotFoundError(absl::StrCat("chunk ", key.ToHex(), " is in no tier"));
  for (size_t i = tiers_.size(); i-- > (tiers_.size() > 1 ? 1 : 0);) {
    if (tombstones_.Has(key, i)) continue;
    const absl::Status pinned = tiers_[i].store->Pin(key, owner, expiry);
    if (absl::IsNotFound(status)) status = pinned;
  }
  return status;
}

absl::Status TieredChunkStore::Unpin(const ChunkKey& key, std::string_view owner) {
  absl::Status status;
  for (size_t i = tiers_.size(); i-- > (tiers_.size() > 1 ? 1 : 0);) {
    const absl::Status unpinned = tiers_[i].store->Unpin(key, owner);
    if (status.ok()) status = unpinned;
  }
  return status;
}

}  // namespace cacheclip
