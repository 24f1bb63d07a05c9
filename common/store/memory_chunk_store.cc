#include "common/store/memory_chunk_store.h"

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace cacheclip {
namespace {

absl::Status NoSuchChunk(const ChunkKey& key) {
  return absl::NotFoundError(absl::StrCat("chunk ", key.ToHex(), " is not in memory"));
}

}  // namespace

absl::StatusOr<StoreHit> MemoryChunkStore::Get(const ChunkKey& key, const GetOptions& /*options*/) {
  std::lock_guard lock(mutex_);
  const auto it = entries_.find(key);
  if (it == entries_.end()) {
    ++stats_.misses;
    return NoSuchChunk(key);
  }
  ++stats_.hits;
  uses_.splice(uses_.begin(), uses_, it->second.use);
  return StoreHit{it->second.chunk, Tier::kMemory};
}

absl::Status MemoryChunkStore::Put(std::shared_ptr<const EncodedChunk> chunk) {
  const ChunkKey key = chunk->key();
  const int64_t bytes = chunk->total_bytes();
  std::lock_guard lock(mutex_);
  if (const auto it = entries_.find(key); it != entries_.end()) {
    uses_.splice(uses_.begin(), uses_, it->second.use);
    return absl::OkStatus();
  }
  if (!MakeRoom(bytes)) {
    ++stats_.rejected_puts;
    return absl::ResourceExhaustedError(
        absl::StrCat("memory store: no room for a chunk of ", bytes, " bytes; ", stats_.bytes, " of ",
                     options_.max_bytes, " bytes are held and what is not pinned would not make enough"));
  }
  uses_.push_front(key);
  entries_.emplace(key, Entry{std::move(chunk), uses_.begin(), {}});
  stats_.bytes += bytes;
  ++stats_.objects;
  ++stats_.puts;
  return absl::OkStatus();
}

bool MemoryChunkStore::MakeRoom(int64_t bytes) {
  if (bytes > options_.max_bytes || options_.max_objects < 1) return false;
  const absl::Time now = options_.clock->Now();
  int64_t bytes_after = stats_.bytes + bytes;
  int64_t objects_after = stats_.objects + 1;
  std::vector<Entries::iterator> victims;  // chosen first: a Put that is refused evicts nothing
  for (auto use = uses_.rbegin(); use != uses_.rend(); ++use) {
    if (bytes_after <= options_.max_bytes && objects_after <= options_.max_objects) break;
    const auto it = entries_.find(*use);
    if (IsPinned(it->second, now)) continue;
    bytes_after -= it->second.chunk->total_bytes();
    --objects_after;
    victims.push_back(it);
  }
  if (bytes_after > options_.max_bytes || objects_after > options_.max_objects) return false;
  stats_.evictions += static_cast<int64_t>(victims.size());
  for (const auto& it : victims) Erase(it);
  return true;
}

bool MemoryChunkStore::IsPinned(Entry& entry, absl::Time now) {
  std::erase_if(entry.pins, [now](const auto& pin) { return pin.second <= now; });
  return !entry.pins.empty();
}

void MemoryChunkStore::Erase(Entries::iterator it) {
  stats_.bytes -= it->second.chunk->total_bytes();
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
