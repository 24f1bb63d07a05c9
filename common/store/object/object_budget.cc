#include "common/store/object/object_budget.h"

#include <algorithm>
#include <queue>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "common/base/logging.h"
#include "common/base/status.h"
#include "common/store/object/object_names.h"

namespace cacheclip {
namespace {

constexpr absl::Duration kTokenPoll = absl::Milliseconds(100);  // how soon who waits sees that it is late

absl::Status NoRoom(int64_t bytes, const std::string& url) {
  return absl::ResourceExhaustedError(
      absl::StrCat("no room for ", bytes, " bytes in ", url, ": the rest is pinned or being written"));
}

}  // namespace

ObjectBudget::ObjectBudget(ObjectClient* client, ObjectPins* pins, ObjectLimits limits)
    : client_(*client), pins_(*pins), limits_(limits) {}

bool ObjectBudget::IsLimited() const {
  constexpr int64_t kUnlimited = std::numeric_limits<int64_t>::max();
  return limits_.max_bytes < kUnlimited || limits_.max_objects < kUnlimited;
}

bool ObjectBudget::Fits(int64_t bytes) const {
  const Usage used = usage();
  return bytes <= limits_.max_bytes - used.bytes && used.objects < limits_.max_objects;
}

// Removing what is being put counts below zero for a moment.
ObjectBudget::Usage ObjectBudget::usage() const {
  std::lock_guard lock(count_mutex_);
  return {std::max<int64_t>(0, held_.bytes + reserved_.bytes),
          std::max<int64_t>(0, held_.objects + reserved_.objects)};
}

int64_t ObjectBudget::evictions() const {
  std::lock_guard lock(count_mutex_);
  return evictions_;
}

int64_t ObjectBudget::NumChanges() const {
  std::lock_guard lock(count_mutex_);
  return num_changes_;
}

void ObjectBudget::AddToHeld(int64_t bytes, int64_t objects) {
  std::lock_guard lock(count_mutex_);
  held_.bytes += bytes;
  held_.objects += objects;
  ++num_changes_;
}

absl::StatusOr<bool> ObjectBudget::Reserve(const ChunkKey& key, int64_t bytes,
                                           const CancellationToken& token) {
  if (bytes > limits_.max_bytes || limits_.max_objects < 1)
    return absl::ResourceExhaustedError(
        absl::StrCat("a chunk of ", bytes, " bytes is larger than the tier's budget of ", limits_.max_bytes));
  CACHECLIP_ASSIGN_OR_RETURN(const bool has_waited, WaitForPut(key, token));
  if (has_waited) return false;
  CACHECLIP_RETURN_IF_ERROR(TakeTurn(token));
  const absl::Cleanup end_turn = [this] { EndTurn(); };
  CACHECLIP_RETURN_IF_ERROR(MakeRoom(bytes, token));
  std::lock_guard lock(count_mutex_);
  if (!puts_.try_emplace(key, Put{bytes}).second) return false;
  reserved_.bytes += bytes;
  ++reserved_.objects;
  return true;
}

absl::Status ObjectBudget::TakeTurn(const CancellationToken& token) {
  if (!IsLimited()) return absl::OkStatus();
  std::unique_lock lock(count_mutex_);
  while (is_turn_taken_) {
    CACHECLIP_RETURN_IF_ERROR(token.Check());
    changed_.wait_for(lock, absl::ToChronoMilliseconds(kTokenPoll));
  }
  is_turn_taken_ = true;
  return absl::OkStatus();
}

void ObjectBudget::EndTurn() {
  {
    std::lock_guard lock(count_mutex_);
    is_turn_taken_ = false;
  }
  changed_.notify_all();
}

// True if there was one.
absl::StatusOr<bool> ObjectBudget::WaitForPut(const ChunkKey& key, const CancellationToken& token) {
  std::unique_lock lock(count_mutex_);
  bool has_waited = false;
  for (; puts_.contains(key); has_waited = true) {
    CACHECLIP_RETURN_IF_ERROR(token.Check());
    changed_.wait_for(lock, absl::ToChronoMilliseconds(kTokenPoll));
  }
  return has_waited;
}

void ObjectBudget::EndPut(const ChunkKey& key, bool is_visible) {
  {
    std::lock_guard lock(count_mutex_);
    const auto put = puts_.find(key);
    CACHECLIP_CHECK(put != puts_.end());
    reserved_.bytes -= put->second.bytes;
    --reserved_.objects;
    if (is_visible || put->second.was_listed) {
      held_.bytes += put->second.bytes;
      ++held_.objects;
    }
    puts_.erase(put);
    ++num_changes_;
  }
  changed_.notify_all();
}

absl::Status ObjectBudget::MakeRoom(int64_t bytes, const CancellationToken& token) {
  if (!IsLimited()) return absl::OkStatus();
  bool has_listed = !is_counted_;
  if (has_listed) CACHECLIP_RETURN_IF_ERROR(FindCandidates(token));
  while (!Fits(bytes)) {
    if (!candidates_.empty()) {
      CACHECLIP_RETURN_IF_ERROR(EvictOne(token));
    } else if (has_listed) {
      return NoRoom(bytes, client_.url());
    } else {
      CACHECLIP_RETURN_IF_ERROR(FindCandidates(token));
      has_listed = true;
    }
  }
  return absl::OkStatus();
}

void ObjectBudget::Commit(const ChunkKey& key) { EndPut(key, true); }
void ObjectBudget::Cancel(const ChunkKey& key) { EndPut(key, false); }

absl::Status ObjectBudget::Remove(const ChunkKey& key, const CancellationToken& token) {
  CACHECLIP_RETURN_IF_ERROR(TakeTurn(token));
  const absl::Cleanup end_turn = [this] { EndTurn(); };
  CACHECLIP_RETURN_IF_ERROR(RemoveObject(key, token));
  return pins_.RemoveAll(key, token);
}

absl::Status ObjectBudget::RemoveObject(const ChunkKey& key, const CancellationToken& token) {
  const std::string name = ChunkObjectName(key);
  const auto info = client_.Head(name, token);
  if (absl::IsNotFound(info.status())) return absl::OkStatus();
  if (!info.ok()) return info.status();
  CACHECLIP_RETURN_IF_ERROR(client_.Delete(name, token));
  AddToHeld(-info->num_bytes, -1);
  return absl::OkStatus();
}

absl::Status ObjectBudget::ListChunks(const ObjectVisitor& visitor, const CancellationToken& token) {
  Usage listed;
  const int64_t num_changes_before = NumChanges();
  const auto count = [&](const ChunkKey& key, int64_t bytes) {
    std::lock_guard lock(count_mutex_);
    if (const auto put = puts_.find(key); put != puts_.end()) {
      put->second.was_listed = true;
    } else {
      listed.bytes += bytes;
      ++listed.objects;
    }
  };
  std::string page;
  do {
    CACHECLIP_ASSIGN_OR_RETURN(ObjectPage objects,
                               client_.List(kChunkObjectsPrefix, page, kMaxObjectsPerPage, token));
    for (const ObjectInfo& info : objects.objects) {
      const auto key = ParseChunkObjectName(info.name);
      if (!key) continue;  // not ours
      count(*key, info.num_bytes);
      visitor(*key, info);
    }
    if (!objects.next_page.empty() && objects.next_page == page)
      return absl::UnavailableError(absl::StrCat(client_.url(), " lists the same page again and again"));
    page = std::move(objects.next_page);
  } while (!page.empty());
  std::lock_guard lock(count_mutex_);
  if (num_changes_ == num_changes_before) held_ = listed;  // else it is no count of any one moment
  return absl::OkStatus();
}

absl::Status ObjectBudget::ForEach(const ChunkStore::Visitor& visitor, const CancellationToken& token) {
  return ListChunks([&](const ChunkKey& key, const ObjectInfo& info) { visitor(key, info.num_bytes); },
                    token);
}

absl::Status ObjectBudget::FindCandidates(const CancellationToken& token) {
  const auto is_older = [](const ObjectInfo& a, const ObjectInfo& b) { return a.modified < b.modified; };
  std::priority_queue<ObjectInfo, std::vector<ObjectInfo>, decltype(is_older)> oldest(
      is_older);  // youngest on top
  CACHECLIP_RETURN_IF_ERROR(ListChunks(
      [&](const ChunkKey&, const ObjectInfo& info) {
        oldest.push(info);
        if (oldest.size() > kMaxEvictionCandidates) oldest.pop();
      },
      token));
  is_counted_ = true;
  candidates_.clear();
  for (; !oldest.empty(); oldest.pop()) candidates_.push_front(oldest.top());
  return absl::OkStatus();
}

absl::Status ObjectBudget::EvictOne(const CancellationToken& token) {
  const ObjectInfo candidate = std::move(candidates_.front());
  candidates_.pop_front();
  const auto key = ParseChunkObjectName(candidate.name);
  CACHECLIP_CHECK(key.has_value());
  {
    std::lock_guard lock(count_mutex_);
    if (puts_.contains(*key)) return absl::OkStatus();
  }
  const auto now = client_.Head(candidate.name, token);
  if (absl::IsNotFound(now.status())) return absl::OkStatus();  // another process removed it
  if (!now.ok()) return now.status();
  if (now->modified != candidate.modified) return absl::OkStatus();  // used since
  CACHECLIP_ASSIGN_OR_RETURN(const bool is_pinned, pins_.IsPinned(*key, token));
  if (is_pinned) return absl::OkStatus();
  CACHECLIP_RETURN_IF_ERROR(client_.Delete(candidate.name, token));
  AddToHeld(-now->num_bytes, -1);
  std::lock_guard lock(count_mutex_);
  ++evictions_;
  return absl::OkStatus();
}

}  // namespace cacheclip
