// The contract of common/store/chunk_store.h as tests that every tier passes. A tier's test lists
// tests/support/chunk_store_contract.cc among its SRCS and instantiates the suite with a harness:
//
//   INSTANTIATE_TEST_SUITE_P(Memory, ChunkStoreContract,
//   testing::Values(StoreHarnessFactory(MakeMemoryHarness)));
//
// One harness per test; the harness owns the store, its clock and whatever the store needs (folder, server).
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <memory>

#include "common/base/clock.h"
#include "common/store/chunk_store.h"

namespace cacheclip {

struct StoreLimits {
  int64_t max_bytes = int64_t{1} << 30;
  int64_t max_objects = 1000;
};

class StoreHarness {
 public:
  virtual ~StoreHarness() = default;
  virtual ChunkStore& store() = 0;
  FakeClock& clock() { return clock_; }
  // Flips a bit of the stored chunk behind the store's back. False where that is impossible (memory).
  virtual bool Corrupt(const ChunkKey& /*key*/) { return false; }
  // False for a tier on a server of its own, which decides by itself how much it holds and what it evicts:
  // tests of budgets do not apply, and what is held is counted by ForEach() instead of stats().
  virtual bool has_budget() const { return true; }

 private:
  FakeClock clock_;
};

// Fills a harness that is made for these limits.
using StoreHarnessFactory = std::function<std::unique_ptr<StoreHarness>(const StoreLimits& limits)>;

class ChunkStoreContract : public testing::TestWithParam<StoreHarnessFactory> {
 protected:
  ChunkStore& Open(const StoreLimits& limits = {}) {
    harness_ = GetParam()(limits);
    return harness_->store();
  }
  // A store with room for exactly `num_chunks` chunks of MakeTestChunk(seed).
  ChunkStore& OpenForChunks(int64_t num_chunks);

  FakeClock& clock() { return harness_->clock(); }
  StoreHarness& harness() { return *harness_; }
  absl::Time In(absl::Duration duration) { return clock().Now() + duration; }
  // Put, a moment later than everything before.
  absl::Status PutLater(int32_t seed);
  struct Held {
    int64_t objects = 0, bytes = 0;
    friend bool operator==(const Held&, const Held&) = default;
  };
  Held WhatIsHeld();

 private:
  std::unique_ptr<StoreHarness> harness_;
};

}  // namespace cacheclip
