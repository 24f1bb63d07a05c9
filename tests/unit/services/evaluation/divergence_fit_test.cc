#include "services/evaluation/divergence_fit.h"

#include <gtest/gtest.h>

namespace cacheclip {
namespace {

TEST(DivergenceFit, GivesEstimatesTheMeanOfTheMeasured) {
  DivergenceFit fit;
  fit.Add(0.5, 0.1);
  fit.Add(0.25, 0.0);
  fit.Add(0.25, 0.3);
  const double per_stale_mass = fit.per_stale_mass().value();
  EXPECT_DOUBLE_EQ(per_stale_mass * (0.5 + 0.25 + 0.25) / 3, (0.1 + 0.0 + 0.3) / 3);
}

TEST(DivergenceFit, KnowsNothingWithoutStaleMass) {
  DivergenceFit fit;
  EXPECT_FALSE(fit.per_stale_mass().has_value());
  fit.Add(0, 0);
  EXPECT_FALSE(fit.per_stale_mass().has_value());
}

TEST(DivergenceFit, IsNeverNegative) {
  DivergenceFit fit;
  fit.Add(0.5, -1e-9);
  EXPECT_EQ(fit.per_stale_mass(), 0);
}

}  // namespace
}  // namespace cacheclip
