#include "services/evaluation/comparison.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace cacheclip {
namespace {

nlohmann::json Record(int sample, const std::string& method, double budget, double kl) {
  return {{"task", "seam"}, {"sample", sample}, {"seed", 1},        {"context", 1500},
          {"chunk", 256},   {"method", method}, {"budget", budget}, {"kl", kl}};
}

TEST(Comparison, TellsAChangeForTheWorseFromNoise) {
  std::vector<nlohmann::json> before, worse, same;
  for (int sample = 0; sample < 20; ++sample) {
    const double kl = 0.01 * (sample % 5), up_and_down = sample % 2 == 0 ? 0.002 : -0.002;
    before.push_back(Record(sample, "auto", 0.2, kl));
    worse.push_back(Record(sample, "auto", 0.2, kl + 0.005));
    same.push_back(Record(sample, "auto", 0.2, kl + up_and_down));
  }
  const std::vector<KlChange> changes = CompareKl(before, worse);
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(changes[0].num_samples, 20);
  EXPECT_NEAR(changes[0].new_kl - changes[0].old_kl, 0.005, 1e-12);
  EXPECT_TRUE(changes[0].is_worse());
  EXPECT_FALSE(CompareKl(before, same).front().is_worse());
  EXPECT_FALSE(CompareKl(worse, before).front().is_worse()) << "better is not worse";
}

TEST(Comparison, LetsARiseWithinTheMarginPass) {
  std::vector<nlohmann::json> before, after;
  for (int sample = 0; sample < 20; ++sample) {
    before.push_back(Record(sample, "auto", 0.2, 0.1));
    after.push_back(Record(sample, "auto", 0.2, 0.105));  // each 5 % more
  }
  EXPECT_TRUE(CompareKl(before, after).front().is_worse());
  EXPECT_TRUE(CompareKl(before, after, 0.04).front().is_worse());
  EXPECT_FALSE(CompareKl(before, after, 0.06).front().is_worse());
}

TEST(Comparison, PairsSamplesThatBothHave) {
  const std::vector<nlohmann::json> before = {Record(0, "auto", 0.2, 1), Record(1, "auto", 0.2, 2),
                                              Record(0, "none", 0, 5)};
  const std::vector<nlohmann::json> after = {Record(1, "auto", 0.2, 3), Record(2, "auto", 0.2, 9),
                                             Record(1, "auto", 0.1, 7)};
  const std::vector<KlChange> changes = CompareKl(before, after);
  ASSERT_EQ(changes.size(), 1u) << "one cell has a sample in common";
  EXPECT_EQ(changes[0].num_samples, 1);
  EXPECT_EQ(changes[0].old_kl, 2);
  EXPECT_EQ(changes[0].new_kl, 3);
  EXPECT_FALSE(changes[0].is_worse()) << "one sample says nothing";
}

TEST(BootstrapMean, HoldsTheMeanAndNarrowsWithMoreValues) {
  std::vector<double> few, many;
  for (int i = 0; i < 400; ++i) {
    if (i < 8) few.push_back(i % 4);
    many.push_back(i % 4);
  }
  const Interval wide = BootstrapMean(few), narrow = BootstrapMean(many);
  EXPECT_LT(wide.low, 1.5);
  EXPECT_GT(wide.high, 1.5);
  EXPECT_LT(narrow.high - narrow.low, (wide.high - wide.low) / 3);
}

}  // namespace
}  // namespace cacheclip
