#include "common/engine/decode_loop.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "tests/support/engine_harness.h"

namespace cacheclip {
namespace {

struct Fixture {
  explicit Fixture(const LoadedModel& loaded = TinyModel()) : server(loaded) {}

  EngineHarness server;
  GenerateOptions options{.max_new_tokens = 12, .ignore_end_of_sequence = true};
  const std::vector<int32_t> prompt{40, 50, 60, 70};
  GenerateResult result;
  std::vector<TokenEvent> events;

  absl::StatusOr<FinishReason> Run(const CancellationToken& cancellation = CancellationToken(),
                                   DecodeLoop::TokenCallback on_token = {}) {
    result = {};
    events.clear();
    auto session = InferenceSession::Create(server.runtime.model, 64).value();
    Rows rows;
    rows.Append(prompt, 0, 0);
    Logits logits;
    server.executor.Run(TaskPriority::kInteractive, [&] { logits = session->Run(rows).value(); });
    DecodeLoop loop(session.get(), &server.executor, server.runtime.tokenizer, options, prompt);
    if (!on_token)
      on_token = [&](const TokenEvent& event) {
        events.push_back(event);
        return absl::OkStatus();
      };
    return loop.Run(std::move(logits), cancellation, on_token, result);
  }
};

TEST(DecodeLoop, StopsAtTheLengthWithOneEventPerToken) {
  Fixture f;
  EXPECT_EQ(f.Run().value(), FinishReason::kLength);
  EXPECT_EQ(f.result.token_ids.size(), 12u);
  EXPECT_EQ(f.result.usage.completion_tokens, 12);
  ASSERT_EQ(f.events.size(), 12u);
  std::string text;
  for (size_t i = 0; i < f.events.size(); ++i) {
    EXPECT_EQ(f.events[i].token_id, f.result.token_ids[i]);
    EXPECT_LE(f.events[i].log_probability, 0);
    text += f.events[i].text;
  }
  EXPECT_EQ(text, f.result.text);
  EXPECT_EQ(text, f.server.runtime.tokenizer->Decode(f.result.token_ids, /*skip_special=*/true).value());
}

TEST(DecodeLoop, GreedyIsDeterministicAndASeedRepeatsItself) {
  Fixture f;
  ASSERT_TRUE(f.Run().ok());
  const auto greedy = f.result.token_ids;
  ASSERT_TRUE(f.Run().ok());
  EXPECT_EQ(f.result.token_ids, greedy);
  f.options.sampling = {.temperature = 1, .seed = 7};
  ASSERT_TRUE(f.Run().ok());
  const auto sampled = f.result.token_ids;
  EXPECT_NE(sampled, greedy);
  ASSERT_TRUE(f.Run().ok());
  EXPECT_EQ(f.result.token_ids, sampled);
}

TEST(DecodeLoop, AStopStringEndsTheTextBeforeIt) {
  Fixture f;
  f.options.sampling = {.temperature = 1, .seed = 3};  // varied text
  ASSERT_TRUE(f.Run().ok());
  const std::string text = f.result.text;
  ASSERT_GT(text.size(), 8u);
  size_t begin = text.size() / 2;
  while ((text[begin] & 0xC0) == 0x80) ++begin;
  f.options.stop = {text.substr(begin)};  // spans several tokens
  EXPECT_EQ(f.Run().value(), FinishReason::kStopString);
  EXPECT_EQ(f.result.text, text.substr(0, text.find(f.options.stop[0])));
}

TEST(DecodeLoop, AStopStringThatNeverCompletesIsDeliveredInTheEnd) {
  Fixture f;
  ASSERT_TRUE(f.Run().ok());
  const std::string text = f.result.text;
  f.options.stop = {text.substr(text.size() - 2) + "never"};
  EXPECT_EQ(f.Run().value(), FinishReason::kLength);
  EXPECT_EQ(f.result.text, text);
}

TEST(DecodeLoop, ACallbacksErrorEndsTheAnswer) {
  Fixture f;
  int num_tokens = 0;
  const auto reason = f.Run(CancellationToken(), [&](const TokenEvent&) {
    return ++num_tokens == 3 ? absl::CancelledError("the client is gone") : absl::OkStatus();
  });
  EXPECT_TRUE(absl::IsCancelled(reason.status()));
  EXPECT_EQ(num_tokens, 3);
}

TEST(DecodeLoop, ACancelledTokenEndsTheAnswer) {
  Fixture f;
  CancellationToken cancellation;
  const auto reason = f.Run(cancellation, [&](const TokenEvent&) {
    cancellation.Cancel();
    return absl::OkStatus();
  });
  EXPECT_TRUE(absl::IsCancelled(reason.status()));
  EXPECT_EQ(f.result.token_ids.size(), 1u);
}

// The tiny model with one more end-of-sequence token.
LoadedModel ModelThatEndsAt(int32_t token) {
  const TempFolder folder;
  WriteTinyModel(folder.path());
  std::ofstream(folder.path() + "/generation_config.json") << "{\"eos_token_id\": [" << token << "]}";
  LoadedModel loaded = TinyModel();
  loaded.model = LanguageModel::Load({.directory = folder.path(), .dtype = ComputeDtype::kFloat32}).value();
  return loaded;
}

TEST(DecodeLoop, EndsAtAnEndOfSequenceTokenUnlessToldToGoOn) {
  Fixture unbounded;
  unbounded.options.sampling = {.temperature = 1, .seed = 3};  // varied tokens
  ASSERT_TRUE(unbounded.Run().ok());
  const std::vector<int32_t> tokens = unbounded.result.token_ids;
  const auto end = std::ranges::find(tokens, tokens[5]);
  Fixture f(ModelThatEndsAt(*end));
  f.options = unbounded.options;
  EXPECT_EQ(f.Run().value(), FinishReason::kLength);
  f.options.ignore_end_of_sequence = false;
  EXPECT_EQ(f.Run().value(), FinishReason::kStop);
  EXPECT_EQ(f.result.token_ids, std::vector<int32_t>(tokens.begin(), end + 1));
  EXPECT_EQ(f.events.size(), f.result.token_ids.size());
}

}  // namespace
}  // namespace cacheclip
