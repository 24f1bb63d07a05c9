// Tokenizer and chat template of the real demo model against what `transformers` gives
// (tests/data/parity/smollm2.json).
#include <fstream>

#include <gtest/gtest.h>

#include "common/text/chat_template.h"
#include "common/text/tokenizer.h"
#include "nlohmann/json.hpp"
#include "tests/support/demo_model.h"

namespace cacheclip {
namespace {

using nlohmann::json;

class DemoModelText : public testing::Test {
 protected:
  void SetUp() override {
    if (!DemoModelDirectory()) GTEST_SKIP() << kDemoModelMissing;
    std::ifstream file(CACHECLIP_SOURCE_DIR "/tests/data/parity/smollm2.json");
    golden_ = json::parse(file);
  }
  json golden_;
};

void ExpectEncoding(const Tokenizer& tokenizer, const std::string& text,
                    Tokenizer::SpecialTokens special_tokens, const json& ids, const json& spans) {
  const absl::StatusOr<Encoding> encoding = tokenizer.Encode(text, special_tokens);
  ASSERT_TRUE(encoding.ok()) << encoding.status();
  EXPECT_EQ(encoding->ids, ids.get<std::vector<int32_t>>()) << text;
  ASSERT_EQ(encoding->spans.size(), spans.size()) << text;
  for (size_t i = 0; i < spans.size(); ++i)
    EXPECT_EQ(encoding->spans[i], (TokenSpan{spans[i][0], spans[i][1]})) << text << " token " << i;
}

TEST_F(DemoModelText, IdsAndByteSpansAreIdentical) {
  const auto tokenizer = *Tokenizer::Load(*DemoModelDirectory());
  ASSERT_FALSE(golden_["tokenizer"].empty());
  for (const json& entry : golden_["tokenizer"]) {
    const std::string text = entry["text"];
    ExpectEncoding(*tokenizer, text, Tokenizer::SpecialTokens::kRecognized, entry["ids"],
                   entry["byte_spans"]);
    const bool differs = entry.contains("plain_ids");
    ExpectEncoding(*tokenizer, text, Tokenizer::SpecialTokens::kAsText, entry[differs ? "plain_ids" : "ids"],
                   entry[differs ? "plain_byte_spans" : "byte_spans"]);
  }
}

TEST_F(DemoModelText, RenderedTemplatesAreIdentical) {
  const auto chat_template = *ChatTemplate::Load(*DemoModelDirectory());
  int rendered = 0;
  for (const json& entry : golden_["templates"]) {
    if (entry["continue_final_message"].get<bool>()) continue;  // PromptLayout's business, not the template's
    std::vector<ChatMessage> messages;
    for (const json& message : entry["messages"]) messages.push_back({message["role"], message["content"]});
    const absl::StatusOr<std::string> text =
        chat_template->Render(messages, {.add_generation_prompt = entry["add_generation_prompt"]});
    ASSERT_TRUE(text.ok()) << text.status();
    EXPECT_EQ(*text, entry["text"].get<std::string>());
    ++rendered;
  }
  EXPECT_GT(rendered, 0);
}

}  // namespace
}  // namespace cacheclip
