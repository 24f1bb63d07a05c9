// GenerateHarness on a stack of tiers: everything ingested lies in a remote tier that a test can break
// (tests/support/fake_tier.h), behind an empty memory tier. Time stands still unless the test moves it, so
// nothing is late by accident. One test at a time.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/store/tiered_chunk_store.h"
#include "tests/support/fake_tier.h"
#include "tests/support/generate_harness.h"
#include "tests/support/poll.h"

namespace cacheclip {

struct TieredHarness {
  explicit TieredHarness(TokenSelector* selector = nullptr, GenerationEngineOptions options = {})
      : harness(selector, options, &clock) {
    EXPECT_TRUE(harness.server.store
                    .ForEach([&](const ChunkKey& key, int64_t) {
                      EXPECT_TRUE(redis->Put(harness.server.store.Get(key)->chunk).ok());
                    })
                    .ok());
    stack = TieredChunkStore::Open({{memory, Tier::kMemory}, {redis, Tier::kRedis, true}}, {.clock = &clock})
                .value();
    harness.server.runtime.store = stack.get();
  }

  std::vector<std::string> Reasons(const Usage& usage) const {
    std::vector<std::string> reasons;
    for (const Fallback& fallback : usage.fallbacks) reasons.push_back(fallback.reason);
    return reasons;
  }
  int64_t Decisions(const Usage& usage, std::string_view decision, std::string_view reason) const {
    for (const LoadDecision& counted : usage.load_decisions)
      if (counted.decision == decision && counted.reason == reason) return counted.num_chunks;
    return 0;
  }

  FakeClock clock;
  std::shared_ptr<MemoryChunkStore> memory =
      std::make_shared<MemoryChunkStore>(MemoryChunkStoreOptions{.clock = &clock});
  std::shared_ptr<FakeTier> redis = std::make_shared<FakeTier>(MemoryChunkStoreOptions{.clock = &clock});
  std::unique_ptr<TieredChunkStore> stack;
  GenerateHarness harness;  // last: its threads use what stands above
};

// Runs `step` on every arrival of the tier, again and again, on a thread of its own until it is destroyed.
class ArrivalDriver {
 public:
  ArrivalDriver(FakeTier* tier, std::function<void(size_t index, ChunkArrival& arrival)> step)
      : thread_([this, tier, step = std::move(step)] {
          while (!done_) {
            const auto arrivals = tier->arrivals();
            for (size_t i = 0; i < arrivals.size(); ++i) step(i, *arrivals[i]);
            std::this_thread::yield();
          }
        }) {}
  ~ArrivalDriver() {
    done_ = true;
    thread_.join();
  }

 private:
  std::atomic<bool> done_{false};
  std::thread thread_;
};

}  // namespace cacheclip
