// What Metrics holds, shared with its HTTP endpoint. Internal to common/telemetry. Thread-safe.
#pragma once

#include <functional>
#include <mutex>
#include <vector>

#include <prometheus/metric_family.h>
#include <prometheus/registry.h>

#include "common/telemetry/metrics.h"
#include "common/telemetry/metrics_families.h"

namespace cacheclip {

class Metrics::Impl {
 public:
  Impl() : families(registry) {}
  std::vector<prometheus::MetricFamily> Collect() const;

  prometheus::Registry registry;
  MetricsFamilies families;
  mutable std::mutex mutex;  // guards the sources
  std::function<LoadGauges()> load_source;
  std::function<std::vector<StoreGauges>()> store_source;
  std::function<WriteBackGauges()> write_back_source;
};

}  // namespace cacheclip
