// cacheclip bench: prefill, decode, selection, recomputing, time to first token and stores, measured with the
// real parts. bench.h and store_bench/store_bench.h say what each asks.
#include <cstdio>
#include <functional>
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
  DecodeBenchOptions decode;
  SelectBenchOptions select;
  RecomputeBenchOptions recompute;
  StoreBenchOptions store;
  std::function<int(const Config&, Flags&)> run;  // of the subcommand asked for
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

constexpr int kMostTokens = 1 << 20;

using FlagsPointer = std::shared_ptr<Flags>;

using Run = std::function<int(const Config&, Flags&)>;

CLI::App* AddBenchmark(CLI::App& app, const char* name, const char* question, const FlagsPointer& flags,
                       const Run& run) {
  CLI::App* command = app.add_subcommand(name, question);
  AddSettings(*command, &flags->program);
  command->add_flag("--json", flags->program.json, "stdout is exactly one JSON object");
  command->parse_complete_callback([flags, run] { flags->run = run; });
  return command;
}

void AddRepeat(CLI::App& command, int* repeat) {
  command.add_option("--repeat", *repeat, "rounds; medians and ranges are reported")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
}

template <typename Options>
void AddStoredContext(CLI::App& command, Options* options) {
  command.add_option("--context", options->context_tokens, "chunk tokens")
      ->capture_default_str()
      ->check(CLI::Range(1, kMostTokens));
  command.add_option("--chunk", options->chunk_tokens, "tokens per chunk")
      ->capture_default_str()
      ->check(CLI::Range(8, 1 << 17));
  AddRepeat(command, &options->repeat);
}

void AddBudget(CLI::App& command, double* budget) {
  command.add_option("--budget", *budget, "share of chunk tokens to recompute")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1.0));
}

void AddTtftBenchmark(CLI::App& app, const FlagsPointer& flags) {
  CLI::App* ttft = AddBenchmark(app, "ttft", "time to first token over stored chunks, against full prefill",
                                flags, [](const Config& config, Flags& flags) {
                                  return Print(BenchTtft(config, flags.ttft), flags.program.json);
                                });
  AddStoredContext(*ttft, &flags->ttft);
  AddBudget(*ttft, &flags->ttft.budget);
  ttft->add_option("--method", flags->ttft.method, KnownMethodIds())->capture_default_str();
}

void AddSelectBenchmark(CLI::App& app, const FlagsPointer& flags) {
  CLI::App* select =
      AddBenchmark(app, "select", "what choosing tokens costs, by method, against full prefill", flags,
                   [](const Config& config, Flags& flags) {
                     return Print(BenchSelect(config, flags.select), flags.program.json);
                   });
  AddStoredContext(*select, &flags->select);
  AddBudget(*select, &flags->select.budget);
  select->add_option("--methods", flags->select.methods, KnownMethodIds())
      ->delimiter(',')
      ->capture_default_str();
}

void AddRecomputeBenchmark(CLI::App& app, const FlagsPointer& flags) {
  CLI::App* recompute =
      AddBenchmark(app, "recompute", "time of recomputing by the number of selected tokens", flags,
                   [](const Config& config, Flags& flags) {
                     return Print(BenchRecompute(config, flags.recompute), flags.program.json);
                   });
  AddStoredContext(*recompute, &flags->recompute);
  recompute->add_option("--budgets", flags->recompute.budgets, "shares of chunk tokens to recompute")
      ->delimiter(',')
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1.0));
  recompute->add_option("--method", flags->recompute.method, KnownMethodIds())->capture_default_str();
}

void AddPrefillBenchmark(CLI::App& app, const FlagsPointer& flags) {
  CLI::App* prefill =
      AddBenchmark(app, "prefill", "prompt tokens a second", flags, [](const Config& config, Flags& flags) {
        return Print(BenchPrefill(config, flags.prefill), flags.program.json);
      });
  prefill->add_option("--tokens", flags->prefill.token_counts, "prompt lengths")
      ->delimiter(',')
      ->check(CLI::Range(1, kMostTokens));
  AddRepeat(*prefill, &flags->prefill.repeat);
  prefill->add_option("--peer", flags->prefill.peer, "compare in the same run")
      ->check(CLI::IsMember({"transformers"}));
}

void AddDecodeBenchmark(CLI::App& app, const FlagsPointer& flags) {
  CLI::App* decode = AddBenchmark(app, "decode", "tokens a second of one sequence", flags,
                                  [](const Config& config, Flags& flags) {
                                    return Print(BenchDecode(config, flags.decode), flags.program.json);
                                  });
  decode->add_option("--contexts", flags->decode.context_tokens, "prompt lengths before the first token")
      ->delimiter(',')
      ->check(CLI::Range(1, kMostTokens));
  decode
      ->add_option("--tokens", flags->decode.num_tokens,
                   "tokens; the median, and the fastest and slowest tenth are reported")
      ->capture_default_str()
      ->check(CLI::Range(1, kMostTokens));
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

void AddStoreBenchmark(CLI::App& app, const FlagsPointer& flags) {
  CLI::App* store = AddBenchmark(app, "store", "each tier's reads and writes, against the machine's limit",
                                 flags, RunStore);
  StoreBenchOptions& options = flags->store;
  store->add_option("--chunk", options.chunk_tokens, "tokens per chunk")
      ->capture_default_str()
      ->check(CLI::Range(1, 1 << 17));
  store->add_option("--chunks", options.num_chunks, "chunks of that size")
      ->capture_default_str()
      ->check(CLI::Range(1, kMaxBenchChunks));
  AddRepeat(*store, &options.repeat);
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
}

}  // namespace

VerbRun AddBench(CLI::App& app) {
  auto flags = std::make_shared<Flags>();
  app.require_subcommand(1);
  AddTtftBenchmark(app, flags);
  AddPrefillBenchmark(app, flags);
  AddDecodeBenchmark(app, flags);
  AddSelectBenchmark(app, flags);
  AddRecomputeBenchmark(app, flags);
  AddStoreBenchmark(app, flags);
  return [flags] {
    const absl::StatusOr<Config> config = ResolveConfig(flags->program);
    if (config.ok()) return flags->run(*config, *flags);
    ReportError(config.status());
    return static_cast<int>(kExitUsage);
  };
}

}  // namespace cacheclip
