#include "common/store/object/object_fetcher.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace cacheclip {

ObjectFetcher::ObjectFetcher(ObjectClient* client, ObjectFetcherOptions options)
    : client_(*client), options_(std::move(options)) {
  for (int i = 0; i < options_.num_threads; ++i) threads_.emplace_back([this] { Work(); });
}

ObjectFetcher::~ObjectFetcher() { Stop(); }

void ObjectFetcher::Stop() {
  {
    std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  std::deque<Job> left;
  {
    std::lock_guard lock(mutex_);
    left.swap(jobs_);
  }
  for (const Job& job : left) job.fetch->Fail(absl::UnavailableError("the store is closing"));
}

absl::StatusOr<ObjectFetch::Opened> ObjectFetcher::Fetch(const ChunkKey& key, absl::Duration limit,
                                                         bool changes_nothing) {
  ObjectFetchOptions options;
  options.max_chunk_bytes = options_.max_chunk_bytes;
  options.first_read_bytes = options_.first_read_bytes;
  options.range_bytes = options_.range_bytes;
  options.reserve = [this](int64_t bytes) { return Reserve(bytes); };
  options.release = [this](int64_t bytes) {
    std::lock_guard lock(mutex_);
    fetching_bytes_ -= bytes;
  };
  options.on_damaged = [this, key, changes_nothing](const absl::Status& reason) {
    if (!changes_nothing) options_.on_damaged(key, reason);
  };
  options.notes_use = !changes_nothing;
  const auto fetch = std::make_shared<ObjectFetch>(
      &client_, key, options_.clock->Now() + limit, options_.clock, [this] { return is_stopping_.load(); },
      std::move(options));
  {
    std::lock_guard lock(mutex_);
    if (is_stopping_) return absl::UnavailableError("the store is closing");
    if (num_waiting_chunks_ >= options_.max_queued_chunks)
      return absl::UnavailableError(
          absl::StrCat(num_waiting_chunks_, " chunks are waiting to be fetched already"));
    ++num_waiting_chunks_;
    jobs_.push_back({fetch, false});
  }
  changed_.notify_one();
  return fetch->WaitForHeader(absl::Now() + limit);
}

absl::Status ObjectFetcher::Reserve(int64_t bytes) {
  std::lock_guard lock(mutex_);
  if (bytes > options_.max_fetching_bytes - fetching_bytes_)
    return absl::UnavailableError(absl::StrCat(fetching_bytes_,
                                               " bytes of chunks are being fetched already, with ", bytes,
                                               " more than the limit of ", options_.max_fetching_bytes));
  fetching_bytes_ += bytes;
  return absl::OkStatus();
}

void ObjectFetcher::Work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return is_stopping_ || !jobs_.empty(); });
    if (is_stopping_) return;
    const Job job = std::move(jobs_.front());
    jobs_.pop_front();
    if (!job.is_opened) --num_waiting_chunks_;
    lock.unlock();
    if (!job.is_opened) Open(job.fetch);
    job.fetch->ReadRanges();
    lock.lock();
  }
}

// This thread goes on to read ranges; others are asked to help.
void ObjectFetcher::Open(const std::shared_ptr<ObjectFetch>& fetch) {
  fetch->Open();
  const int num_helpers = std::min(fetch->num_ranges(), options_.max_threads_per_chunk) - 1;
  if (num_helpers <= 0) return;
  {
    std::lock_guard lock(mutex_);
    for (int i = 0; i < num_helpers; ++i) jobs_.push_back({fetch, true});
  }
  changed_.notify_all();
}

}  // namespace cacheclip
