#include "common/store/recent_keys.h"

namespace cacheclip {

bool RecentKeys::Insert(const ChunkKey& key) {
  std::lock_guard lock(mutex_);
  if (!keys_.insert(key).second) return false;
  order_.push_back(key);
  if (static_cast<int64_t>(order_.size()) > max_keys_) {
    keys_.erase(order_.front());
    order_.pop_front();
  }
  return true;
}

void RecentKeys::Clear() {
  std::lock_guard lock(mutex_);
  keys_.clear();
  order_.clear();
}

}  // namespace cacheclip
