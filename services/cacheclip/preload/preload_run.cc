#include "services/cacheclip/preload/preload_run.h"

#include <algorithm>
#include <mutex>
#include <random>
#include <set>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/logging.h"
#include "common/base/periodic_task.h"
#include "common/base/status.h"

namespace cacheclip {
namespace {

constexpr absl::Duration kSleepStep = absl::Milliseconds(50);  // cancellation is noticed within this
// Between questions to a queue that fails: doubles, up to a limit; a random part of it is waited.
constexpr absl::Duration kFirstQueueDelay = absl::Milliseconds(250);
constexpr absl::Duration kMaxQueueDelay = absl::Seconds(4);
constexpr absl::Duration kMaxNap = absl::Seconds(1);

bool MayPass(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) ||
         absl::IsResourceExhausted(status) || absl::IsAborted(status);
}

const absl::Status& StatusOf(const absl::Status& status) { return status; }
template <typename T>
const absl::Status& StatusOf(const absl::StatusOr<T>& result) {
  return result.status();
}

class Run {
 public:
  Run(const DocumentSet& documents, WorkQueue& queue, const IngestFunction& ingest,
      const PreloadOptions& options, const CancellationToken& cancellation,
      const PreloadCallback& on_progress)
      : documents_(documents),
        queue_(queue),
        ingest_(ingest),
        options_(options),
        cancellation_(cancellation),
        on_progress_(on_progress),
        keep_alive_([this] { KeepAlive(); }, {.interval = options.keep_alive_interval,
                                              .nap = std::min(kMaxNap, options.keep_alive_interval / 2),
                                              .clock = options.clock}) {}

  absl::StatusOr<PreloadReport> Execute() {
    CACHECLIP_RETURN_IF_ERROR(AskQueue([&] { return queue_.State(); }).status());  // before any work
    keep_alive_.Start();
    std::vector<std::thread> threads;
    for (int i = 0; i < std::max(1, options_.num_threads); ++i) threads.emplace_back([this] { Work(); });
    for (std::thread& thread : threads) thread.join();
    CACHECLIP_RETURN_IF_ERROR(problem_);
    CACHECLIP_ASSIGN_OR_RETURN(report_.progress.job, AskQueue([&] { return queue_.State(); }));
    report_.progress.elapsed = Now() - begin_;
    report_.is_complete = report_.progress.job.done == report_.progress.job.total;
    return std::move(report_);
  }

 private:
  absl::Time Now() const { return options_.clock->Now(); }

  absl::Status SleepUntil(absl::Time time) {
    for (absl::Time now = Now(); now < time; now = Now()) {
      CACHECLIP_RETURN_IF_ERROR(cancellation_.Check());
      options_.sleep(std::min(kSleepStep, time - now));
    }
    return cancellation_.Check();
  }

  // Asks again while a failure may pass: a Redis Cluster takes some seconds to fail over. Every call of the
  // queue may be repeated; an item whose claim was lost on the way back comes again when its lease is over.
  template <typename Call>
  auto AskQueue(const Call& call) -> decltype(call()) {
    const absl::Time give_up = Now() + options_.queue_patience;
    for (absl::Duration limit = kFirstQueueDelay;; limit = std::min(2 * limit, kMaxQueueDelay)) {
      auto result = call();
      const absl::Status& status = StatusOf(result);
      if (status.ok() || !MayPass(status) || Now() >= give_up) return result;
      CACHECLIP_LOG(Warning) << "the job queue: " << status << "; asking again";
      CACHECLIP_RETURN_IF_ERROR(SleepUntil(std::min(give_up, Now() + limit * RandomPart())));
    }
  }

  double RandomPart() {
    std::lock_guard lock(mutex_);
    return std::uniform_real_distribution<double>(0.5, 1)(random_);
  }

  void Hold(int64_t index) {
    std::lock_guard lock(held_mutex_);
    held_.insert(index);
  }
  void LetGo(int64_t index) {
    std::lock_guard lock(held_mutex_);
    held_.erase(index);
  }
  // Under the lock, so that no lease is renewed after its item was given back.
  void KeepAlive() {
    std::lock_guard lock(held_mutex_);
    for (const int64_t index : held_) queue_.KeepAlive(index).IgnoreError();  // the next time, then
  }

  void Work() {
    absl::Status status = WorkUntilFinished();
    std::lock_guard lock(mutex_);
    if (problem_.ok()) problem_ = std::move(status);
  }

  bool HasProblem() {
    std::lock_guard lock(mutex_);
    return !problem_.ok();
  }

  absl::Status WorkUntilFinished() {
    while (!HasProblem()) {
      CACHECLIP_RETURN_IF_ERROR(SleepUntil(NextStart()));
      CACHECLIP_ASSIGN_OR_RETURN(const WorkQueue::Claim claim, AskQueue([&] { return queue_.Next(); }));
      if (claim.answer == WorkQueue::Answer::kFinished) return absl::OkStatus();
      if (claim.answer == WorkQueue::Answer::kWait) {
        CACHECLIP_RETURN_IF_ERROR(SleepUntil(Now() + options_.wait_step));
        continue;
      }
      Hold(claim.index);
      const DocumentResult result = IngestWithRetries(claim.index);
      LetGo(claim.index);
      if (absl::IsCancelled(result.status)) {
        queue_.GiveBack(claim.index).IgnoreError();  // else its lease runs out
        return result.status;
      }
      const std::string failure = result.status.ok() ? "" : result.status.ToString();
      CACHECLIP_RETURN_IF_ERROR(AskQueue([&] { return queue_.Finish(claim.index, failure); }));
      CACHECLIP_RETURN_IF_ERROR(Count(result));
    }
    return absl::OkStatus();
  }

  DocumentResult IngestWithRetries(int64_t index) {
    absl::Duration delay = options_.first_retry_delay;
    for (int attempt = 1;; ++attempt, delay *= 2) {
      DocumentResult result = IngestOnce(index);
      if (result.status.ok() || !MayPass(result.status) || attempt >= options_.max_attempts) return result;
      CACHECLIP_LOG(Warning) << result.document_id << ": " << result.status << "; trying again";
      if (const absl::Status status = SleepUntil(Now() + delay); !status.ok()) {
        result.status = status;
        return result;
      }
    }
  }

  DocumentResult IngestOnce(int64_t index) {
    const absl::StatusOr<SourceDocument> document = documents_.Read(index);
    if (!document.ok()) {
      DocumentResult result{.document_id = absl::StrCat("document ", index)};
      result.status = document.status();
      return result;
    }
    return ingest_(*document, cancellation_);
  }

  // Spreads documents over time as the limits ask: each pays for itself after it was counted.
  absl::Time NextStart() {
    std::lock_guard lock(mutex_);
    return next_start_;
  }

  absl::Status Count(const DocumentResult& result) {
    CACHECLIP_ASSIGN_OR_RETURN(const JobState job, AskQueue([&] { return queue_.State(); }));
    std::lock_guard lock(mutex_);
    PreloadProgress& progress = report_.progress;
    progress.job = job;
    ++progress.documents;
    progress.unchanged += result.unchanged;
    progress.chunks_encoded += result.chunks_encoded;
    progress.chunks_reused += result.chunks_reused;
    progress.tokens += result.num_tokens;
    progress.tokens_encoded += result.tokens_encoded;
    if (!result.status.ok() && report_.failures.size() < kMaxReportedFailures)
      report_.failures.push_back(
          absl::StrCat(result.document_id, ": ", std::string(result.status.message())));
    progress.elapsed = Now() - begin_;
    next_start_ = std::max(next_start_, Now()) + Price(result);
    if (on_progress_) on_progress_(report_);
    return absl::OkStatus();
  }

  absl::Duration Price(const DocumentResult& result) const {
    double seconds = 0;
    if (options_.max_documents_per_second > 0) seconds = 1 / options_.max_documents_per_second;
    if (options_.max_tokens_per_second > 0)
      seconds =
          std::max(seconds, static_cast<double>(result.tokens_encoded) / options_.max_tokens_per_second);
    return absl::Seconds(seconds);
  }

  const DocumentSet& documents_;
  WorkQueue& queue_;
  const IngestFunction& ingest_;
  const PreloadOptions& options_;
  const CancellationToken& cancellation_;
  const PreloadCallback& on_progress_;
  const absl::Time begin_ = Now();

  std::mutex mutex_;  // guards what follows
  absl::Time next_start_ = begin_;
  PreloadReport report_;
  absl::Status problem_;
  std::minstd_rand random_{std::random_device()()};

  std::mutex held_mutex_;
  std::set<int64_t> held_;
  PeriodicTask keep_alive_;  // last: uses all of the above
};

}  // namespace

absl::StatusOr<PreloadReport> RunPreload(const DocumentSet& documents, WorkQueue& queue,
                                         const IngestFunction& ingest, const PreloadOptions& options,
                                         const CancellationToken& cancellation,
                                         const PreloadCallback& on_progress) {
  return Run(documents, queue, ingest, options, cancellation, on_progress).Execute();
}

}  // namespace cacheclip
