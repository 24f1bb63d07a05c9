// What holds for every attention kernel; attention_fp32_test.cc and attention_avx512_test.cc name them.
#include "tests/unit/common/model/kernels/attention_problem.h"

namespace cacheclip {
namespace {

TEST_P(Attention, EveryRowOfACausalPrefill) {
  for (int n : {1, 15, 16, 17, 63, 64, 65, 300}) EXPECT_TRUE(Of(n, AllRows(n)).Holds()) << n;
}

TEST_P(Attention, FewRowsAtTheEnd) {
  for (int rows = 1; rows <= 17; ++rows) EXPECT_TRUE(Of(203, LastRows(203, rows)).Holds()) << rows;
}

TEST_P(Attention, RowsSpreadOverTheCache) {
  const int n = 700;
  EXPECT_TRUE(Of(n, {0}).Holds());
  EXPECT_TRUE(Of(n, {0, n / 3, n / 2, n / 2 + 1, n - 1}).Holds());
  EXPECT_TRUE(Of(n, {0, 1, 2, 3, 4, 63, 64, 65, 127, 128, 350, n - 2, n - 1}).Holds());
}

TEST_P(Attention, WindowsOfEightRows) {
  std::vector<int32_t> rows;
  for (int window : {0, 3, 4, 20, 41, 42, 43})
    for (int i = 0; i < 8; ++i) rows.push_back(window * 8 + i);
  EXPECT_TRUE(Of(400, rows).Holds());
}

TEST_P(Attention, SharpScores) {
  EXPECT_TRUE(Of(200, AllRows(200), {.query_scale = 30}).Holds());
  EXPECT_TRUE(Of(200, LastRows(200, 2), {.query_scale = 30}).Holds());
}

TEST_P(Attention, RisingAndFallingScores) {  // the running maximum moves at every tile, or never again
  for (float ramp : {40.0f, -40.0f})
    for (int rows : {1, 200})
      EXPECT_TRUE(Of(200, LastRows(200, rows), {.query_offset = 1, .key_ramp = ramp}).Holds())
          << ramp << " " << rows;
}

TEST_P(Attention, SlotsOfLessWeight) {
  for (float step : {-3.0f, 5.0f})
    for (int rows : {1, 200})
      EXPECT_TRUE(Of(200, LastRows(200, rows), {.bias_step = step}).Holds()) << step << " " << rows;
}

TEST_P(Attention, LocalHeadsLeaveOutWhatStandsFar) {
  std::vector<int32_t> spread;  // in one panel some rows attend to a block that others leave out
  for (int slot = 5; slot < 1000; slot += 1 + slot * 7 % 23) spread.push_back(slot);
  for (const std::vector<int32_t>& rows : {AllRows(700), spread, LastRows(1000, 40)})
    for (const int window : {1, 130, 400})
      for (const int num_other_rows : {0, 3, 30})
        EXPECT_TRUE(Of(1000, rows).WithLocalHeads(window, num_other_rows).Holds(2))
            << rows.size() << " " << window << " " << num_other_rows;
}

TEST_P(Attention, LongContextCutInKeyRangesForSeveralThreads) {
  for (int threads : {1, 2, 3})
    for (int rows : {1, 40}) EXPECT_TRUE(Of(1500, LastRows(1500, rows)).Holds(threads)) << threads;
}

TEST_P(Attention, KeyRangesOfMoreThreadsThanHeads) {  // that whole vectors do not divide evenly
  EXPECT_TRUE(Of(5121, LastRows(5121, 1)).Holds(20));
}

TEST_P(Attention, SameBitsEachTime) {
  const Problem problem = Of(300, LastRows(300, 33));
  EXPECT_EQ(problem.Run(2), problem.Run(2));
}

TEST_P(AttentionOfRandomShapes, MeetsTheBound) {
  const Kernel kernel = GetParam();
  if (!MachineHas(kernel.isa)) GTEST_SKIP() << "this CPU lacks " << kernel.name;
  std::mt19937 random(7);
  const auto pick = [&](int low, int high) {
    return low + static_cast<int>(random() % static_cast<unsigned>(high - low + 1));
  };
  for (int round = 0; round < 60; ++round) {
    const int n = pick(1, round % 10 ? 300 : 1500), kv_heads = pick(1, 3);
    const Shape shape{kv_heads * pick(1, 9), kv_heads, 64 * pick(1, 2)};
    std::vector<int32_t> rows = AllRows(n);
    std::shuffle(rows.begin(), rows.end(), random);
    rows.resize(static_cast<size_t>(pick(1, std::min(n, 100))));
    std::sort(rows.begin(), rows.end());
    const Scores scores{.query_scale = pick(0, 3) ? 1.0f : 10.0f,
                        .bias_step = static_cast<float>(pick(-2, 2))};
    Problem problem(kernel, shape, n, rows, scores, 100u + static_cast<uint32_t>(round));
    const bool has_many_lanes = static_cast<int>(rows.size()) * (shape.num_heads / kv_heads) > 16;
    if (has_many_lanes && pick(0, 1) == 1) problem.WithLocalHeads(pick(1, n), pick(0, 20));
    EXPECT_TRUE(problem.Holds(pick(1, 2))) << "round " << round;
  }
}

}  // namespace
}  // namespace cacheclip
