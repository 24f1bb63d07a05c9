// Two instances with a Redis and an object store in common and nothing else: what one stores the other
// serves, what differs in anything that changes the KV is never served, and what one deletes is gone for both
// at the next request.
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/status.h"
#include "tests/integration/cluster.h"
#include "tests/support/poll.h"
#include "tests/support/redis_server.h"
#include "tests/support/tiny_model.h"

namespace cacheclip {
namespace {

constexpr char kText[] =
    "Ship number 7 left the harbour with twelve barrels of grain and came back in winter.";

// An instance has a data folder, and so memory and disk tiers, of its own.
class TwoInstances : public testing::Test {
 protected:
  void SetUp() override {
    CACHECLIP_NEEDS_REDIS();
    redis_ = std::make_unique<RedisServer>();
    first_ = StartInstance("first");
  }

  // `settings` come later than the common ones and win.
  Server StartInstance(const std::string& name, const std::vector<std::string>& settings = {}) {
    std::vector<std::string> all = {"--redis-url", redis_->url(), "--catalog-url", redis_->url()};
    all.insert(all.end(), {"--object-url", absl::StrCat("file://", ObjectFolder())});
    all.insert(all.end(), {"--data-dir", DataFolder(name)});
    all.insert(all.end(), settings.begin(), settings.end());
    return cluster_.Start("cacheclip", all);
  }

  // One document of one chunk, `opening` and kText; returns the chunk's id. `life`: until it expires.
  std::string IngestText(const Server& server, const std::string& document_id,
                         absl::Duration life = absl::ZeroDuration(), const std::string& opening = "") {
    IngestionClient client(ChannelTo(server));
    PrefixSpec spec;
    spec.system_prompt = "You answer questions.";
    EXPECT_TRUE(client.PutNamespace("default", &spec, true).ok());
    std::string chunk_id;
    bool sent = false;
    const auto totals =
        client.Ingest({.namespace_name = "default"},
                      [&](SourceDocument* document) {
                        *document = {.document_id = document_id, .title = "Ships", .text = opening + kText};
                        if (life > absl::ZeroDuration()) document->expire_time = absl::Now() + life;
                        return !std::exchange(sent, true);
                      },
                      {.on_result = [&](const DocumentResult& done) {
                        ASSERT_TRUE(done.status.ok()) << done.status;
                        ASSERT_EQ(done.chunks.size(), 1);
                        chunk_id = done.chunks[0].chunk_id;
                      }});
    EXPECT_TRUE(totals.ok()) << totals.status();
    return chunk_id;
  }

  static GenerateRequest RequestByText() {
    GenerateRequest request = RequestOver({}, Method::kPrimaryProbe);
    request.chunks.push_back({.text = kText, .title = "Ships"});
    return request;
  }
  static absl::StatusOr<GenerateResult> GenerateByText(const Server& server) {
    return Generate(server, RequestByText());
  }
  static absl::StatusOr<GenerateResult> GenerateById(const Server& server, const std::string& chunk_id) {
    return Generate(server, RequestOver({chunk_id}, Method::kPrimaryProbe));
  }

  static bool IsServedByRedis(const absl::StatusOr<GenerateResult>& result) {
    if (!result.ok() || result->usage.reencoded_tokens > 0) return false;
    const auto cached = result->usage.cached_tokens.find(Tier::kRedis);
    return cached != result->usage.cached_tokens.end() && cached->second >= result->usage.context_tokens;
  }

  std::string ObjectFolder() const { return cluster_.folder() + "/shared"; }
  std::string DataFolder(const std::string& name) const {
    return absl::StrCat(cluster_.folder(), "/data-", name);
  }
  // The chunk's file in a folder that a server is writing to; "" if there is none.
  static std::string FileOf(const std::string& folder, const std::string& chunk_id) {
    std::error_code error;
    for (std::filesystem::recursive_directory_iterator entry(folder, error), end; !error && entry != end;
         entry.increment(error))
      if (entry->path().filename().string().find(chunk_id.substr(2)) != std::string::npos)
        return entry->path();  // the disk tier's folders are named after the first two digits
    return "";
  }
  bool IsInRedis(const std::string& chunk_id) const {
    const std::string key = absl::StrCat("cc:kv:{", chunk_id, "}:h");
    return redis_->MakeClient()->Execute({.args = {"EXISTS", key}})->integer == 1;
  }

  std::vector<const Server*> Both(const Server& second) const { return {&first_, &second}; }

  Cluster cluster_;
  std::unique_ptr<RedisServer> redis_;
  Server first_;
};

// Instances without tiers of their own: what they use comes from Redis. A busy machine may compute before it
// loads.
TEST_F(TwoInstances, HitEachOthersChunks) {
  const std::vector<std::string> no_tiers = {"--memory-bytes", "0", "--disk-bytes", "0"};
  const Server one = StartInstance("one", no_tiers), two = StartInstance("two", no_tiers);
  const std::string from_one = IngestText(one, "by-one");
  const std::vector<std::string> from_two = cluster_.Ingest(two, 1);

  const GenerateRequest for_one = RequestOver(from_two, Method::kPrimaryProbe);
  EXPECT_TRUE(PollUntil([&] { return IsServedByRedis(GenerateById(two, from_one)); }));
  EXPECT_TRUE(PollUntil([&] { return IsServedByRedis(Generate(one, for_one)); }));
  EXPECT_TRUE(PollUntil([&] { return IsServedByRedis(GenerateByText(two)); })) << "a text is the same chunk";
  EXPECT_EQ(GenerateById(one, from_one)->token_ids, GenerateById(two, from_one)->token_ids);
}

TEST_F(TwoInstances, NeverHitWhatAnotherModelTokenizerPrefixOrSaltMade) {
  IngestText(first_, "by-first");
  ASSERT_EQ(GenerateByText(first_)->usage.reencoded_tokens, 0);

  const std::string other_weights = WriteTinyModel(cluster_.folder() + "/other-weights", {.seed = "other"});
  const std::string other_tokenizer = WriteTinyModel(cluster_.folder() + "/other-tokenizer");
  MakeByteTokenizer(other_tokenizer);
  const std::vector<std::vector<std::string>> differences = {{"--model", other_weights},
                                                             {"--model", other_tokenizer},
                                                             {"--default-salt", "another"},
                                                             {"--kv-dtype", "int8"}};
  for (const std::vector<std::string>& difference : differences) {
    // Its catalogue is its own: a prefix belongs to a tokenizer. The chunks' Redis is the first instance's.
    std::vector<std::string> settings = {"--catalog-url", ""};
    settings.insert(settings.end(), difference.begin(), difference.end());
    const Server other =
        StartInstance(absl::StrCat("other-", difference[1].substr(difference[1].rfind('/') + 1)), settings);
    PrefixSpec spec;
    spec.system_prompt = "You answer questions.";
    ASSERT_TRUE(IngestionClient(ChannelTo(other)).PutNamespace("default", &spec, true).ok());
    const auto result = GenerateByText(other);
    ASSERT_TRUE(result.ok()) << difference[0] << ": " << result.status();
    EXPECT_EQ(result->usage.reencoded_tokens, result->usage.context_tokens) << difference[0];
  }

  PrefixSpec other_prefix;
  other_prefix.system_prompt = "You answer questions in verse.";
  const auto prefix_id = IngestionClient(ChannelTo(first_)).PutNamespace("default", &other_prefix, false);
  ASSERT_TRUE(prefix_id.ok()) << prefix_id.status();
  GenerateRequest request = RequestByText();
  request.prefix_id = *prefix_id;
  const auto result = Generate(first_, request);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->usage.reencoded_tokens, result->usage.context_tokens) << "another prefix";
}

TEST_F(TwoInstances, ADeletedDocumentIsGoneOnEveryTierAtTheNextRequest) {
  const Server second = StartInstance("second");
  const std::string chunk_id = IngestText(first_, "to-delete");
  for (const Server* server : Both(second)) ASSERT_TRUE(GenerateById(*server, chunk_id).ok());
  // Now in both memories, on both disks, in Redis and in the object store.
  ASSERT_TRUE(IsInRedis(chunk_id));
  for (const std::string& folder : {ObjectFolder(), DataFolder("first"), DataFolder("second")})
    ASSERT_TRUE(PollUntil([&] { return !FileOf(folder, chunk_id).empty(); })) << folder;

  ASSERT_TRUE(IngestionClient(ChannelTo(first_)).DeleteDocument("default", "to-delete").ok());
  for (const Server* server : Both(second)) {
    const auto by_id = GenerateById(*server, chunk_id);
    EXPECT_EQ(by_id.status().code(), absl::StatusCode::kNotFound) << by_id.status();
    EXPECT_EQ(FieldOf(by_id.status()), "chunks[0].chunk_id");
  }
  EXPECT_FALSE(IsInRedis(chunk_id));
  EXPECT_EQ(FileOf(ObjectFolder(), chunk_id), "");
  EXPECT_EQ(FileOf(DataFolder("first"), chunk_id), "");
  const auto by_text = GenerateByText(first_);
  ASSERT_TRUE(by_text.ok()) << by_text.status();
  EXPECT_EQ(by_text->usage.reencoded_tokens, by_text->usage.context_tokens) << "its bytes are gone as well";
}

TEST_F(TwoInstances, AChunkLivesAsLongAsAnyDocumentThatHasIt) {
  const Server second = StartInstance("second");
  const std::string chunk_id = IngestText(first_, "one");
  EXPECT_EQ(IngestText(second, "two"), chunk_id) << "the same text";
  ASSERT_TRUE(IngestionClient(ChannelTo(second)).DeleteDocument("default", "one").ok());
  const auto result = GenerateById(first_, chunk_id);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->usage.reencoded_tokens, 0);
}

TEST_F(TwoInstances, AnExpiredDocumentIsGoneForBoth) {
  const Server second = StartInstance("second");
  const std::string chunk_id = IngestText(first_, "short-lived", absl::Seconds(2));
  const auto is_gone = [&](const Server& server) {
    return GenerateById(server, chunk_id).status().code() == absl::StatusCode::kNotFound;
  };
  EXPECT_TRUE(PollUntil([&] { return is_gone(first_); }));
  EXPECT_TRUE(is_gone(second));
}

// An instance without tiers of its own: every chunk it uses comes from Redis.
TEST_F(TwoInstances, RedisIsCountedAsItIsUsed) {
  const Server second = StartInstance("second", {"--memory-bytes", "0", "--disk-bytes", "0"});
  const std::string chunk_id = IngestText(first_, "by-first");
  ASSERT_TRUE(GenerateById(second, chunk_id).ok());  // fetches the prefix as well
  const auto counted = [&](const std::string& name) {
    return MetricValue(second, absl::StrCat("cacheclip_store_", name, "{tier=\"redis\"}"));
  };
  const auto chunk_bytes = static_cast<int64_t>(std::filesystem::file_size(FileOf(ObjectFolder(), chunk_id)));
  // A request that computes instead, because this machine is busy, is no traffic to count.
  EXPECT_TRUE(PollUntil([&] {
    const double hits = counted("hits_total"), misses = counted("misses_total"),
                 bytes = counted("read_bytes_total");
    return IsServedByRedis(GenerateById(second, chunk_id)) && counted("hits_total") == hits + 1 &&
           counted("misses_total") == misses && counted("read_bytes_total") == bytes + chunk_bytes;
  }));
  GenerateRequest unknown = RequestByText();
  int number = 0;  // a text is a miss once
  EXPECT_TRUE(PollUntil([&] {
    unknown.chunks[0].text = absl::StrCat("Nobody has stored this text about lighthouse ", ++number, ".");
    const double hits = counted("hits_total"), misses = counted("misses_total");
    return Generate(second, unknown).ok() && counted("hits_total") == hits &&
           counted("misses_total") == misses + 1;
  }));
  EXPECT_EQ(counted("bytes"), -1) << "this process does not know what Redis holds";
}

// Tiers too small for what comes: only a pin keeps a chunk.
TEST_F(TwoInstances, APinHoldsAgainstEvictionUntilItEnds) {
  const Server server = cluster_.Start("cacheclip", {"--memory-bytes", "0", "--disk-bytes", "4MiB"});
  IngestionClient client(ChannelTo(server));
  const std::string kept = IngestText(server, "kept", absl::ZeroDuration(), "The kept ship. ");
  const std::string freed = IngestText(server, "freed", absl::ZeroDuration(), "The freed ship. ");
  ASSERT_TRUE(client.PinChunks("default", {kept}, "test", absl::Hours(1)).ok());
  ASSERT_TRUE(client.PinChunks("default", {freed}, "test", absl::Seconds(1)).ok());

  int num_documents = 0;
  const auto is_evicted_under_pressure = [&](const std::string& chunk_id) {
    for (int i = 0; i < 24; ++i) {  // more than the disk tier holds
      const std::string name = absl::StrCat("more-", num_documents++);
      IngestText(server, name, absl::ZeroDuration(), absl::StrCat(name, " is another ship. "));
    }
    const auto result = GenerateById(server, chunk_id);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() && result->usage.reencoded_tokens > 0;
  };
  EXPECT_TRUE(PollUntil([&] { return is_evicted_under_pressure(freed); })) << "its pin has ended";
  const auto result = GenerateById(server, kept);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->usage.reencoded_tokens, 0) << "its pin has not";
}

}  // namespace
}  // namespace cacheclip
