// The loop of `cacheclip preload`: takes documents from a queue, has them ingested, says how far it is. Each
// is ingested at most once unless its worker died, and ingesting one again is no work where its chunks are
// stored. What fails for a reason that passes (a store that is down or full) is tried again a few times; then
// it counts as failed, and the rest goes on. While documents are worked on, their leases are renewed by a
// timer, however long a chunk takes. Thread-safe pieces, one run per call.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/base/cancellation.h"
#include "common/base/clock.h"
#include "common/ingest/ingest_pipeline.h"
#include "services/cacheclip/documents/document_set.h"
#include "services/cacheclip/preload/work_queue.h"

namespace cacheclip {

struct PreloadOptions {
  int num_threads = 2;                  // documents at once: one computes while another is read and stored
  double max_documents_per_second = 0;  // of this worker; 0 = no limit
  double max_tokens_per_second = 0;     // likewise, tokens that had to be encoded
  int max_attempts = 4;                 // of a document that fails for a reason that may pass
  absl::Duration first_retry_delay = absl::Milliseconds(500);  // doubles
  absl::Duration wait_step = absl::Milliseconds(200);          // between questions while others finish
  absl::Duration queue_patience = absl::Seconds(30);  // a queue that fails over is asked again for so long
  absl::Duration keep_alive_interval = absl::Seconds(15);  // well within the queue's lease
  const Clock* clock = RealClock();
  std::function<void(absl::Duration)> sleep = [](absl::Duration time) { absl::SleepFor(time); };
};

struct PreloadProgress {
  JobState job;           // where the queue is shared, of all workers
  int64_t documents = 0;  // of this worker, like the following
  int64_t tokens = 0, tokens_encoded = 0, chunks_encoded = 0, chunks_reused = 0, unchanged = 0;
  absl::Duration elapsed;
};

struct PreloadReport {
  PreloadProgress progress;
  std::vector<std::string> failures;  // "document: reason" of this worker; at most kMaxReportedFailures
  bool is_complete = false;           // every document of the job was done, by this worker or another
};
inline constexpr size_t kMaxReportedFailures = 1000;

using IngestFunction = std::function<DocumentResult(const SourceDocument&, const CancellationToken&)>;
using PreloadCallback =
    std::function<void(const PreloadReport& so_far)>;  // after each document; one at a time

// CANCELLED when the token was; what was being worked on is given back to the queue. Errors of the queue.
absl::StatusOr<PreloadReport> RunPreload(const DocumentSet& documents, WorkQueue& queue,
                                         const IngestFunction& ingest, const PreloadOptions& options,
                                         const CancellationToken& cancellation,
                                         const PreloadCallback& on_progress);

}  // namespace cacheclip
