#include "services/cacheclip/preload/preload_run.h"

#include <algorithm>
#include <mutex>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/logging.h"
#include "common/base/status.h"

namespace cacheclip {
namespace {

constexpr absl::Duration kSleepStep = absl::Milliseconds(50);  // cancellation is noticed within this

bool MayPass(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) ||
         absl::IsResourceExhausted(status) || absl::IsAborted(status);
}

absl::Status SleepUntil(absl::Time time, const CancellationToken& cancellation) {
  for (absl::Time now = absl::Now(); now < time; now = absl::Now()) {
    CACHECLIP_RETURN_IF_ERROR(cancellation.Check());
    absl::SleepFor(std::min(kSleepStep, time - now));
  }
  return cancellation.Check();
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
        on_progress_(on_progress) {}

  absl::StatusOr<PreloadReport> Execute() {
    CACHECLIP_ASSIGN_OR_RETURN(const JobState before, queue_.State());
    over_at_begin_ = before.done + before.failed;
    std::vector<std::thread> threads;
    for (int i = 0; i < std::max(1, options_.num_threads); ++i) threads.emplace_back([this] { Work(); });
    for (std::thread& thread : threads) thread.join();
    CACHECLIP_RETURN_IF_ERROR(problem_);
    CACHECLIP_ASSIGN_OR_RETURN(report_.progress.job, queue_.State());
    report_.progress.elapsed = absl::Now() - begin_;
    report_.is_complete = report_.progress.job.done == report_.progress.job.total;
    return std::move(report_);
  }

 private:
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
      CACHECLIP_RETURN_IF_ERROR(SleepUntil(NextStart(), cancellation_));
      CACHECLIP_ASSIGN_OR_RETURN(const WorkQueue::Claim claim, queue_.Next());
      if (claim.answer == WorkQueue::Answer::kFinished) return absl::OkStatus();
      if (claim.answer == WorkQueue::Answer::kWait) {
        CACHECLIP_RETURN_IF_ERROR(SleepUntil(absl::Now() + options_.wait_step, cancellation_));
        continue;
      }
      const DocumentResult result = IngestWithRetries(claim.index);
      if (absl::IsCancelled(result.status)) {
        queue_.GiveBack(claim.index).IgnoreError();  // else its lease runs out
        return result.status;
      }
      CACHECLIP_RETURN_IF_ERROR(
          queue_.Finish(claim.index, result.status.ok() ? "" : result.status.ToString()));
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
      queue_.KeepAlive(index).IgnoreError();
      if (const absl::Status status = SleepUntil(absl::Now() + delay, cancellation_); !status.ok()) {
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
    return ingest_(*document, cancellation_,
                   [&](const DocumentProgress&) { queue_.KeepAlive(index).IgnoreError(); });
  }

  // Spreads documents over time as the limits ask: each pays for itself after it was counted.
  absl::Time NextStart() {
    std::lock_guard lock(mutex_);
    return next_start_;
  }

  absl::Status Count(const DocumentResult& result) {
    CACHECLIP_ASSIGN_OR_RETURN(const JobState job, queue_.State());
    std::lock_guard lock(mutex_);
    PreloadProgress& progress = report_.progress;
    progress.job = job;
    ++progress.documents;
    progress.unchanged += result.unchanged;
    progress.chunks_encoded += result.chunks_encoded;
    progress.chunks_reused += result.chunks_reused;
    progress.tokens += result.num_tokens;
    if (!result.status.ok() && report_.failures.size() < kMaxReportedFailures)
      report_.failures.push_back(
          absl::StrCat(result.document_id, ": ", std::string(result.status.message())));
    const absl::Time now = absl::Now();
    progress.elapsed = now - begin_;
    const int64_t over = job.done + job.failed - over_at_begin_;
    if (over > 0)
      progress.remaining = progress.elapsed * (static_cast<double>(job.total - job.done - job.failed) /
                                               static_cast<double>(over));
    double seconds = 0;
    if (options_.max_documents_per_second > 0) seconds = 1 / options_.max_documents_per_second;
    if (options_.max_tokens_per_second > 0 && result.chunks_encoded > 0)
      seconds = std::max(seconds, static_cast<double>(result.num_tokens) / options_.max_tokens_per_second);
    next_start_ = std::max(next_start_, now) + absl::Seconds(seconds);
    if (on_progress_) on_progress_(report_);
    return absl::OkStatus();
  }

  const DocumentSet& documents_;
  WorkQueue& queue_;
  const IngestFunction& ingest_;
  const PreloadOptions& options_;
  const CancellationToken& cancellation_;
  const PreloadCallback& on_progress_;
  const absl::Time begin_ = absl::Now();

  std::mutex mutex_;  // guards what follows
  absl::Time next_start_ = begin_;
  PreloadReport report_;
  absl::Status problem_;
  int64_t over_at_begin_ = 0;
};

}  // namespace

absl::StatusOr<PreloadReport> RunPreload(const DocumentSet& documents, WorkQueue& queue,
                                         const IngestFunction& ingest, const PreloadOptions& options,
                                         const CancellationToken& cancellation,
                                         const PreloadCallback& on_progress) {
  return Run(documents, queue, ingest, options, cancellation, on_progress).Execute();
}

}  // namespace cacheclip
