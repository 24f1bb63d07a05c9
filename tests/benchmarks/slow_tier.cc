// Question: what does a slow or stalled Redis add to the time to first token, when chunks lie nowhere else?
// The bound is 10 % and 50 ms over full prefill. For each state of Redis a generation process is started
// while it is in that state, and asked in turn over stored chunks and in full, side by side, so that both
// meet the same machine. --context, --state: this one alone; --later 0: no Redis that falls ill
// in use. Prints a table; exit status 1: in some state the median is beyond the bound.
//
//   build/dev/benchmarks/slow_tier [--rounds 5] [--context 2048] [--later 0] [--state 2]
#include <csignal>
#include <cstdio>
#include <functional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/benchmarks/measure.h"
#include "tests/support/demo_model.h"
#include "tests/support/redis_server.h"
#include "tests/support/slow_link.h"

namespace cacheclip {
namespace {

constexpr int kChunkTokens = 512;
constexpr double kOverhead = 1.1;
constexpr absl::Duration kFixedOverhead = absl::Milliseconds(50);

struct RedisState {
  const char* name;
  std::function<void()> begin, end;
};

std::vector<std::string> ChunksFor(const std::vector<MeasuredChunk>& chunks, int context_tokens) {
  std::vector<std::string> ids;
  int num_tokens = 0;
  for (const MeasuredChunk& chunk : chunks) {
    if (num_tokens + chunk.num_tokens / 2 > context_tokens) break;
    num_tokens += chunk.num_tokens;
    ids.push_back(chunk.id);
  }
  return ids;
}

// True: within the bound.
bool Measure(const Server& server, const char* state, const std::vector<std::string>& ids, int rounds,
             bool is_first_request) {
  std::vector<absl::Duration> stored, full, beyond;
  std::string how;
  absl::Duration first_beyond;
  for (int round = 0; round < rounds; ++round) {
    const TimedAnswer answer = Ask(server, RequestOver(ids, Method::kPrimaryProbe, 1));
    const TimedAnswer whole = Ask(server, RequestOver(ids, Method::kFull, 1));
    stored.push_back(answer.time_to_first_token);
    full.push_back(whole.time_to_first_token);
    beyond.push_back(stored.back() - kOverhead * full.back() - kFixedOverhead);
    how = std::string(MethodId(answer.result.usage.method));
    for (const auto& [stage, duration] : answer.result.usage.stage_durations)
      absl::StrAppend(&how, " ", std::string(StageName(stage)), "=", absl::ToInt64Milliseconds(duration));
    for (const auto& decision : answer.result.usage.load_decisions)
      absl::StrAppend(&how, " ", decision.decision, "/", decision.reason, "=", decision.num_chunks);
  }
  const absl::Duration margin = Quantile(beyond, 0.5);
  std::printf("%-22s %6zu %9.0f %9.0f %9.0f %9.0f %7.2f %9.0f  %s%s\n", state, ids.size(), Millis(stored[0]),
              Millis(Quantile(stored, 0.5)), Millis(Quantile(stored, 1)), Millis(Quantile(full, 0.5)),
              absl::FDivDuration(Quantile(stored, 0.5), Quantile(full, 0.5)), Millis(margin), how.c_str(),
              is_first_request ? "  (first: of the process)" : "");
  std::fflush(stdout);
  return margin <= absl::ZeroDuration();
}

int Main(int argc, char** argv) {
  const auto demo = DemoModelDirectory();
  if (!demo.has_value()) {
    std::fprintf(stderr, "%s\n", kDemoModelMissing);
    return 2;
  }
  const int rounds = Argument(argc, argv, "rounds", 5);
  Cluster cluster(*demo, "bf16");
  RedisServer redis;
  SlowLink link(redis.port());
  const auto settings = [](int port) {  // no local tier keeps anything
    return std::vector<std::string>{
        "--memory-bytes", "0", "--disk-bytes", "0", "--redis-url", absl::StrCat("redis://127.0.0.1:", port)};
  };
  std::vector<MeasuredChunk> chunks;
  {
    const Server ingestion = cluster.Start("cacheclip-ingestion", settings(redis.port()));
    chunks = IngestTexts(cluster, ingestion, 10, 380, kChunkTokens);
    ingestion.process->Signal(SIGTERM);
    ingestion.process->Wait();
  }
  const auto restore = [&] { link.Restore(); };
  const RedisState states[] = {
      {"healthy", [] {}, [] {}},
      {"200 ms latency", [&] { link.Delay(200); }, restore},
      {"1 MB/s", [&] { link.LimitTo(1'000'000); }, restore},
      {"answers lost", [&] { link.Stall(); }, restore},
      {"stopped (SIGSTOP)", [&] { redis.Pause(); }, [&] { redis.Resume(); }},
  };
  std::printf("%-22s %6s %9s %9s %9s %9s %7s %9s  milliseconds; beyond: over 1.1 full + 50 ms, median\n",
              "redis", "chunks", "first", "median", "longest", "full", "ratio", "beyond");
  bool is_within = true;
  const int only_context = Argument(argc, argv, "context", 0);
  const int only_state = Argument(argc, argv, "state", -1);
  const bool tries_later = Argument(argc, argv, "later", 1) != 0;
  for (const RedisState& state : states) {
    for (const bool is_late : {false, true}) {
      if (only_state >= 0 && &state != &states[only_state]) continue;
      if (is_late && (!tries_later || state.name == states[0].name)) continue;
      if (!is_late) state.begin();
      const Server server = cluster.Start("cacheclip-generation", settings(link.port()));
      bool is_first_request = !is_late;
      for (const int context : {2048, 4096}) {
        if (only_context != 0 && context != only_context) continue;
        const std::vector<std::string> ids = ChunksFor(chunks, context);
        if (is_late) {  // Redis falls ill while it is in use
          for (int i = 0; i < 2; ++i) Ask(server, RequestOver(ids, Method::kPrimaryProbe, 1));
          state.begin();
        }
        const std::string name = std::string(state.name) + (is_late ? ", later" : "");
        is_within &= Measure(server, name.c_str(), ids, rounds, std::exchange(is_first_request, false));
        if (is_late) state.end();
      }
      if (!is_late) state.end();
    }
  }
  return is_within ? 0 : 1;
}

}  // namespace
}  // namespace cacheclip

int main(int argc, char** argv) { return cacheclip::Main(argc, argv); }
