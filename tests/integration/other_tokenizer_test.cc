// Generation asks a selector service whose model has other words than the one that answers, about texts of
// several scripts. The selector's model matches words, so that it is known which chunk holds the answer.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "common/rpc/selector_client.h"
#include "tests/integration/cluster.h"
#include "tests/support/other_tokenizers.h"

namespace cacheclip {
namespace {

struct Text {
  const char* document_id;
  const char* text;
  const char* question;  // with words that the selector's vocabulary has, and that stand in this text alone
};

// The first chunk is never recomputed, so that the answer is always in one of the others.
constexpr Text kTexts[] = {
    {"english", "The ferry leaves at dawn and comes back with letters, fish and two teachers.", ""},
    {"german", "Über dem Tal, am Ende der hafenstrasse, blühen die Äpfel früh.", "who hafenstrasse"},
    {"russian", "На высоком берегу стоит маяк и море шумит под ним всю ночь.", "who маяк и море"},
    {"arabic", "بُنِيَتْ قديما وكانت المنارة فوق الصخر الرمادي.", "who المنارة"},
    {"chinese", "看守人养蜜蜂并出售蜂蜜，他住在灯塔里。", "who灯塔"},
    {"hindi", "गाँव के पास समुद्र में क्षत्रिय रहते थे।", "who समुद्र में"},
    {"emoji", "The crew 👨‍👩‍👧‍👦 waved 🇳🇴 🙂 on deck ⛵ until it rained.",
     "who 🙂"}};

struct Chunk {
  std::string id;
  int32_t begin = 0, num_tokens = 0;  // primary tokens of the context
};

class OtherTokenizer : public testing::Test {
 protected:
  void SetUp() override {
    const std::string auxiliary = WriteMatchingModel(cluster_.folder() + "/auxiliary", {.num_layers = 3});
    MakeSentencePieceTokenizer(auxiliary);
    // No tokens but those that the question points at most.
    selector_ =
        cluster_.Start("cacheclip-selector", {"--selector-model", auxiliary, "--seam-tokens", "0",
                                              "--grouping", "windows", "--window", absl::StrCat(kWindow)});
    const std::vector<std::string> target = {"--selector-target", selector_.address};
    ingestion_ = cluster_.Start("cacheclip-ingestion", target);
    // Through all layers, so that the budget is what the selector is asked for here.
    generation_ = cluster_.Start("cacheclip-generation",
                                 {"--selector-target", selector_.address, "--recompute-depth", "1"});
    Ingest();
  }

  // One chunk a text.
  void Ingest() {
    IngestionClient client(ChannelTo(ingestion_));
    PrefixSpec spec;
    spec.system_prompt = "You answer questions.";
    const auto prefix_id = client.PutNamespace("default", &spec, true);
    ASSERT_TRUE(prefix_id.ok()) << prefix_id.status();
    size_t next = 0;
    const auto totals = client.Ingest(
        {.namespace_name = "default", .chunker = {.target_tokens = 400, .max_tokens = 800}},
        [&](SourceDocument* document) {
          if (next == std::size(kTexts)) return false;
          *document = {.document_id = kTexts[next].document_id, .text = kTexts[next].text};
          ++next;
          return true;
        },
        {.on_result = [&](const DocumentResult& done) {
          ASSERT_TRUE(done.status.ok()) << done.status;
          ASSERT_EQ(done.chunks.size(), 1);
          chunks_.push_back({done.chunks[0].chunk_id, num_context_tokens_, done.chunks[0].num_tokens});
          num_context_tokens_ += done.chunks[0].num_tokens;
        }});
    ASSERT_TRUE(totals.ok()) << totals.status();
    const auto info = client.GetNamespace("default");
    ASSERT_TRUE(info.ok()) << info.status();
    request_ = {.namespace_name = "default",
                .prefix_id = *prefix_id,
                .primary_fingerprint = info->prefixes.at(0).model_fingerprint,
                .budget = Budget()};
    for (const Chunk& chunk : chunks_)
      request_.chunks.push_back({.chunk_id = chunk.id, .num_tokens = chunk.num_tokens});
  }

  // What the selector service says about a question.
  std::vector<int32_t> Select(const std::string& question) {
    RpcTokenSelector selector({.timeout = absl::Minutes(1)});
    selector.Connect(ChannelTo(selector_));
    request_.question = question;
    const auto result = selector.Select(request_, CancellationToken());
    EXPECT_TRUE(result.ok()) << result.status();
    if (!result.ok()) return {};
    EXPECT_EQ(result->num_context_tokens, num_context_tokens_);
    return result->indices;
  }

  GenerateRequest Request(const std::string& question) const {
    GenerateRequest request{.namespace_name = "default", .messages = {{"user", question}}};
    for (const Chunk& chunk : chunks_) request.chunks.push_back({.chunk_id = chunk.id});
    request.options = {.method = Method::kAuxiliary,
                       .budget = Budget(),
                       .max_new_tokens = 4,
                       .ignore_end_of_sequence = true};
    return request;
  }

  static constexpr int kWindow = 8;
  double Budget() const {
    return static_cast<double>(kWindow) / num_context_tokens_;
  }  // one window: the best

  Cluster cluster_;
  Server selector_, ingestion_, generation_;
  std::vector<Chunk> chunks_;
  int32_t num_context_tokens_ = 0;
  SelectRequest request_;
};

TEST_F(OtherTokenizer, GenerationRecomputesWhereTheAnswerStands) {
  ASSERT_EQ(chunks_.size(), std::size(kTexts));
  for (size_t i = 1; i < chunks_.size(); ++i) {
    SCOPED_TRACE(kTexts[i].document_id);
    const std::vector<int32_t> chosen = Select(kTexts[i].question);
    EXPECT_EQ(chosen.size(), kWindow);
    for (const int32_t index : chosen) {
      EXPECT_GE(index, chunks_[i].begin);
      EXPECT_LT(index, chunks_[i].begin + chunks_[i].num_tokens);
    }

    const auto result = Generate(generation_, Request(kTexts[i].question));
    ASSERT_TRUE(result.ok()) << result.status();
    const Usage& usage = result->usage;
    EXPECT_EQ(usage.method, Method::kAuxiliary);
    EXPECT_TRUE(usage.fallbacks.empty()) << usage.fallbacks.front().detail;
    EXPECT_EQ(usage.reencoded_tokens, 0);
    EXPECT_EQ(usage.context_tokens, num_context_tokens_);
    EXPECT_EQ(usage.recomputed_tokens, static_cast<int64_t>(chosen.size())) << "what the selector chose";
    EXPECT_LE(usage.charged_budget, Budget());
    EXPECT_EQ(usage.completion_tokens, 4);
  }
}

}  // namespace
}  // namespace cacheclip
