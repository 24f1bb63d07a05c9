#include "common/store/tombstones.h"

namespace cacheclip {

void Tombstones::Add(const ChunkKey& key, size_t tier_index) {
  std::lock_guard lock(mutex_);
  const auto [it, is_new] = tiers_.try_emplace(key, 0u);
  it->second |= 1u << tier_index;
  if (!is_new) return;
  order_.push_back(key);
  while (order_.size() > max_tombstones_) {
    if (tiers_.erase(order_.front()) > 0) ++num_dropped_;
    order_.pop_front();
  }
}

bool Tombstones::Has(const ChunkKey& key, size_t tier_index) const {
  std::lock_guard lock(mutex_);
  const auto it = tiers_.find(key);
  return it != tiers_.end() && (it->second >> tier_index & 1u) != 0;
}

void Tombstones::Remove(const ChunkKey& key, size_t tier_index) {
  std::lock_guard lock(mutex_);
  const auto it = tiers_.find(key);
  if (it == tiers_.end()) return;
  it->second &= ~(1u << tier_index);
  if (it->second == 0) {
    tiers_.erase(it);
    std::erase(order_, key);
  }
}

void Tombstones::RemoveAll(const ChunkKey& key) {
  std::lock_guard lock(mutex_);
  if (tiers_.erase(key) > 0) std::erase(order_, key);
}

std::optional<ChunkKey> Tombstones::Any(size_t tier_index) const {
  std::lock_guard lock(mutex_);
  for (const auto& [key, tiers] : tiers_)
    if ((tiers >> tier_index & 1u) != 0) return key;
  return std::nullopt;
}

size_t Tombstones::size() const {
  std::lock_guard lock(mutex_);
  return tiers_.size();
}

int64_t Tombstones::num_dropped() const {
  std::lock_guard lock(mutex_);
  return num_dropped_;
}

}  // namespace cacheclip
