// `cacheclip serve`: everything in one process on one port.
#include <csignal>
#include <utility>

#include <sys/resource.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "tests/integration/cluster.h"
#include "tests/integration/raw_call.h"
#include "tests/support/poll.h"
#include "tests/support/tiny_model.h"

namespace cacheclip {
namespace {

using testing::HasSubstr;

constexpr char kHealthCheck[] = "/grpc.health.v1.Health/Check";
constexpr char kReflection[] = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";
const std::string kServing = "\x08\x01";  // HealthCheckResponse{status: SERVING}

TEST(Serve, AnswersHealthPerServiceAndReflection) {
  Cluster cluster;
  const Server server = cluster.Start("cacheclip");
  EXPECT_EQ(CallRaw(server.address, kHealthCheck, "").bytes, kServing);
  for (const std::string name : {"IngestionService", "SelectorService", "GenerationService"}) {
    const std::string service = "cacheclip.v1." + name;
    const std::string request =
        absl::StrCat("\x0a", std::string(1, static_cast<char>(service.size())), service);
    EXPECT_EQ(CallRaw(server.address, kHealthCheck, request).bytes, kServing) << service;
  }
  EXPECT_EQ(CallRaw(server.address, kHealthCheck, "\x0a\x01x").status.error_code(),
            grpc::StatusCode::NOT_FOUND);
  const std::string list_services("\x3a\x00", 2);  // ServerReflectionRequest{list_services: ""}
  EXPECT_THAT(CallRaw(server.address, kReflection, list_services).bytes,
              HasSubstr("cacheclip.v1.GenerationService"));
}

TEST(Serve, AsksItsOwnSelectorAndCountsWhatItDid) {
  Cluster cluster;
  const Server server = cluster.Start("cacheclip");
  const auto chunks = cluster.Ingest(server, 2);
  const auto result = Generate(server, RequestOver(chunks, Method::kAuto));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->usage.method, Method::kAuxiliary);
  EXPECT_TRUE(result->usage.fallbacks.empty()) << result->usage.fallbacks.front().detail;
  const std::string metrics = FetchMetrics(server);
  EXPECT_THAT(metrics, HasSubstr("cacheclip_request_success_total{finished_reason=\"length\"} 1\n"));
  EXPECT_THAT(metrics, HasSubstr("cacheclip_selections_total{method=\"auxiliary\"} 1\n"));
  EXPECT_THAT(metrics,
              HasSubstr(absl::StrCat("\ncacheclip_prompt_tokens_total ", result->usage.prompt_tokens, "\n")));
  EXPECT_THAT(metrics, HasSubstr("\ncacheclip_generation_tokens_total 4\n"));
  EXPECT_THAT(metrics, HasSubstr(absl::StrCat("\ncacheclip_recomputed_tokens_total ",
                                              result->usage.recomputed_tokens, "\n")));
  EXPECT_THAT(metrics, HasSubstr("cacheclip_ingested_documents_total{outcome=\"stored\"} 2\n"));
  EXPECT_THAT(metrics, HasSubstr("cacheclip_load_decisions_total{decision=\"load\""));
  EXPECT_THAT(metrics, HasSubstr("cacheclip_rpc_calls_total{"));
}

TEST(Serve, KeepsWhatAQualityPromisesAndEstimatesHowFarItIsFromExact) {
  Cluster cluster;
  const Server server = cluster.Start("cacheclip");
  GenerateRequest request = RequestOver(cluster.Ingest(server, 3), Method::kAuto);
  const std::pair<Quality, QualityLevel> levels[] = {{Quality::kFast, QualityLevels().fast},
                                                     {Quality::kBalanced, QualityLevels().balanced}};
  for (const auto& [quality, level] : levels) {
    request.options.quality = quality;
    const auto result = Generate(server, request);
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->usage.method, Method::kAuxiliary) << QualityId(quality);
    EXPECT_LE(result->usage.charged_budget, level.budget) << QualityId(quality);
    EXPECT_GT(result->usage.recomputed_tokens, 0) << QualityId(quality);
    EXPECT_GT(result->usage.estimated_divergence.value_or(0), 0) << QualityId(quality);
  }
  request.options.quality = Quality::kExact;
  const auto exact = Generate(server, request);
  ASSERT_TRUE(exact.ok()) << exact.status();
  EXPECT_EQ(exact->usage.method, Method::kFull);
  EXPECT_EQ(exact->usage.estimated_divergence, 0);
  request.options.quality = Quality::kUnspecified;
  request.options.method = Method::kFull;
  EXPECT_EQ(Generate(server, request)->text, exact->text);
  request.options.method = Method::kChunkHead;
  EXPECT_FALSE(Generate(server, request)->usage.estimated_divergence.has_value()) << "nobody scored";
  EXPECT_EQ(MetricValue(server, "cacheclip_estimated_divergence_nats_count"), 4);
}

TEST(Serve, AsksAnAuxiliaryOfAnotherFamilyThatHasItsOwnTokenizer) {
  Cluster cluster;
  const std::string auxiliary =
      WriteTinyModel(cluster.folder() + "/auxiliary", {.family = "qwen3", .num_layers = 3, .seed = "other"});
  MakeByteTokenizer(auxiliary);
  const Server server = cluster.Start("cacheclip", {"--selector-model", auxiliary});
  const auto chunks = cluster.Ingest(server, 2);
  for (int i = 0; i < 2; ++i) {
    const auto result = Generate(server, RequestOver(chunks, Method::kAuxiliary));
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->usage.method, Method::kAuxiliary);
    EXPECT_TRUE(result->usage.fallbacks.empty()) << result->usage.fallbacks.front().detail;
    EXPECT_GT(result->usage.recomputed_tokens, 0);
    EXPECT_LE(result->usage.charged_budget, 0.2);
  }
}

TEST(Serve, PrefillsInFullWhereReuseDivergesTooFar) {
  Cluster cluster;
  const Server server =
      cluster.Start("cacheclip", {"--max-divergence", "1e-9"});  // random weights: no chance
  const auto result = Generate(server, RequestOver(cluster.Ingest(server, 2), Method::kAuto));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->usage.method, Method::kFull);
  ASSERT_EQ(result->usage.fallbacks.size(), 1);
  EXPECT_EQ(result->usage.fallbacks[0].reason, "reuse_diverges");
}

TEST(Serve, AFullDiskFailsWritesAndNothingElse) {
  Cluster cluster;
  const Server server = cluster.Start("cacheclip");
  const auto chunks = cluster.Ingest(server, 1);
  // What a full disk does to writes, for this process alone: no file may grow.
  const rlimit full{.rlim_cur = 0, .rlim_max = RLIM_INFINITY};
  ASSERT_EQ(::prlimit(server.process->pid(), RLIMIT_FSIZE, &full, nullptr), 0);

  GenerateRequest request = RequestOver(chunks, Method::kPrimaryProbe);
  request.chunks.push_back({.text = "Ship number 9 went down off the cape.", .title = "Ships"});
  request.options.write_back = true;
  const auto answered = Generate(server, request);
  ASSERT_TRUE(answered.ok()) << answered.status();
  ASSERT_EQ(answered->usage.fallbacks.size(), 1);
  EXPECT_EQ(answered->usage.fallbacks[0].reason, "write_failed");

  const auto ingest = [&] {
    IngestionClient client(ChannelTo(server));
    absl::Status outcome;
    bool sent = false;
    const auto totals = client.Ingest(
        {.namespace_name = "default"},
        [&](SourceDocument* document) {
          *document = {
              .document_id = "late", .title = "Ships", .text = "Ship number 11 was never seen again."};
          return !std::exchange(sent, true);
        },
        {.on_result = [&](const DocumentResult& done) { outcome = done.status; }});
    return totals.ok() ? outcome : totals.status();
  };
  EXPECT_EQ(ingest().code(), absl::StatusCode::kResourceExhausted) << ingest();

  const rlimit free{.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};
  ASSERT_EQ(::prlimit(server.process->pid(), RLIMIT_FSIZE, &free, nullptr), 0);
  EXPECT_TRUE(ingest().ok());
  EXPECT_TRUE(Generate(server, RequestOver(chunks, Method::kAuto)).ok());
}

TEST(Serve, TextsGiveTheSameAnswerAsIds) {
  Cluster cluster;
  const Server server = cluster.Start("cacheclip");
  const auto chunks = cluster.Ingest(server, 1);
  IngestionClient ingestion(ChannelTo(server));
  GenerateRequest by_text = RequestOver({}, Method::kPrimaryProbe);
  ASSERT_TRUE(ingestion.GetDocument("default", "document-0").ok());
  int next = 0;
  const auto seen = ingestion.Ingest(
      {.namespace_name = "default", .chunker = {.target_tokens = 96, .max_tokens = 192}},
      [&](SourceDocument* document) {
        *document = {
            .document_id = "other", .title = "Ships", .text = "Ship number 7 left the harbour with grain."};
        return next++ == 0;
      },
      {.on_result = [&](const DocumentResult& done) {
        for (const ChunkRecord& chunk : done.chunks)
          by_text.chunks.push_back({.text = chunk.text, .title = chunk.title});
      }});
  ASSERT_TRUE(seen.ok()) << seen.status();
  ASSERT_EQ(by_text.chunks.size(), 1);
  const auto result = Generate(server, by_text);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->usage.reencoded_tokens, 0) << "a text that ingestion stored is a hit";
}

TEST(Serve, CancellingFreesTheKvAtOnce) {
  Cluster cluster;
  const Server server = cluster.Start("cacheclip");
  const auto chunks = cluster.Ingest(server, 1);
  CancellationToken cancellation;
  GenerationClient client(ChannelTo(server));
  const auto result = client.Generate(RequestOver(chunks, Method::kNone, 3000), cancellation,
                                      {.on_token = [&](const TokenEvent&) { cancellation.Cancel(); }});
  EXPECT_EQ(result.status().code(), absl::StatusCode::kCancelled) << result.status();
  EXPECT_TRUE(PollUntil([&] { return MetricValue(server, "cacheclip_kv_cache_reserved_bytes") == 0; }));
  EXPECT_EQ(MetricValue(server, "cacheclip_num_requests_running"), 0);
}

TEST(Serve, AbortEndsARunningRequestAndRefusesItsIdTwice) {
  Cluster cluster;
  const Server server = cluster.Start("cacheclip");
  const auto chunks = cluster.Ingest(server, 1);
  GenerateRequest request = RequestOver(chunks, Method::kNone, 3000);
  request.request_id = "only-once";
  GenerationClient client(ChannelTo(server));
  absl::Status second, abort;
  bool first_token = true;
  const auto result = client.Generate(request, CancellationToken(), {.on_token = [&](const TokenEvent&) {
                                        if (!std::exchange(first_token, false)) return;
                                        second = Generate(server, request).status();
                                        abort = client.Abort("only-once");
                                      }});
  EXPECT_EQ(second.code(), absl::StatusCode::kAlreadyExists) << second;
  EXPECT_EQ(FieldOf(second), "request_id");
  EXPECT_TRUE(abort.ok()) << abort;
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->finish_reason, FinishReason::kCancelled);
  EXPECT_EQ(client.Abort("only-once").code(), absl::StatusCode::kNotFound);
}

TEST(Serve, DrainsOnSigterm) {
  Cluster cluster;
  Server server = cluster.Start("cacheclip");
  const auto chunks = cluster.Ingest(server, 1);
  GenerationClient client(ChannelTo(server));
  bool first_token = true;
  const auto result = client.Generate(RequestOver(chunks, Method::kNone, 200), CancellationToken(),
                                      {.on_token = [&](const TokenEvent&) {
                                        if (std::exchange(first_token, false))
                                          server.process->Signal(SIGTERM);
                                      }});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->usage.completion_tokens, 200);
  EXPECT_EQ(server.process->Wait(), 0) << server.process->Stderr();
}

}  // namespace
}  // namespace cacheclip
