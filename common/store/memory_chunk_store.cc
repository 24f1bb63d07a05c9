#include "common/store/memory_chunk_store.h"

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace cacheclip {
namespace {

absl::Status NoSuchChunk(const ChunkKey& key) {
  return absl::NotFoundError(absl::StrCat("chunk ", key.ToHex(), " is not in memory"));
}

}  // namespace

absl::StatusOr<StoreHit> MemoryChunkStore::Get(const ChunkKey& key, const GetOptions& options) {
  std::lock_guard lock(mutex_);
  const auto it = entries_.find(key);
  if (it == entries_.end()) {
    ++stats_.misses;
    return NoSuchChunk(key);
  }
  ++stats_.hits;
  if (!options.changes_nothing) uses_.splice(uses_.begin(), uses_, it->second.use);
  return StoreHit{it->second.chunk, Tier::kMemory};
}

absl::Status MemoryChunkStore::PutInGroup(std::shared_ptr<const EncodedChunk> chunk, std::string_view group) {
  const ChunkKey key = chunk->key();
  const int64_t bytes = chunk->total_bytes();
  std::lock_guard lock(mutex_);
  if (const auto it = entries_.find(key); it != entries_.end()) {
    uses_.splice(uses_.begin(), uses_, it->second.use);
    return absl::OkStatus();
  }
  if (!MakeRoom(bytes, group)) {
    ++stats_.rejected_puts;
    return absl::ResourceExhaustedError(absl::StrCat(
        "memory store: no room for a chunk of ", bytes, " bytes; ", stats_.bytes, " of ", options_.max_bytes,
        " bytes are held and what is not pinned, or the quota, would not make enough"));
  }
  uses_.push_front(key);
  entries_.emplace(key, Entry{std::move(chunk), uses_.begin(), {}, std::string(group)});
  if (!group.empty()) group_bytes_[std::string(group)] += bytes;
  stats_.bytes += bytes;
  ++stats_.objects;
  ++stats_.puts;
  return absl::OkStatus();
}

bool MemoryChunkStore::MakeRoom(int64_t bytes, std::string_view group) {
  const int64_t quota = options_.quotas.Of(group);
  if (bytes > options_.max_bytes || bytes > quota || options_.max_objects < 1) return false;
  const auto held = group_bytes_.find(group);
  const int64_t group_bytes = held == group_bytes_.end() ? 0 : held->second;
  const int64_t bytes_over = stats_.bytes + bytes - options_.max_bytes;
  const int64_t objects_over = stats_.objects + 1 - options_.max_objects;
  const int64_t group_bytes_over = group_bytes - (quota - bytes);
  if (bytes_over <= 0 && objects_over <= 0 && group_bytes_over <= 0) return true;
  const auto victims = ChooseVictims(bytes_over, objects_over, group, group_bytes_over);
  stats_.evictions += static_cast<int64_t>(victims.size());
  for (const auto& it : victims) Erase(it);
  return !victims.empty();
}

// The group's own oldest first, then the oldest of all. Empty if they would not be enough: a Put() that is
// refused evicts nothing.
std::vector<MemoryChunkStore::Entries::iterator> MemoryChunkStore::ChooseVictims(int64_t bytes_over,
                                                                                 int64_t objects_over,
                                                                                 std::string_view group,
                                                                                 int64_t group_bytes_over) {
  const absl::Time now = options_.clock->Now();
  std::vector<Entries::iterator> victims;
  absl::flat_hash_set<ChunkKey> chosen;
  const auto choose = [&](Entries::iterator it) {
    const int64_t bytes = it->second.chunk->total_bytes();
    bytes_over -= bytes;
    --objects_over;
    if (it->second.group == group) group_bytes_over -= bytes;
    chosen.insert(it->first);
    victims.push_back(it);
  };
  for (auto use = uses_.rbegin(); use != uses_.rend() && group_bytes_over > 0; ++use) {
    const auto it = entries_.find(*use);
    if (it->second.group == group && !IsPinned(it->second, now)) choose(it);
  }
  for (auto use = uses_.rbegin(); use != uses_.rend() && (bytes_over > 0 || objects_over > 0); ++use) {
    const auto it = entries_.find(*use);
    if (!chosen.contains(*use) && !IsPinned(it->second, now)) choose(it);
  }
  if (bytes_over > 0 || objects_over > 0 || group_bytes_over > 0) return {};
  return victims;
}

bool MemoryChunkStore::HasRoomFor(int64_t bytes) const {
  std::lock_guard lock(mutex_);
  return stats_.bytes + bytes <= options_.watermarks.LowBytes(options_.max_bytes) &&
         stats_.objects < options_.max_objects;
}

void MemoryChunkStore::EvictToLowWater() {
  std::vector<std::shared_ptr<const EncodedChunk>> evicted;  // freed without the lock
  std::lock_guard lock(mutex_);
  if (!options_.watermarks.IsAbove(stats_.bytes, options_.max_bytes)) return;
  const absl::Time now = options_.clock->Now();
  const int64_t low_bytes = options_.watermarks.LowBytes(options_.max_bytes);
  for (auto use = uses_.end(); use != uses_.begin() && stats_.bytes > low_bytes;) {
    const auto it = entries_.find(*--use);
    if (IsPinned(it->second, now)) continue;
    evicted.push_back(it->second.chunk);
    ++stats_.evictions;
    ++use;  // what lies behind the erased one
    Erase(it);
  }
}

int64_t MemoryChunkStore::group_bytes(std::string_view group) const {
  std::lock_guard lock(mutex_);
  const auto it = group_bytes_.find(group);
  return it == group_bytes_.end() ? 0 : it->second;
}

bool MemoryChunkStore::IsPinned(Entry& entry, absl::Time now) {
  std::erase_if(entry.pins, [now](const auto& pin) { return pin.second <= now; });
  return !entry.pins.empty();
}

void MemoryChunkStore::Erase(Entries::iterator it) {
  const int64_t bytes = it->second.chunk->total_bytes();
  stats_.bytes -= bytes;
  if (const auto group = group_bytes_.find(it->second.group); group != group_bytes_.end())
    if ((group->second -= bytes) == 0) group_bytes_.erase(group);
  --stats_.objects;
  uses_.erase(it->second.use);
  entries_.erase(it);
}

absl::Status MemoryChunkStore::Delete(const ChunkKey& key) {
  std::lock_guard lock(mutex_);
  if (const auto it = entries_.find(key); it != entries_.end()) Erase(it);
  return absl::OkStatus();
}

absl::StatusOr<bool> MemoryChunkStore::Contains(const ChunkKey& key) {
  std::lock_guard lock(mutex_);
  return entries_.contains(key);
}

void MemoryChunkStore::MarkUsed(const ChunkKey& key) {
  std::lock_guard lock(mutex_);
  if (const auto it = entries_.find(key); it != entries_.end())
    uses_.splice(uses_.begin(), uses_, it->second.use);
}

absl::Status MemoryChunkStore::Pin(const ChunkKey& key, std::string_view owner, absl::Time expiry) {
  const absl::Time now = options_.clock->Now();
  CACHECLIP_RETURN_IF_ERROR(ValidatePin(owner, expiry, now));
  std::lock_guard lock(mutex_);
  const auto it = entries_.find(key);
  if (it == entries_.end()) return NoSuchChunk(key);
  auto& pins = it->second.pins;
  IsPinned(it->second, now);  // expired pins do not count against the limit
  if (!pins.contains(std::string(owner)) && static_cast<int64_t>(pins.size()) >= kMaxPinsPerChunk)
    return absl::ResourceExhaustedError(absl::StrCat("chunk ", key.ToHex(), " has ", pins.size(), " pins"));
  pins[std::string(owner)] = expiry;
  return absl::OkStatus();
}

absl::Status MemoryChunkStore::Unpin(const ChunkKey& key, std::string_view owner) {
  std::lock_guard lock(mutex_);
  if (const auto it = entries_.find(key); it != entries_.end()) it->second.pins.erase(std::string(owner));
  return absl::OkStatus();
}

StoreStats MemoryChunkStore::stats() const {
  std::lock_guard lock(mutex_);
  return stats_;
}

absl::Status MemoryChunkStore::ForEach(const Visitor& visitor) {
  std::vector<std::pair<ChunkKey, int64_t>> held;
  {
    std::lock_guard lock(mutex_);
    held.reserve(entries_.size());
    for (const auto& [key, entry] : entries_) held.emplace_back(key, entry.chunk->total_bytes());
  }
  for (const auto& [key, bytes] : held)
    visitor(key, bytes);  // without the lock: the visitor may call the store
  return absl::OkStatus();
}

}  // namespace cacheclip
