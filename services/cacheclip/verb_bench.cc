// cacheclip bench: prefill, time to first token and stores, measured with the real parts. bench.h and
// store_bench/store_bench.h say what each asks.
#include <cstdio>
#include <memory>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "common/rpc/shutdown_signal.h"
#include "common/select/method.h"
#include "services/cacheclip/bench.h"
#include "services/cacheclip/console.h"
#include "services/cacheclip/store_bench/store_bench.h"
#include "services/cacheclip/verb.h"
#include "services/runtime/program_options.h"

namespace cacheclip {
namespace {

struct Flags {
  ProgramOptions program;
  TtftBenchOptions ttft;
  PrefillBenchOptions prefill;
  StoreBenchOptions store;
  bool wants_ttft = false, wants_store = false;
};

int Print(const absl::StatusOr<nlohmann::json>& report, bool json) {
  if (!report.ok()) return ReportError(report.status());
  if (json) {
    PrintJson(*report);
    return kExitOk;
  }
  for (const auto& [key, value] : report->items())
    std::printf("%-28s %s\n", key.c_str(), value.dump().c_str());
  return kExitOk;
}

CLI::App* AddBenchmark(CLI::App& app, const char* name, const char* question, Flags* flags) {
  CLI::App* command = app.add_subcommand(name, question);
  AddSettings(*command, &flags->program);
  command->add_flag("--json", flags->program.json, "stdout is exactly one JSON object");
  return command;
}

void AddStoreBenchmark(CLI::App& app, const std::shared_ptr<Flags>& flags) {
  CLI::App* store =
      AddBenchmark(app, "store", "each tier's reads and writes, against the machine's limit", flags.get());
  StoreBenchOptions& options = flags->store;
  store->add_option("--chunk", options.chunk_tokens, "tokens per chunk")
      ->capture_default_str()
      ->check(CLI::Range(1, 1 << 17));
  store->add_option("--chunks", options.num_chunks, "chunks of that size")
      ->capture_default_str()
      ->check(CLI::Range(1, kMaxBenchChunks));
  store->add_option("--repeat", options.repeat, "rounds; medians and ranges are reported")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  store
      ->add_option("--threads", options.num_threads,
                   "threads, and connections to Redis (one less, for a Redis started here); 0 = one per core")
      ->capture_default_str()
      ->check(CLI::Range(0, kMaxBenchThreads));
  store->add_option("--tiers", options.tiers, "which to measure")
      ->delimiter(',')
      ->capture_default_str()
      ->check(CLI::IsMember({"memory", "disk", "redis", "object"}));
  store->add_option("--folder", options.folder, "where files are written and removed (the data folder)");
  store->parse_complete_callback([flags] { flags->wants_store = true; });
}

// Ctrl-C and SIGTERM end the run between two rounds, so that servers and files of the run go with it.
int RunStore(const Config& config, Flags& flags) {
  BlockShutdownSignals();
  std::thread([token = flags.store.cancellation]() mutable {
    WaitForShutdownSignal();
    token.Cancel();
  }).detach();
  const absl::StatusOr<nlohmann::json> report = BenchStore(config, flags.store);
  if (!report.ok() || flags.program.json) return Print(report, flags.program.json);
  std::fputs(StoreBenchTable(*report).c_str(), stdout);
  return kExitOk;
}

}  // namespace

VerbRun AddBench(CLI::App& app) {
  auto flags = std::make_shared<Flags>();
  app.require_subcommand(1);
  CLI::App* ttft =
      AddBenchmark(app, "ttft", "time to first token over stored chunks, against full prefill", flags.get());
  ttft->add_option("--context", flags->ttft.context_tokens, "chunk tokens")
      ->capture_default_str()
      ->check(CLI::Range(1, 1 << 20));
  ttft->add_option("--chunk", flags->ttft.chunk_tokens, "tokens per chunk")
      ->capture_default_str()
      ->check(CLI::Range(8, 1 << 17));
  ttft->add_option("--budget", flags->ttft.budget, "share of chunk tokens to recompute")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1.0));
  ttft->add_option("--method", flags->ttft.method, KnownMethodIds())->capture_default_str();
  ttft->add_option("--repeat", flags->ttft.repeat, "rounds; medians are reported")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  ttft->parse_complete_callback([flags] { flags->wants_ttft = true; });
  CLI::App* prefill = AddBenchmark(app, "prefill", "prompt tokens a second", flags.get());
  prefill->add_option("--tokens", flags->prefill.token_counts, "prompt lengths")
      ->delimiter(',')
      ->check(CLI::Range(1, 1 << 20));
  prefill->add_option("--repeat", flags->prefill.repeat, "rounds; medians are reported")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  prefill->add_option("--peer", flags->prefill.peer, "compare in the same run")
      ->check(CLI::IsMember({"transformers"}));
  AddStoreBenchmark(app, flags);
  return [flags] {
    const absl::StatusOr<Config> config = ResolveConfig(flags->program);
    if (!config.ok()) {
      ReportError(config.status());
      return static_cast<int>(kExitUsage);
    }
    if (flags->wants_store) return RunStore(*config, *flags);
    return Print(flags->wants_ttft ? BenchTtft(*config, flags->ttft) : BenchPrefill(*config, flags->prefill),
                 flags->program.json);
  };
}

}  // namespace cacheclip
