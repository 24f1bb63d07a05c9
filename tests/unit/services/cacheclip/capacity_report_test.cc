#include "services/cacheclip/capacity_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cacheclip {
namespace {

using testing::HasSubstr;

CapacityInput Input() {
  CapacityInput input;
  input.kv_shape = {.num_layers = 30, .num_kv_heads = 3, .head_dim = 64, .dtype = KvDtype::kBf16};
  input.num_parameters = 135'000'000;
  input.num_documents = 10;
  input.corpus_tokens = 10'240;
  input.prefill_tokens_per_second = 1000;
  return input;
}

TEST(CapacityReport, WritesBytesWithThreeDigitsAtMost) {
  EXPECT_EQ(ByteText(0), "0 B");
  EXPECT_EQ(ByteText(1023), "1023 B");
  EXPECT_EQ(ByteText(1024), "1.0 KiB");
  EXPECT_EQ(ByteText(11.25 * 1048576), "11.2 MiB");
  EXPECT_EQ(ByteText(1023.9 * 1024), "1.0 MiB");
}

TEST(CapacityReport, JsonCarriesEveryTierAndWhereSpeedsCameFrom) {
  const auto plan = PlanCapacity(Input());
  ASSERT_TRUE(plan.ok()) << plan.status();
  const nlohmann::json object = CapacityJson(Input(), *plan, {.prefill = "measured"});
  EXPECT_EQ(object["bytes_per_token"], 23040);
  ASSERT_EQ(object["tiers"].size(), 4);
  EXPECT_EQ(object["tiers"][0]["tier"], "memory");
  EXPECT_EQ(object["tiers"][3]["tier"], "object");
  EXPECT_EQ(object["speeds"]["prefill_source"], "measured");
  EXPECT_EQ(object["speeds"]["decode_source"], "assumed");
  EXPECT_EQ(object["generation_replicas"], plan->generation_replicas);
}

TEST(CapacityReport, TableShowsWhatIsEncodedAgain) {
  CapacityInput input = Input();
  const std::string with_tiers = CapacityTable(input, *PlanCapacity(input), {});
  EXPECT_THAT(with_tiers, HasSubstr("22.5 KiB"));
  EXPECT_THAT(with_tiers, Not(HasSubstr("encoded again")));
  input.max_memory_bytes = input.max_disk_bytes = input.max_redis_bytes = 0;
  input.has_object_store = false;
  EXPECT_THAT(CapacityTable(input, *PlanCapacity(input), {}),
              HasSubstr("100.0 % of look-ups are encoded again"));
}

}  // namespace
}  // namespace cacheclip
