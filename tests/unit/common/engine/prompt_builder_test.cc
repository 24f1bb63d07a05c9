#include "common/engine/prompt_builder.h"

#include <gtest/gtest.h>

#include "common/base/status.h"
#include "tests/support/engine_harness.h"

namespace cacheclip {
namespace {

struct Fixture {
  EngineHarness server;
  ChunkSource source{&server.contexts};
  GenerateRequest request{.namespace_name = "docs", .messages = {{"user", "Who keeps the bees?"}}};

  absl::StatusOr<PreparedPrompt> Prepare() { return PreparePrompt(server.contexts, source, request); }
};

std::vector<int32_t> AllIds(const PromptTokens& tokens) {
  std::vector<int32_t> ids = tokens.prefix_ids;
  for (const auto& chunk : tokens.chunk_ids) ids.insert(ids.end(), chunk.begin(), chunk.end());
  ids.insert(ids.end(), tokens.suffix_ids.begin(), tokens.suffix_ids.end());
  return ids;
}

TEST(PromptBuilder, PutsPrefixChunksAndQuestionInOrder) {
  Fixture f;
  f.request.chunks = {{.text = "First text."}, {.text = "Second text."}};
  const auto prompt = f.Prepare();
  ASSERT_TRUE(prompt.ok()) << prompt.status();
  const auto text = f.server.runtime.tokenizer->Decode(AllIds(prompt->tokens), /*skip_special=*/true).value();
  const size_t first = text.find("First text."), second = text.find("Second text."), bees = text.find("bees");
  EXPECT_LT(text.find("Texts:"), first) << text;
  EXPECT_LT(first, second) << text;
  EXPECT_LT(second, bees) << text;
  EXPECT_EQ(prompt->question, "Who keeps the bees?");
  EXPECT_EQ(prompt->capacity, prompt->tokens.size() + f.request.options.max_new_tokens);
  EXPECT_FALSE(prompt->first_chunk_selectable);
}

TEST(PromptBuilder, TokenIdsStandBehindTheChunksAsTheyAre) {
  Fixture f;
  f.request.messages.clear();
  f.request.token_ids = {10, 11, 12};
  const auto prompt = f.Prepare();
  ASSERT_TRUE(prompt.ok()) << prompt.status();
  EXPECT_EQ(prompt->tokens.suffix_ids, f.request.token_ids);
  EXPECT_EQ(prompt->tokens.question_end, 3);
  f.request.token_ids = {10, 1 << 30};
  EXPECT_EQ(FieldOf(f.Prepare().status()), "token_ids[1]");
}

TEST(PromptBuilder, AnEmptyQuestionIsRefused) {
  Fixture f;
  f.request.messages = {{"user", "  "}};
  EXPECT_TRUE(absl::IsInvalidArgument(f.Prepare().status()));
  EXPECT_EQ(FieldOf(f.Prepare().status()), "messages");
}

TEST(PromptBuilder, SaysWhatIsTooLongAndByHowMuch) {
  Fixture f;
  const auto prompt = f.Prepare();
  const int64_t limit = f.server.runtime.model->config().max_positions;
  f.request.options.max_new_tokens = static_cast<int32_t>(limit - prompt->tokens.size());
  EXPECT_TRUE(f.Prepare().ok());
  f.request.options.max_new_tokens += 7;
  EXPECT_EQ(FieldOf(f.Prepare().status()), "options.max_new_tokens");
  EXPECT_NE(f.Prepare().status().message().find("7 more than"), absl::string_view::npos)
      << f.Prepare().status();
  f.request.options.max_new_tokens = 1;
  std::string words;
  for (int64_t i = 0; i < limit; ++i) words += "word ";
  f.request.chunks = {{.text = words}};
  EXPECT_EQ(FieldOf(f.Prepare().status()), "chunks");
  f.request.chunks.clear();
  f.request.messages = {{"user", words}};
  EXPECT_EQ(FieldOf(f.Prepare().status()), "messages");
}

}  // namespace
}  // namespace cacheclip
