// Ingestion, selector and generation as three processes that share a data folder: what each of them may lose.
#include <atomic>
#include <csignal>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/integration/cluster.h"
#include "tests/support/poll.h"

namespace cacheclip {
namespace {

struct ThreeProcesses {
  Cluster cluster;
  Server selector = cluster.Start("cacheclip-selector");
  Server ingestion = cluster.Start("cacheclip-ingestion", {"--selector-target", selector.address});
  Server generation = cluster.Start("cacheclip-generation", {"--selector-target", selector.address});
};

int64_t CachedTokens(const Usage& usage) {
  int64_t sum = 0;
  for (const auto& [tier, tokens] : usage.cached_tokens) sum += tokens;
  return sum;
}

TEST(ThreeProcesses, AnswerOverStoredChunksAndAccountForThem) {
  ThreeProcesses processes;
  const std::vector<std::string> chunks = processes.cluster.Ingest(processes.ingestion, 3);
  ASSERT_GE(chunks.size(), 3);
  const auto result = Generate(processes.generation, RequestOver(chunks, Method::kAuto));
  ASSERT_TRUE(result.ok()) << result.status();
  const Usage& usage = result->usage;
  EXPECT_EQ(usage.method, Method::kAuxiliary);
  EXPECT_TRUE(usage.fallbacks.empty()) << usage.fallbacks.front().detail;
  EXPECT_EQ(usage.reencoded_tokens, 0);
  EXPECT_GE(CachedTokens(usage), usage.context_tokens);
  EXPECT_GT(usage.recomputed_tokens, 0);
  EXPECT_LE(usage.charged_budget, 0.2);
  EXPECT_GT(usage.estimated_divergence.value_or(0), 0) << "the selector says what it left";
  EXPECT_EQ(usage.completion_tokens, 4);
}

TEST(ThreeProcesses, LosingTheSelectorUnderLoadCostsTheMethodOnly) {
  ThreeProcesses processes;
  const std::vector<std::string> chunks = processes.cluster.Ingest(processes.ingestion, 2);
  std::atomic<int> num_answered{0}, num_failed{0};
  std::atomic<bool> stop{false};
  std::vector<std::thread> clients;
  for (int i = 0; i < 3; ++i) {
    clients.emplace_back([&] {
      while (!stop)
        ++(Generate(processes.generation, RequestOver(chunks, Method::kAuto)).ok() ? num_answered
                                                                                   : num_failed);
    });
  }
  EXPECT_TRUE(PollUntil([&] { return num_answered >= 3; }));
  processes.selector.process->Signal(SIGKILL);
  const int before = num_answered;
  EXPECT_TRUE(PollUntil([&] { return num_answered >= before + 6; }));
  stop = true;
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(num_failed, 0);
  const auto result = Generate(processes.generation, RequestOver(chunks, Method::kAuto));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->usage.method, Method::kPrimaryProbe);
  ASSERT_EQ(result->usage.fallbacks.size(), 1);
  EXPECT_EQ(result->usage.fallbacks[0].component, "selector");
  // The fallback equals a fault-free run of that method.
  const auto probe = Generate(processes.generation, RequestOver(chunks, Method::kPrimaryProbe));
  ASSERT_TRUE(probe.ok()) << probe.status();
  EXPECT_EQ(result->token_ids, probe->token_ids);
  EXPECT_TRUE(probe->usage.fallbacks.empty());
}

TEST(ThreeProcesses, ChunkIdsResolveWithoutIngestion) {
  ThreeProcesses processes;
  const std::vector<std::string> chunks = processes.cluster.Ingest(processes.ingestion, 2);
  processes.ingestion.process->Signal(SIGKILL);
  processes.ingestion.process->Wait();
  const auto result = Generate(processes.generation, RequestOver(chunks, Method::kPrimaryProbe));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->usage.reencoded_tokens, 0);
}

TEST(ThreeProcesses, RestartComputesNothingAgain) {
  ThreeProcesses processes;
  IngestTotals first;
  const std::vector<std::string> chunks = processes.cluster.Ingest(processes.ingestion, 2, &first);
  EXPECT_GT(first.chunks_encoded, 0);
  for (Server* server : {&processes.ingestion, &processes.generation}) {
    server->process->Signal(SIGKILL);
    server->process->Wait();
  }
  processes.ingestion = processes.cluster.Start("cacheclip-ingestion");
  processes.generation = processes.cluster.Start("cacheclip-generation");
  IngestTotals again;
  EXPECT_EQ(processes.cluster.Ingest(processes.ingestion, 2, &again), chunks);
  EXPECT_EQ(again.chunks_encoded, 0);
  EXPECT_EQ(again.num_unchanged, 2);
  const auto result = Generate(processes.generation, RequestOver(chunks, Method::kNone));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->usage.reencoded_tokens, 0);
  EXPECT_GE(result->usage.cached_tokens.at(Tier::kDisk), result->usage.context_tokens);
}

TEST(ThreeProcesses, KilledWhileIngestingLeavesNoHalfChunk) {
  Cluster cluster;
  Server ingestion = cluster.Start("cacheclip-ingestion");
  std::thread client([&] {
    IngestionClient to(ChannelTo(ingestion));
    PrefixSpec spec;
    spec.system_prompt = "You answer questions.";
    (void)to.PutNamespace("default", &spec, true).ok();
    int next = 0;
    (void)to
        .Ingest({.namespace_name = "default", .chunker = {.target_tokens = 96, .max_tokens = 192}},
                [&](SourceDocument* document) {
                  *document = {.document_id = std::to_string(next),
                               .text = std::string(2000, 'a' + next % 26)};
                  return ++next < 1000;
                })
        .ok();
  });
  EXPECT_TRUE(PollUntil([&] { return MetricValue(ingestion, "cacheclip_chunks_encoded_total") >= 3; }));
  ingestion.process->Signal(SIGKILL);
  ingestion.process->Wait();
  client.join();
  const CommandResult verify = cluster.Run({"cacheclip", "verify", "--data-dir", cluster.data(), "--json"});
  EXPECT_EQ(verify.status, 0) << verify.output << verify.error;
  ingestion = cluster.Start("cacheclip-ingestion");
  IngestTotals totals;
  EXPECT_FALSE(cluster.Ingest(ingestion, 3, &totals).empty());
  EXPECT_EQ(totals.num_failed, 0);
}

}  // namespace
}  // namespace cacheclip
