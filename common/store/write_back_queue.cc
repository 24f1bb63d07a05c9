#include "common/store/write_back_queue.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/logging.h"
#include "common/base/status.h"
#include "common/store/posix_file.h"

namespace cacheclip {

namespace fs = std::filesystem;

WriteBackQueue::WriteBackQueue(WriteBackOptions options, WriteFunction write)
    : options_(std::move(options)), write_(std::move(write)) {}

absl::StatusOr<std::unique_ptr<WriteBackQueue>> WriteBackQueue::Open(WriteBackOptions options,
                                                                     WriteFunction write) {
  if (options.folder.empty()) return InvalidField("journal_folder", "must not be empty");
  std::error_code error;
  fs::create_directories(options.folder, error);
  if (error) return FileError(error.value(), "make folder", options.folder);
  std::unique_ptr<WriteBackQueue> queue(new WriteBackQueue(std::move(options), std::move(write)));
  CACHECLIP_RETURN_IF_ERROR(queue->ReadFolder());
  return queue;
}

void WriteBackQueue::Start() {
  thread_ = std::thread([this] { Loop(); });
}

WriteBackQueue::~WriteBackQueue() {
  {
    std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

std::string WriteBackQueue::PathOf(const ChunkKey& key, int64_t bytes) const {
  return absl::StrCat(options_.folder, "/", key.ToHex(), ".", bytes);
}

absl::Status WriteBackQueue::ReadFolder() {
  std::error_code error;
  for (fs::directory_iterator file(options_.folder, error), end; !error && file != end;
       file.increment(error)) {
    const std::vector<std::string> parts = absl::StrSplit(file->path().filename().string(), '.');
    int64_t bytes = 0;
    if (parts.size() != 2 || !absl::SimpleAtoi(parts[1], &bytes) || bytes < 0) continue;
    const auto key = ChunkKey::FromHex(parts[0]);
    if (!key.ok() || chunks_.contains(*key)) continue;
    Enqueue(*key, bytes);
  }
  return error ? FileError(error.value(), "list", options_.folder) : absl::OkStatus();
}

absl::Status WriteBackQueue::Add(const ChunkKey& key, int64_t bytes) {
  std::lock_guard lock(mutex_);
  if (const auto it = chunks_.find(key); it != chunks_.end()) {
    if (writing_ != key) return absl::OkStatus();
    // What is being written may be older than a deletion or an unpinning that the caller has seen.
    it->second.number = ++num_entries_;
    if (std::ranges::find(order_, key) == order_.end()) order_.push_back(key);
    return absl::OkStatus();
  }
  if (stats_.queued_bytes + bytes > options_.max_bytes || stats_.queued_chunks >= options_.max_chunks) {
    ++stats_.refused;
    return absl::ResourceExhaustedError(
        absl::StrCat("write-back queue: ", stats_.queued_chunks, " chunks of ", stats_.queued_bytes,
                     " bytes wait already; at most ", options_.max_chunks, " of ", options_.max_bytes));
  }
  const std::string path = PathOf(key, bytes);
  CACHECLIP_RETURN_IF_ERROR(OpenFile(path, O_WRONLY | O_CREAT).status());
  CACHECLIP_RETURN_IF_ERROR(SyncFolder(options_.folder));
  Enqueue(key, bytes);
  changed_.notify_all();
  return absl::OkStatus();
}

void WriteBackQueue::Enqueue(const ChunkKey& key, int64_t bytes) {
  chunks_.emplace(key, Entry{bytes, ++num_entries_});
  order_.push_back(key);
  stats_.queued_bytes += bytes;
  ++stats_.queued_chunks;
}

void WriteBackQueue::Erase(const ChunkKey& key) {
  const auto it = chunks_.find(key);
  if (it == chunks_.end()) return;
  ::unlink(PathOf(key, it->second.bytes).c_str());
  stats_.queued_bytes -= it->second.bytes;
  --stats_.queued_chunks;
  chunks_.erase(it);
  changed_.notify_all();
}

void WriteBackQueue::Forget(const ChunkKey& key) {
  std::lock_guard lock(mutex_);
  Erase(key);
  std::erase(order_, key);
}

bool WriteBackQueue::IsQueued(const ChunkKey& key) const {
  std::lock_guard lock(mutex_);
  return chunks_.contains(key);
}

void WriteBackQueue::Loop() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return is_stopping_ || !order_.empty(); });
    if (retry_delay_ > absl::ZeroDuration())
      changed_.wait_for(lock, absl::ToChronoNanoseconds(retry_delay_),
                        [this] { return is_stopping_ || retry_delay_ == absl::ZeroDuration(); });
    if (is_stopping_) return;
    if (order_.empty()) continue;
    const ChunkKey key = order_.front();
    order_.pop_front();
    const auto it = chunks_.find(key);
    if (it == chunks_.end()) continue;
    const int64_t entry = it->second.number;
    writing_ = key;
    lock.unlock();
    const absl::Status status = write_(key);
    lock.lock();
    writing_.reset();
    Settle(key, entry, status);
    changed_.notify_all();
  }
}

void WriteBackQueue::Settle(const ChunkKey& key, int64_t entry, const absl::Status& status) {
  const auto it = chunks_.find(key);
  const bool is_same = it != chunks_.end() && it->second.number == entry;  // not forgotten, not added anew
  if (status.ok() || absl::IsNotFound(status)) {
    retry_delay_ = absl::ZeroDuration();
    if (!is_same) return;
    ++(status.ok() ? stats_.written : stats_.lost);
    Erase(key);
    if (!status.ok()) {
      CACHECLIP_LOG(Warning) << "write-back: chunk " << key.ToHex() << " is lost: " << status;
    }
    return;
  }
  if (is_same) order_.push_back(key);
  ++stats_.retries;
  retry_delay_ = std::clamp(2 * retry_delay_, options_.first_retry_delay, options_.max_retry_delay);
  CACHECLIP_LOG(Warning) << "write-back: " << stats_.queued_chunks << " chunks wait, next try in "
                         << absl::FormatDuration(retry_delay_) << ": " << status;
}

bool WriteBackQueue::WaitUntilEmpty(absl::Duration timeout) {
  std::unique_lock lock(mutex_);
  retry_delay_ = absl::ZeroDuration();
  changed_.notify_all();
  return changed_.wait_for(lock, absl::ToChronoNanoseconds(timeout),
                           [this] { return chunks_.empty() && !writing_; });
}

WriteBackStats WriteBackQueue::stats() const {
  std::lock_guard lock(mutex_);
  return stats_;
}

}  // namespace cacheclip
