#include "services/runtime/server_host.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <functional>
#include <thread>

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

// Calls `then` when this process writes `text` to stderr, which goes on to where it went.
void WhenLogged(const std::string& text, std::function<void()> then) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const int before = dup(STDERR_FILENO);
  ASSERT_GE(dup2(ends[1], STDERR_FILENO), 0);
  std::thread([=, from = ends[0]] {
    std::string seen(4096, '\0');
    size_t num_seen = 0;
    for (ssize_t n; (n = read(from, &seen[num_seen], 4096)) > 0; seen.resize(num_seen + 4096)) {
      if (write(before, &seen[num_seen], n) != n) return;
      num_seen += n;
      if (seen.find(text) != std::string::npos) then();
    }
  }).detach();
}

// A server with a write-back queue that has already been told to end. In a process of its own each time: what
// waits for signals is once per process.
class Drained {
 public:
  explicit Drained(double drain_seconds) {
    config_.port = 0;
    config_.metrics_port = -1;
    config_.drain_seconds = drain_seconds;
    BlockShutdownSignals();
    store_ =
        TieredChunkStore::Open({{MakeTier(), Tier::kMemory}, {remote_, Tier::kObject, true}},
                               {.write_mode = WriteMode::kBack, .write_back = {.folder = folder_.path()}})
            .value();
  }

  // How many of three chunks the remote tier got, and how many wait in the folder. The tier takes none before
  // the server says that it waits for it.
  int RunWithQueuedChunks(bool remote_recovers) {
    if (remote_recovers) {
      remote_->puts_closed = true;
      WhenLogged("writing them", [this] { remote_->puts_closed = false; });
    } else {
      remote_->FailPutsWith(absl::UnavailableError("away"));
    }
    for (int seed : {1, 2, 3})
      if (!store_->Put(MakeTestChunk(seed)).ok()) return -1;
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
