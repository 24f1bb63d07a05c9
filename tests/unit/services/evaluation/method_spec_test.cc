#include "services/evaluation/method_spec.h"

#include <gtest/gtest.h>

#include "common/base/status.h"

namespace cacheclip {
namespace {

TEST(MethodSpec, KeepsTheDefaultsWithoutSettings) {
  const auto spec = ParseMethodSpec("auxiliary", {.selection = {.seam_tokens = 4}});
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->method, Method::kAuxiliary);
  EXPECT_EQ(spec->selection.seam_tokens, 4);
  EXPECT_TRUE(spec->has_budget());
  EXPECT_FALSE(ParseMethodSpec("none", {})->has_budget());
}

TEST(MethodSpec, AppliesEverySetting) {
  const auto spec = ParseMethodSpec(
      "auxiliary+layers=15-22+heads=3.1/"
      "4.0+pool=max+rows=later+behind=sink+reposition=no+norm=chunk+pass=chunk+group=sentences+window=4+seam="
      "2+stale=0.5+shift=0.25+local=yes+int8=yes",
      {});
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->auxiliary.from.band.begin, 15);
  EXPECT_EQ(spec->auxiliary.from.band.end, 22);
  ASSERT_EQ(spec->auxiliary.from.heads.size(), 2);
  EXPECT_EQ(spec->auxiliary.from.heads[1].layer, 4);
  EXPECT_EQ(spec->auxiliary.from.pooling, HeadPooling::kMax);
  EXPECT_EQ(spec->auxiliary.from.rows, RowPooling::kLater);
  EXPECT_EQ(spec->behind, EncodedBehind::kSink);
  EXPECT_FALSE(spec->repositions);
  EXPECT_EQ(spec->auxiliary.normalisation, ScoreNormalisation::kPerChunk);
  EXPECT_EQ(spec->auxiliary.pass, AuxiliaryPass::kPerChunk);
  EXPECT_EQ(spec->selection.grouping, Grouping::kSegments);
  EXPECT_EQ(spec->selection.window, 4);
  EXPECT_EQ(spec->selection.seam_tokens, 2);
  EXPECT_EQ(spec->selection.stale_weight, 0.5);
  EXPECT_EQ(spec->selection.stale_shift, 0.25);
  EXPECT_TRUE(spec->selection.local_heads);
  EXPECT_TRUE(spec->selection.int8_scores);
}

TEST(MethodSpec, StagesAreOneAtATimeAndOfTheProbeAlone) {
  EXPECT_EQ(ParseMethodSpec("primary_probe+rounds=2", {})->staged.rounds, 2);
  EXPECT_EQ(ParseMethodSpec("primary_probe+full=3", {})->staged.full_layers, 3);
  EXPECT_EQ(ParseMethodSpec("primary_probe+shrink=0.25", {})->staged.shrink, 0.25);
  EXPECT_EQ(ParseMethodSpec("primary_probe+offset=0.5", {})->staged.offset, 0.5);
  for (const char* text :
       {"auxiliary+rounds=2", "primary_probe+rounds=3", "primary_probe+full=-1", "primary_probe+shrink=1",
        "primary_probe+offset=1.5", "primary_probe+rounds=2+offset=0.5"})
    EXPECT_EQ(FieldOf(ParseMethodSpec(text, {}).status()), "methods") << text;
}

TEST(MethodSpec, RefusesWhatItDoesNotKnow) {
  for (const char* text : {"nonsense", "auxiliary+", "auxiliary+layers=3", "auxiliary+pool=min",
                           "auxiliary+rows=last", "auxiliary+colour=red"})
    EXPECT_EQ(FieldOf(ParseMethodSpec(text, {}).status()), "methods") << text;
  EXPECT_FALSE(ParseMethodSpec("auxiliary+window=1000", {}).ok());
  EXPECT_FALSE(ParseMethodSpec("auxiliary+shift=1.5", {}).ok());
  EXPECT_EQ(FieldOf(ParseMethodSpecs("", {}).status()), "methods");
  EXPECT_EQ(ParseMethodSpecs("auto,none", {})->size(), 2);
}

}  // namespace
}  // namespace cacheclip
