#include "services/evaluation/quality_probe.h"

#include <gtest/gtest.h>

#include "common/base/status.h"
#include "common/select/divergence.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tiny_model.h"

namespace cacheclip {
namespace {

class QualityProbeTest : public testing::Test {
 protected:
  QualityProbeTest() {
    config_.model = WriteTinyModel(folder_.path() + "/model");
    config_.dtype = "fp32";
  }
  const QualityProbeOptions small_ = {
      .tasks = "seam", .num_samples = 2, .context_tokens = 160, .chunk_tokens = 40, .budget = 0.5};
  TempFolder folder_;
  Config config_;
};

TEST_F(QualityProbeTest, MeasuresReuseBesideNoRecompute) {
  const auto report = ProbeQuality(config_, small_);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->num_samples, 2);
  EXPECT_GT(report->none_kl, 0);
  EXPECT_GE(report->top1_agreement, 0);
  EXPECT_LE(report->top1_agreement, 1);
  EXPECT_GT(report->estimated_kl, 0);
  ASSERT_TRUE(report->divergence_per_stale_mass.has_value());
  EXPECT_NEAR(report->estimated_kl * *report->divergence_per_stale_mass,
              report->reuse_kl * kDefaultDivergencePerStaleMass, 1e-9)
      << "with the fitted coefficient the estimate is the KL";
}

TEST_F(QualityProbeTest, RecomputingEverythingIsFullPrefill) {
  QualityProbeOptions all = small_;
  all.budget = 1;
  const auto report = ProbeQuality(config_, all);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_LT(report->reuse_kl, 1e-5);
  EXPECT_EQ(report->top1_agreement, 1);
}

TEST_F(QualityProbeTest, WithoutABoundNothingIsMeasured) {
  config_.model = "/nowhere";
  EXPECT_EQ(ReasonAgainstReuse(config_, true).value(), "");
  config_.max_divergence = 0.1;
  EXPECT_EQ(FieldOf(ReasonAgainstReuse(config_, true).status()), "model");
}

}  // namespace
}  // namespace cacheclip
