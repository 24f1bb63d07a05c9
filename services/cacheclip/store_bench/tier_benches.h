// The parts of `cacheclip bench store`, one for each tier; store_bench.cc calls them. Each adds its rows to
// the report and removes what it wrote. Functions; one at a time.
#pragma once

#include <memory>
#include <string>

#include <nlohmann/json.hpp>

#include "absl/status/statusor.h"
#include "common/model/language_model.h"
#include "services/cacheclip/store_bench/sample_chunks.h"
#include "services/cacheclip/store_bench/store_bench.h"
#include "services/runtime/config.h"

namespace cacheclip {

struct StoreBench {
  const Config& config;
  const StoreBenchOptions& options;  // num_threads is not 0
  std::shared_ptr<const LanguageModel> model;
  const SampleChunks& chunks;
  nlohmann::json& rows;
  std::string folder;  // exists; for files
};

// UNAVAILABLE, with the reason, where the machine has not what it takes: the tier is skipped.
absl::Status BenchMemoryTier(const StoreBench& bench);
absl::Status BenchDiskTier(const StoreBench& bench);
absl::Status BenchRedisTier(const StoreBench& bench);
absl::Status BenchObjectTier(const StoreBench& bench);

}  // namespace cacheclip
