#include "common/telemetry/metrics_families.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

namespace cacheclip {
namespace {

TEST(MetricsFamilies, NamesFollowTheConventions) {
  prometheus::Registry registry;
  const MetricsFamilies families(registry);
  families.request_success.Add({{"finished_reason", "stop"}});
  std::set<std::string> names;
  for (const prometheus::MetricFamily& family : registry.Collect()) {
    EXPECT_TRUE(names.insert(family.name).second) << family.name << " twice";
    EXPECT_TRUE(family.name.starts_with(kMetricPrefix)) << family.name;
    EXPECT_FALSE(family.help.empty()) << family.name;
    const bool is_counter = family.type == prometheus::MetricType::Counter;
    EXPECT_EQ(family.name.ends_with("_total"), is_counter) << family.name;
    if (!is_counter) {
      EXPECT_TRUE(family.name.ends_with("_seconds") || family.name.ends_with("_nats")) << family.name;
    }
  }
}

TEST(MetricsFamilies, BucketsAscend) {
  for (const auto& buckets : {LatencyBuckets(), DivergenceBuckets()})
    EXPECT_TRUE(std::is_sorted(buckets.begin(), buckets.end()));
}

}  // namespace
}  // namespace cacheclip
