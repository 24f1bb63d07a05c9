#include "services/runtime/model_profile.h"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "common/base/status.h"
#include "tests/support/temp_folder.h"

namespace cacheclip {
namespace {

ModelConfig Shape() {
  ModelConfig model;
  model.num_layers = 6;
  model.num_heads = 4;
  model.num_kv_heads = 2;
  return model;
}

ModelProfile Profile() {
  return {.model = "tiny",
          .auxiliary = "tiny, 4 layers",
          .num_layers = 6,
          .num_heads = 4,
          .auxiliary_heads = {.heads = {{2, 1}, {3, 0}}},
          .probe_heads = {.heads = {{5, 3}}},
          .seam_tokens = 4,
          .recompute_depth = 0.9,
          .stale_weight = 0.4,
          .stale_shift = 0.0,
          .local_heads = {.window = 300, .heads = {{0, 1}, {4, 0}}}};
}

class ModelProfileFile : public testing::Test {
 protected:
  ModelProfileFile() { config_.model = folder_.path(); }
  absl::Status Status() const { return LoadModelProfile(config_, Shape()).status(); }
  void Write(const std::string& content) const { std::ofstream(ProfileFile(config_)) << content; }

  TempFolder folder_;
  Config config_;
};

TEST_F(ModelProfileFile, IsReadBackFromTheModelsFolder) {
  ASSERT_TRUE(SaveModelProfile(Profile(), ProfileFile(config_)).ok());
  const auto profile = LoadModelProfile(config_, Shape());
  ASSERT_TRUE(profile.ok()) << profile.status();
  ASSERT_TRUE(profile->has_value());
  EXPECT_EQ((*profile)->auxiliary, "tiny, 4 layers");
  EXPECT_EQ((*profile)->auxiliary_heads.heads, Profile().auxiliary_heads.heads);
  EXPECT_EQ((*profile)->probe_heads.heads, Profile().probe_heads.heads);
  EXPECT_EQ((*profile)->seam_tokens, 4);
  EXPECT_EQ((*profile)->recompute_depth, 0.9);
  EXPECT_EQ((*profile)->stale_weight, 0.4);
  EXPECT_EQ((*profile)->stale_shift, 0.0);
  EXPECT_EQ((*profile)->local_heads.window, 300);
  EXPECT_EQ((*profile)->local_heads.heads, Profile().local_heads.heads);
}

TEST_F(ModelProfileFile, LeavesLevelsAndDivergenceOutWhereItSaysNothing) {
  ASSERT_TRUE(SaveModelProfile(Profile(), ProfileFile(config_)).ok());
  const auto profile = LoadModelProfile(config_, Shape());
  ASSERT_TRUE(profile.ok()) << profile.status();
  EXPECT_FALSE((*profile)->quality_levels.has_value());
  EXPECT_FALSE((*profile)->divergence_per_stale_mass.has_value());
}

TEST_F(ModelProfileFile, MayReplaceLevelsAndDivergence) {
  ModelProfile written = Profile();
  written.quality_levels = {.fast = {.budget = 0.04, .coverage = 0.3}, .balanced = {.budget = 0.3}};
  written.divergence_per_stale_mass = 0.7;
  ASSERT_TRUE(SaveModelProfile(written, ProfileFile(config_)).ok());
  const auto profile = LoadModelProfile(config_, Shape());
  ASSERT_TRUE(profile.ok()) << profile.status();
  EXPECT_EQ((*profile)->quality_levels, written.quality_levels);
  EXPECT_EQ((*profile)->divergence_per_stale_mass, 0.7);
}

TEST_F(ModelProfileFile, KeepsTheTableWhereALevelIsSilent) {
  nlohmann::json json = ToJson(Profile());
  json["quality"]["fast"]["coverage"] = 0.25;
  const auto profile = ParseModelProfile(json);
  ASSERT_TRUE(profile.ok()) << profile.status();
  QualityLevels expected;
  expected.fast.coverage = 0.25;
  EXPECT_EQ(profile->quality_levels, expected);
}

TEST_F(ModelProfileFile, NeedNotExistUnlessItIsNamed) {
  EXPECT_EQ(LoadModelProfile(config_, Shape()).value(), std::nullopt);
  config_.profile = folder_.path() + "/other.json";
  EXPECT_EQ(Status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(FieldOf(Status()), "profile");
}

TEST_F(ModelProfileFile, CanBeTurnedOff) {
  Write("broken");
  EXPECT_EQ(FieldOf(Status()), "profile");
  config_.profile = "none";
  EXPECT_EQ(LoadModelProfile(config_, Shape()).value(), std::nullopt);
}

TEST_F(ModelProfileFile, OfAnotherModelIsRefused) {
  ASSERT_TRUE(SaveModelProfile(Profile(), ProfileFile(config_)).ok());
  ModelConfig other = Shape();
  other.num_layers = 7;
  EXPECT_EQ(LoadModelProfile(config_, other).status().code(), absl::StatusCode::kFailedPrecondition);
  other = Shape();
  other.num_kv_heads = 1;
  EXPECT_EQ(LoadModelProfile(config_, other).status().code(), absl::StatusCode::kFailedPrecondition)
      << "a local head is none of its";
}

TEST_F(ModelProfileFile, WithWrongContentIsRefused) {
  nlohmann::json json = ToJson(Profile());
  for (const auto& [pointer, value] :
       std::vector<std::pair<const char*, nlohmann::json>>{{"/format", 2},
                                                           {"/seam_tokens", 1000},
                                                           {"/recompute_depth", 1.5},
                                                           {"/stale_weight", 1.5},
                                                           {"/stale_shift", -0.5},
                                                           {"/probe/heads", {{6, 0}}},
                                                           {"/probe/heads", {{0, 4}}},
                                                           {"/local/heads", {{6, 0}}},
                                                           {"/local/window", 0},
                                                           {"/local", {{"window", 9}}},
                                                           {"/auxiliary/heads", {{-1, 0}}},
                                                           {"/auxiliary/heads", "all"},
                                                           {"/quality", {{"fast", {{"budget", 1.5}}}}},
                                                           {"/quality", {{"balanced", {{"coverage", 0}}}}},
                                                           {"/quality", {{"fast", 3}}},
                                                           {"/divergence_per_stale_mass", -1},
                                                           {"/divergence_per_stale_mass", "much"},
                                                           {"/num_layers", "six"}}) {
    nlohmann::json wrong = json;
    wrong[nlohmann::json::json_pointer(pointer)] = value;
    Write(wrong.dump());
    EXPECT_EQ(Status().code(), absl::StatusCode::kInvalidArgument) << pointer << " " << value;
  }
}

TEST_F(ModelProfileFile, ThatCannotBeWrittenSaysSo) {
  EXPECT_EQ(FieldOf(SaveModelProfile(Profile(), folder_.path() + "/no/such/folder/p.json")), "profile");
}

}  // namespace
}  // namespace cacheclip
