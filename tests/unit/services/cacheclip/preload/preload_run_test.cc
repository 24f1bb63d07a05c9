#include "services/cacheclip/preload/preload_run.h"

#include <atomic>
#include <fstream>
#include <map>
#include <mutex>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "tests/support/poll.h"
#include "tests/support/temp_folder.h"

namespace cacheclip {
namespace {

using testing::HasSubstr;

class PreloadRun : public testing::Test {
 protected:
  explicit PreloadRun() {
    const std::string path = folder_.path() + "/documents.jsonl";
    std::ofstream file(path);
    for (int i = 0; i < 10; ++i) file << absl::StrCat("{\"id\": \"", i, "\", \"text\": \"text\"}\n");
    file << "no document\n";
    file.close();
    documents_ = DocumentSet::Open({path}).value();
    options_.clock = &clock_;
    options_.sleep = [this](absl::Duration time) { clock_.Advance(time); };
  }

  absl::StatusOr<PreloadReport> Run(WorkQueue& queue, const CancellationToken& token = CancellationToken()) {
    const IngestFunction ingest = [&](const SourceDocument& document, const CancellationToken& cancellation) {
      {
        std::lock_guard lock(mutex_);
        ++num_ingested_[document.document_id];
      }
      DocumentResult result{.document_id = document.document_id, .num_chunks = 1, .chunks_encoded = 1};
      result.num_tokens = 7;
      result.tokens_encoded = 4;
      result.status = on_ingest_ ? on_ingest_(document.document_id) : absl::OkStatus();
      if (result.status.ok()) result.status = cancellation.Check();
      return result;
    };
    return RunPreload(documents_, queue, ingest, options_, token, on_progress_);
  }

  FakeClock clock_;
  TempFolder folder_;
  DocumentSet documents_;
  PreloadOptions options_;
  std::mutex mutex_;
  std::map<std::string, int> num_ingested_;
  std::function<absl::Status(const std::string& id)> on_ingest_;
  PreloadCallback on_progress_;
};

TEST_F(PreloadRun, IngestsEachDocumentOnceAndReportsTheBadOne) {
  ShardQueue queue(documents_.size(), 1, 1);
  const auto report = Run(queue);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(num_ingested_.size(), 10);
  for (const auto& [id, count] : num_ingested_) EXPECT_EQ(count, 1) << id;
  EXPECT_EQ(report->progress.job.done, 10);
  EXPECT_EQ(report->progress.job.failed, 1);
  EXPECT_EQ(report->progress.tokens, 70);
  ASSERT_EQ(report->failures.size(), 1);
  EXPECT_THAT(report->failures[0], HasSubstr("documents.jsonl:11"));
  EXPECT_FALSE(report->is_complete);
}

TEST_F(PreloadRun, TriesAgainWhatMayPassAndGivesUpInTheEnd) {
  on_ingest_ = [&](const std::string& id) {
    std::lock_guard lock(mutex_);
    if (id == "3" && num_ingested_[id] < 3) return absl::UnavailableError("store is down");
    if (id == "4") return absl::ResourceExhaustedError("disk full");
    if (id == "5") return absl::InvalidArgumentError("no text");
    return absl::OkStatus();
  };
  ShardQueue queue(documents_.size(), 1, 1);
  const auto report = Run(queue);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(num_ingested_["3"], 3);
  EXPECT_EQ(num_ingested_["4"], options_.max_attempts);
  EXPECT_EQ(num_ingested_["5"], 1);
  EXPECT_EQ(report->progress.job.failed, 3) << "4, 5 and the line that is no document";
}

TEST_F(PreloadRun, ACancelledRunGivesBackWhatItWasAt) {
  class Queue : public ShardQueue {
   public:
    using ShardQueue::ShardQueue;
    absl::Status GiveBack(int64_t) override {
      ++num_given_back;
      return absl::OkStatus();
    }
    std::atomic<int> num_given_back{0};
  };
  options_.num_threads = 1;
  CancellationToken token;
  on_ingest_ = [&](const std::string& id) {
    if (id == "2") token.Cancel();
    return absl::OkStatus();
  };
  Queue queue(documents_.size(), 1, 1);
  EXPECT_EQ(Run(queue, token).status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(queue.num_given_back, 1);
  EXPECT_EQ(queue.State()->done, 2);
}

// Answers UNAVAILABLE until a time.
class QueueThatFailsOver : public ShardQueue {
 public:
  QueueThatFailsOver(int64_t total, const Clock* clock, absl::Time until)
      : ShardQueue(total, 1, 1), clock_(clock), until_(until) {}
  absl::StatusOr<Claim> Next() override {
    if (clock_->Now() < until_) return absl::UnavailableError("Redis is down");
    return ShardQueue::Next();
  }

 private:
  const Clock* const clock_;
  const absl::Time until_;
};

TEST_F(PreloadRun, OutlastsAQueueThatFailsOver) {
  QueueThatFailsOver queue(documents_.size(), &clock_, clock_.Now() + absl::Seconds(20));
  const auto report = Run(queue);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->progress.job.done, 10);
}

TEST_F(PreloadRun, StopsWhenTheQueueStaysAway) {
  const absl::Time begin = clock_.Now();
  QueueThatFailsOver queue(documents_.size(), &clock_, absl::InfiniteFuture());
  EXPECT_EQ(Run(queue).status(), absl::UnavailableError("Redis is down"));
  EXPECT_GE(clock_.Now() - begin, options_.queue_patience);
}

TEST_F(PreloadRun, RenewsALeaseWhileADocumentIsWorkedOn) {
  class Queue : public ShardQueue {
   public:
    using ShardQueue::ShardQueue;
    absl::Status KeepAlive(int64_t index) override {
      if (index == 2) ++num_renewals;
      return absl::OkStatus();
    }
    std::atomic<int> num_renewals{0};
  };
  Queue queue(documents_.size(), 1, 1);
  options_.num_threads = 1;
  options_.keep_alive_interval = absl::Milliseconds(10);
  on_ingest_ = [&](const std::string& id) {
    if (id != "2") return absl::OkStatus();
    const bool is_renewed = PollUntil([&] {
      clock_.Advance(absl::Milliseconds(10));
      return queue.num_renewals >= 3;  // one chunk that takes long
    });
    return is_renewed ? absl::OkStatus() : absl::InternalError("the lease was not renewed");
  };
  EXPECT_EQ(Run(queue)->progress.job.done, 10);
}

TEST_F(PreloadRun, HoldsItselfToDocumentsPerSecond) {
  options_.num_threads = 1;
  options_.max_documents_per_second = 2;
  const absl::Time begin = clock_.Now();
  ShardQueue queue(documents_.size(), 1, 1);
  ASSERT_TRUE(Run(queue).ok());
  EXPECT_EQ(clock_.Now() - begin, absl::Seconds(5.5)) << "11 lines";
}

TEST_F(PreloadRun, PaysForTheTokensThatWereEncodedOnly) {
  options_.num_threads = 1;
  options_.max_tokens_per_second = 4;  // of the 7 tokens of a document 4 are encoded
  const absl::Time begin = clock_.Now();
  ShardQueue queue(documents_.size(), 1, 1);
  const auto report = Run(queue);
  EXPECT_EQ(clock_.Now() - begin, absl::Seconds(10));
  EXPECT_EQ(report->progress.tokens_encoded, 40);
}

}  // namespace
}  // namespace cacheclip
