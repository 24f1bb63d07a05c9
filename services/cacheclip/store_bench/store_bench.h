// `cacheclip bench store`. Question: at which share of the physical limit does each tier hand out chunks?
// Every tier is measured beside its limit in the same run and in turn (one round of the one, one of the
// other), with as many threads, on the same bytes, checksums as in production:
//
//   memory  hit and assembly into a session's cache against memcpy; the copy that a promotion makes likewise
//   disk    reads, cold and warm, against sequential pread of the same files; writes against write and fsync
//   redis   reads against redis-benchmark with values of a slice's size on the same server
//   object  reads against plain reads of the whole objects, one after the other
//
// Chunks have the shape of the model's KV and made-up payload. Everything written is removed. One thread at
// a time.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "absl/status/statusor.h"
#include "common/base/cancellation.h"
#include "services/runtime/config.h"

namespace cacheclip {

inline constexpr int kMaxBenchChunks = 4096;
inline constexpr int kMaxBenchThreads = 256;

struct StoreBenchOptions {
  int chunk_tokens = 512;
  int num_chunks = 16;
  int repeat = 7;                                                          // medians and ranges are reported
  int num_threads = 0;                                                     // 0 = one per core
  std::vector<std::string> tiers = {"memory", "disk", "redis", "object"};  // in this order
  std::string folder;  // where the disk tier is measured; "" = the data folder
  CancellationToken cancellation = CancellationToken();  // ends the run between two rounds
};

// INVALID_ARGUMENT naming the option.
absl::Status ValidateStoreBench(const StoreBenchOptions& options);

// {"benchmark": "store", …, "results": [row, …], "skipped": [{"tier", "reason"}, …]}, rows as comparison.h
// says.
absl::StatusOr<nlohmann::json> BenchStore(const Config& config, const StoreBenchOptions& options);

// The same as text for people.
std::string StoreBenchTable(const nlohmann::json& report);

}  // namespace cacheclip
