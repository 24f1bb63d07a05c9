#include "services/evaluation/eval_run.h"

#include <fstream>
#include <map>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "common/base/status.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tiny_model.h"

namespace cacheclip {
namespace {

class EvalRunTest : public testing::Test {
 protected:
  EvalRunTest() {
    config_.model = WriteTinyModel(folder_.path() + "/model");
    config_.dtype = "fp32";
    options_ = {.tasks = "seam,niah_single_2",
                .methods = "auxiliary,none,kv_deviation",
                .budgets = {0.2, 0.5},
                .num_samples = 2,
                .context_tokens = 160,
                .chunk_tokens = {40},
                .out = folder_.path() + "/out.jsonl"};
  }

  absl::StatusOr<std::vector<nlohmann::json>> Run(int* num_prepared = nullptr) {
    return RunEvaluation(config_, options_, [&](const EvalProgress& progress) {
      if (num_prepared != nullptr) *num_prepared = progress.samples_done;
    });
  }
  int CountLines() const {
    std::ifstream file(options_.out);
    int count = 0;
    for (std::string line; std::getline(file, line);) ++count;
    return count;
  }

  TempFolder folder_;
  Config config_;
  EvalOptions options_;
};

TEST_F(EvalRunTest, MeasuresEveryCellOnce) {
  const auto records = Run();
  ASSERT_TRUE(records.ok()) << records.status();
  // 2 tasks × 2 samples × (auxiliary at two budgets, none, kv_deviation at the budget that pays for its first
  // layers)
  EXPECT_EQ(records->size(), 2 * 2 * 4);
  EXPECT_EQ(CountLines(), 2 * 2 * 4);
  for (const char* field :
       {"task", "method", "budget", "seed", "answer", "score", "full_score", "full_margin", "kl",
        "estimated_kl", "stale_mass_share", "charged_budget", "seconds"})
    EXPECT_TRUE(records->front().contains(field)) << field;
}

TEST_F(EvalRunTest, GoesOnWhereItWasStopped) {
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(FieldOf(Run().status()), "out") << "nothing is overwritten unasked";
  options_.resume = true;
  options_.num_samples = 3;
  const auto records = Run();
  ASSERT_TRUE(records.ok()) << records.status();
  EXPECT_EQ(records->size(), 2 * 3 * 4) << "old and new";
  EXPECT_EQ(CountLines(), 2 * 3 * 4) << "nothing is measured twice";
  options_.seed = 2;
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(CountLines(), 2 * 2 * 3 * 4) << "another seed is another measurement";
}

TEST_F(EvalRunTest, MeasuresOnceWhatHasTwoNames) {
  options_.methods = "auxiliary,auto,auto+seam=0,auxiliary+seam=0";
  const auto records = Run();
  ASSERT_TRUE(records.ok()) << records.status();
  ASSERT_EQ(records->size(), 2 * 2 * 4 * 2);
  std::map<std::string, std::set<double>> seconds;  // no two runs take the same time to the nanosecond
  for (const nlohmann::json& record : *records)
    seconds[record["method"]].insert(record["seconds"].get<double>());
  EXPECT_EQ(seconds["auto"], seconds["auxiliary"]);
  EXPECT_EQ(seconds["auto+seam=0"], seconds["auxiliary+seam=0"]);
  EXPECT_NE(seconds["auto"], seconds["auto+seam=0"]);
  EXPECT_EQ(CountLines(), 2 * 2 * 4 * 2) << "a line for each name";
}

TEST_F(EvalRunTest, RefusesWhatItCannotRunBeforeItLoadsAModel) {
  options_.tasks = "nonsense";
  EXPECT_EQ(FieldOf(Run().status()), "tasks");
  options_.tasks = "seam";
  options_.methods = "nonsense";
  EXPECT_EQ(FieldOf(Run().status()), "methods");
  options_ = {.tasks = "", .qa_file = "/nowhere"};
  EXPECT_EQ(FieldOf(Run().status()), "qa-file");
}

}  // namespace
}  // namespace cacheclip
