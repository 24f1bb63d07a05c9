// Question: do answers stay as fast, and the server as small, while novel questions over ever other chunks go
// on? 1 000 documents are ingested (650 MB); disk holds them all unless --disk-mib says less, the memory tier
// a few, Redis stands at its memory limit. Then each question asks over 14 chunks drawn at random, and right
// after it a control request that touches no store: the ratio of the two does not know how busy the machine
// is. Compares the first 100 questions after the warm-up with the last 100. Exit status 1: slower by more
// than 10 %, or the server grew.
//
//   build/dev/benchmarks/no_decay [--documents 1000] [--questions 500] [--disk-mib 1024] [--seed 1]
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <map>
#include <random>

#include "absl/strings/str_cat.h"
#include "tests/benchmarks/measure.h"
#include "tests/support/process_memory.h"
#include "tests/support/redis_server.h"

namespace cacheclip {
namespace {

constexpr int kChunksPerQuestion = 14, kWarmUp = 50, kCompared = 100;
constexpr double kMaxSlowdown = 1.1;
constexpr double kMaxGrowth = 1.1;
constexpr int64_t kMaxGrowthBytes = int64_t{64} << 20;  // nor by more than that: allocators breathe

struct Window {
  std::vector<absl::Duration> times;
  std::vector<double> ratios;  // to the control request
  std::map<Tier, int64_t> tokens;
  int64_t encoded_tokens = 0;
  int num_fallbacks = 0;

  double MedianRatio() const {
    std::vector<double> sorted = ratios;
    std::sort(sorted.begin(), sorted.end());
    return sorted[sorted.size() / 2];
  }
};

GenerateRequest Novel(const std::vector<MeasuredChunk>& chunks, int index, std::mt19937& random) {
  std::vector<std::string> ids;
  while (static_cast<int>(ids.size()) < kChunksPerQuestion) {
    const std::string& id = chunks[random() % chunks.size()].id;
    if (std::find(ids.begin(), ids.end(), id) == ids.end()) ids.push_back(id);
  }
  GenerateRequest request = RequestOver(ids, Method::kPrimaryProbe, 1);
  request.messages = {{"user", absl::StrCat("Which captain left on day ", index, "?")}};
  return request;
}

void Print(const char* name, const Window& window, int64_t memory) {
  std::printf("%-10s median %7.1f ms  p95 %7.1f ms  median over control %5.3f  resident %4ld MiB  tokens:",
              name, Millis(Quantile(window.times, 0.5)), Millis(Quantile(window.times, 0.95)),
              window.MedianRatio(), static_cast<long>(memory >> 20));
  for (const auto& [tier, tokens] : window.tokens)
    std::printf(" %s %ld", std::string(TierName(tier)).c_str(), static_cast<long>(tokens));
  std::printf(" encoded anew %ld, fallbacks %d\n", static_cast<long>(window.encoded_tokens),
              window.num_fallbacks);
  std::fflush(stdout);
}

int Main(int argc, char** argv) {
  const int num_documents = Argument(argc, argv, "documents", 1000);
  const int num_questions = Argument(argc, argv, "questions", 500);
  Cluster cluster(TinyModelOptions{.hidden_size = 384,
                                   .intermediate_size = 512,
                                   .num_layers = 3,
                                   .num_heads = 6,
                                   .num_kv_heads = 1,
                                   .max_positions = 8192});
  RedisServer redis({.settings = {"maxmemory 192mb", "maxmemory-policy volatile-lru"}});
  const std::vector<std::string> settings = {
      "--memory-bytes", "48MiB",
      "--disk-bytes",   absl::StrCat(Argument(argc, argv, "disk-mib", 1024), "MiB"),
      "--redis-url",    redis.url()};
  std::vector<MeasuredChunk> chunks;
  {
    const Server ingestion = cluster.Start("cacheclip-ingestion", settings);
    chunks = IngestTexts(cluster, ingestion, num_documents, 160, 384);
    ingestion.process->Signal(SIGTERM);
    ingestion.process->Wait();
  }
  int64_t num_tokens = 0;
  for (const MeasuredChunk& chunk : chunks) num_tokens += chunk.num_tokens;
  std::printf("%d documents, %zu chunks of %ld tokens; %d questions over %d chunks each\n", num_documents,
              chunks.size(), static_cast<long>(num_tokens / static_cast<int64_t>(chunks.size())),
              num_questions, kChunksPerQuestion);
  const Server server = cluster.Start("cacheclip-generation", settings);
  std::mt19937 random(static_cast<uint32_t>(Argument(argc, argv, "seed", 1)));
  const GenerateRequest control =
      RequestOver({chunks[0].id, chunks[1].id, chunks[2].id, chunks[3].id}, Method::kFull, 1);
  Window first, last, block;
  int64_t early_memory = 0, memory = 0;
  for (int i = 0; i < kWarmUp + num_questions; ++i) {
    const TimedAnswer answer = Ask(server, Novel(chunks, i, random));
    const double ratio =
        absl::FDivDuration(answer.time_to_first_token, Ask(server, control).time_to_first_token);
    memory = ResidentBytes(server.process->pid());
    const int question = i - kWarmUp;
    if (question < 0) continue;
    std::vector<Window*> windows = {&block};
    if (question < kCompared) windows.push_back(&first);
    if (question >= num_questions - kCompared) windows.push_back(&last);
    for (Window* window : windows) {
      window->times.push_back(answer.time_to_first_token);
      window->ratios.push_back(ratio);
      for (const auto& [tier, tokens] : answer.result.usage.cached_tokens) window->tokens[tier] += tokens;
      window->encoded_tokens += answer.result.usage.reencoded_tokens;
      window->num_fallbacks += static_cast<int>(answer.result.usage.fallbacks.size());
    }
    if (question + 1 == kCompared) early_memory = memory;
    if ((question + 1) % kCompared == 0) {
      Print(absl::StrCat("…", question + 1).c_str(), block, memory);
      block = {};
    }
  }
  Print("first 100", first, early_memory);
  Print("last 100", last, memory);
  const bool is_slower = last.MedianRatio() > kMaxSlowdown * first.MedianRatio();
  const bool has_grown = static_cast<double>(memory) > kMaxGrowth * static_cast<double>(early_memory) &&
                         memory > early_memory + kMaxGrowthBytes;
  std::printf("last over first: %.3f raw, %.3f over control; memory %.3f: %s\n",
              absl::FDivDuration(Quantile(last.times, 0.5), Quantile(first.times, 0.5)),
              last.MedianRatio() / first.MedianRatio(),
              static_cast<double>(memory) / static_cast<double>(early_memory),
              is_slower || has_grown ? "DECAY" : "no decay");
  return is_slower || has_grown ? 1 : 0;
}

}  // namespace
}  // namespace cacheclip

int main(int argc, char** argv) { return cacheclip::Main(argc, argv); }
