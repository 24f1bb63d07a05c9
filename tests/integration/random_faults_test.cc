// Everything below a generation process breaks at random, again and again, and every answer is still that of
// a run without faults of the method that the usage reports. CACHECLIP_FAULT_REQUESTS says how many requests
// are sent (default: a sample), CACHECLIP_FAULT_SEED which faults and requests. Prints what happened.
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "tests/integration/cluster.h"
#include "tests/support/process_memory.h"
#include "tests/support/s3_server.h"
#include "tests/support/tier_faults.h"

namespace cacheclip {
namespace {

constexpr int kSampleRequests = 300;
constexpr int kNumDocuments = 10, kNumChunkSets = 24, kMaxChunksOfASet = 5;
constexpr int kClients = 4;
constexpr absl::Duration kDeadline = absl::Seconds(30);
// A request that its deadline ends may still finish the layer it is in, on a machine that others use too.
constexpr absl::Duration kDeadlineTolerance = absl::Seconds(2);
constexpr int64_t kMaxGrowthBytes = int64_t{256} << 20;  // of the server, after a tenth of the requests
constexpr Method kMethods[] = {Method::kPrimaryProbe, Method::kAuxiliary, Method::kNone, Method::kFull};

// Much to compute for a token, little to store: loading is worth it from a remote tier too.
TinyModelOptions CostlyModel() {
  return {.hidden_size = 512, .intermediate_size = 512, .num_layers = 3, .num_heads = 6, .num_kv_heads = 1};
}

int FromEnvironment(const char* name, int otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::atoi(text);
}

using Answers = std::map<std::pair<int, Method>, std::vector<int32_t>>;  // by chunk set and method

// A corpus, which chunks are asked together, and what a server without faults answers.
struct Questions {
  std::vector<std::vector<std::string>> chunk_sets;
  Answers answers;
};

Questions AskWithoutFaults(uint32_t seed) {
  Cluster cluster(CostlyModel());
  const Server server = cluster.Start("cacheclip");
  const std::vector<std::string> chunks = cluster.Ingest(server, kNumDocuments);
  std::mt19937 random(seed);
  Questions questions;
  for (int i = 0; i < kNumChunkSets; ++i) {
    std::vector<std::string> set;
    for (size_t size = 1 + random() % kMaxChunksOfASet; set.size() < size;)
      set.push_back(chunks[random() % chunks.size()]);
    for (const Method method : kMethods) {
      const auto result = Generate(server, RequestOver(set, method));
      EXPECT_TRUE(result.ok()) << result.status();
      if (!result.ok()) continue;
      EXPECT_EQ(result->usage.method, method);
      questions.answers[{i, method}] = result->token_ids;
    }
    questions.chunk_sets.push_back(std::move(set));
  }
  return questions;
}

// What the clients saw; one lock, since answers take longer than counting.
class Tally {
 public:
  void Add(int set, Method asked, const absl::StatusOr<GenerateResult>& result, absl::Duration took,
           const Answers& expected) {
    std::lock_guard lock(mutex_);
    longest_ = std::max(longest_, took);
    if (took > kDeadline + kDeadlineTolerance) ++num_too_late_;
    if (!result.ok()) {
      ++errors_[result.status().ToString()];
      return;
    }
    const Usage& usage = result->usage;
    ++methods_[std::string(MethodId(asked)) + " -> " + std::string(MethodId(usage.method))];
    for (const Fallback& fallback : usage.fallbacks)
      ++fallbacks_[absl::StrCat(fallback.component, "/", fallback.reason)];
    for (const LoadDecision& chunks : usage.load_decisions)
      decisions_[chunks.decision + "/" + chunks.reason] += chunks.num_chunks;
    for (const auto& [tier, tokens] : usage.cached_tokens) tokens_[std::string(TierName(tier))] += tokens;
    tokens_["encoded anew"] += usage.reencoded_tokens;
    const auto right = expected.find({set, usage.method});
    if (right == expected.end() || right->second != result->token_ids) ++num_wrong_;
  }

  void Print() const {
    const auto print = [](const char* title, const auto& counts) {
      std::cout << "  " << title << "\n";
      for (const auto& [name, count] : counts) std::cout << "    " << count << "  " << name << "\n";
    };
    print("methods asked and run", methods_);
    print("fallbacks", fallbacks_);
    print("chunks", decisions_);
    print("context and prefix tokens from", tokens_);
    print("errors", errors_);
    std::cout << "  longest request " << absl::FormatDuration(longest_) << "\n  wrong answers " << num_wrong_
              << std::endl;
  }
  void Expect(int num_requests) const {
    EXPECT_EQ(num_wrong_, 0);
    EXPECT_EQ(num_too_late_, 0);
    EXPECT_TRUE(errors_.empty()) << "every answer is due: the catalogue was never broken";
    int num_answered = 0;
    for (const auto& [name, count] : methods_) num_answered += count;
    EXPECT_EQ(num_answered, num_requests);
  }

 private:
  std::mutex mutex_;
  std::map<std::string, int> methods_, fallbacks_, errors_;
  std::map<std::string, int64_t> decisions_, tokens_;
  absl::Duration longest_;
  int num_wrong_ = 0, num_too_late_ = 0;
};

// A generation process on every tier there is, none of which holds the corpus but the last.
class FaultyCluster {
 public:
  explicit FaultyCluster(uint32_t seed)
      : redis_({.settings = {"appendonly yes", "appendfsync no", "maxmemory 10mb",
                             "maxmemory-policy volatile-lru"}}),
        redis_link_(redis_.port()),
        objects_(S3Server::Plain().address()),
        bucket_(S3Server::Plain().MakeBucket()),
        selector_port_(FreePort()) {
    objects_.KeepNoRequests();
    WriteCredentials();
    const Server ingestion = cluster_.Start("cacheclip-ingestion", Settings());
    num_chunks_ = cluster_.Ingest(ingestion, kNumDocuments).size();
    StartSelector();
    std::vector<std::string> settings = Settings();
    settings.insert(settings.end(), {"--selector-target", absl::StrCat("127.0.0.1:", selector_port_)});
    generation_ = cluster_.Start("cacheclip-generation", settings);
    faults_ =
        std::make_unique<TierFaults>(FaultTargets{.redis = &redis_,
                                                  .redis_link = &redis_link_,
                                                  .objects = &objects_,
                                                  .object_folder = S3Server::Plain().ObjectFile(bucket_, ""),
                                                  .disk_folder = cluster_.data() + "/chunks",
                                                  .kill_selector =
                                                      [this] {
                                                        selector_.process->Signal(SIGKILL);
                                                        selector_.process->Wait();
                                                      },
                                                  .start_selector = [this] { StartSelector(); }},
                                     seed);
  }

  Server& generation() { return generation_; }
  TierFaults& faults() { return *faults_; }
  size_t num_chunks() const { return num_chunks_; }

 private:
  void WriteCredentials() {
    std::ofstream(cluster_.folder() + "/credentials")
        << "[default]\naws_access_key_id = " << S3Server::kAccessKey
        << "\naws_secret_access_key = " << S3Server::kSecretKey << "\n";
  }
  std::vector<std::string> Settings() {
    return {"--memory-bytes",        "1MiB",
            "--disk-bytes",          "2MiB",
            "--redis-url",           absl::StrCat("redis://127.0.0.1:", redis_link_.port()),
            "--object-url",          absl::StrCat("s3://", bucket_, "/kv"),
            "--s3-endpoint",         objects_.endpoint(),
            "--s3-region",           S3Server::kRegion,
            "--s3-path-style",       "yes",
            "--s3-credentials-file", cluster_.folder() + "/credentials"};
  }
  void StartSelector() {
    std::vector<std::string> settings = Settings();
    settings.insert(settings.end(), {"--port", absl::StrCat(selector_port_)});
    selector_ = cluster_.Start("cacheclip-selector", settings);
  }

  Cluster cluster_{CostlyModel()};
  RedisServer redis_;
  SlowLink redis_link_;
  FaultProxy objects_;
  const std::string bucket_;
  const int selector_port_;
  size_t num_chunks_ = 0;
  Server selector_, generation_;
  std::unique_ptr<TierFaults> faults_;
};

TEST(RandomFaults, EveryAnswerIsThatOfARunWithoutFaults) {
  CACHECLIP_NEEDS_REDIS();
  CACHECLIP_REQUIRE_S3_SERVER();
  CACHECLIP_NEEDS_SLOW_LINK();
  const int num_requests = FromEnvironment("CACHECLIP_FAULT_REQUESTS", kSampleRequests);
  const auto seed = static_cast<uint32_t>(FromEnvironment("CACHECLIP_FAULT_SEED", 1));
  const Questions questions = AskWithoutFaults(seed);
  ASSERT_FALSE(HasFailure());
  FaultyCluster cluster(seed + 1);
  ASSERT_GT(cluster.num_chunks(), 0);

  Tally tally;
  std::atomic<int> next{0};
  std::atomic<int64_t> early_memory{0};
  const auto ask = [&] {
    GenerationClient client(ChannelTo(cluster.generation()));
    for (int i = next++; i < num_requests; i = next++) {
      std::mt19937 random(seed + 1000 + i);
      const auto set = static_cast<int>(random() % kNumChunkSets);
      const Method method = kMethods[random() % std::size(kMethods)];
      const absl::Time begin = absl::Now();
      const auto result = client.Generate(RequestOver(questions.chunk_sets[set], method),
                                          CancellationToken(begin + kDeadline));
      tally.Add(set, method, result, absl::Now() - begin, questions.answers);
      cluster.faults().NoteAnswer();
      if (i == num_requests / 10) early_memory = ResidentBytes(cluster.generation().process->pid());
    }
  };
  cluster.faults().Start();
  std::vector<std::thread> clients;
  for (int i = 0; i < kClients; ++i) clients.emplace_back(ask);
  for (std::thread& client : clients) client.join();
  cluster.faults().Stop();

  const int64_t memory = ResidentBytes(cluster.generation().process->pid());
  std::cout << "seed " << seed << ", " << num_requests << " requests over " << cluster.num_chunks()
            << " chunks\n  faults\n";
  for (const auto& [name, count] : cluster.faults().counts())
    std::cout << "    " << count << "  " << name << "\n";
  tally.Print();
  std::cout << "  resident MiB of the server: " << (early_memory >> 20) << " after a tenth, "
            << (memory >> 20) << " at the end" << std::endl;
  tally.Expect(num_requests);
  EXPECT_GT(memory, 0) << "the server lives";
  EXPECT_LT(memory, early_memory + kMaxGrowthBytes);
  cluster.generation().process->Signal(SIGTERM);
  EXPECT_EQ(cluster.generation().process->Wait(), 0) << cluster.generation().process->Stderr();
}

}  // namespace
}  // namespace cacheclip
