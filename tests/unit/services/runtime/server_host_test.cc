#include "services/runtime/server_host.h"

#include <gtest/gtest.h>

#include <csignal>

#include "common/rpc/shutdown_signal.h"
#include "common/store/tiered_chunk_store.h"
#include "tests/support/fake_tier.h"
#include "tests/support/temp_folder.h"
#include "tests/support/test_chunks.h"

namespace cacheclip {
namespace {

std::shared_ptr<FakeTier> MakeTier() {
  const MemoryChunkStoreOptions options;
  return std::make_shared<FakeTier>(options);
}

// A server with a write-back queue that has already been told to end, before the first retry is due. In a
// process of its own each time: what waits for signals is once per process.
class Drained {
 public:
  explicit Drained(double drain_seconds) {
    config_.port = 0;
    config_.metrics_port = -1;
    config_.drain_seconds = drain_seconds;
    BlockShutdownSignals();
    remote_->FailPutsWith(absl::UnavailableError("away"));
    store_ = TieredChunkStore::Open(
                 {{MakeTier(), Tier::kMemory}, {remote_, Tier::kObject, true}},
                 {.write_mode = WriteMode::kBack,
                  .write_back = {.folder = folder_.path(), .first_retry_delay = absl::Seconds(2)}})
                 .value();
  }

  // How many of three chunks the remote tier got, and how many wait in the folder.
  int RunWithQueuedChunks(bool remote_recovers) {
    for (int seed : {1, 2, 3})
      if (!store_->Put(MakeTestChunk(seed)).ok()) return -1;
    if (remote_recovers) remote_->FailPutsWith(absl::OkStatus());
    auto host = ServerHost::Start(config_, &metrics_, {}).value();
    host->FlushOnExit(store_->write_back());
    pthread_kill(pthread_self(), SIGTERM);
    host->Run("test", /*json=*/false);
    const int64_t num_queued = store_->write_back()->stats().queued_chunks;
    return static_cast<int>(remote_->stats().objects * 10 + num_queued);
  }

 private:
  TempFolder folder_;
  Config config_;
  Metrics metrics_;
  std::shared_ptr<FakeTier> remote_ = MakeTier();
  std::unique_ptr<TieredChunkStore> store_;
};

TEST(ServerHostDeathTest, WritesWhatIsQueuedBeforeItEnds) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(std::_Exit(Drained(60).RunWithQueuedChunks(/*remote_recovers=*/true)),
              testing::ExitedWithCode(30), "3 chunks are queued for remote tiers, writing them");
}

TEST(ServerHostDeathTest, LeavesToTheNextProcessWhatDoesNotFitIntoTheDrain) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(std::_Exit(Drained(0.05).RunWithQueuedChunks(/*remote_recovers=*/false)),
              testing::ExitedWithCode(3), "3 chunks are still queued for remote tiers");
}

}  // namespace
}  // namespace cacheclip
