// cacheclip bench: prefill and time to first token, measured with the real parts. bench.h says what each
// asks.
#include <cstdio>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/select/method.h"
#include "services/cacheclip/bench.h"
#include "services/cacheclip/console.h"
#include "services/cacheclip/verb.h"
#include "services/runtime/program_options.h"

namespace cacheclip {
namespace {

struct Flags {
  ProgramOptions program;
  TtftBenchOptions ttft;
  PrefillBenchOptions prefill;
  bool wants_ttft = false;
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
  return [flags] {
    const absl::StatusOr<Config> config = ResolveConfig(flags->program);
    if (!config.ok()) {
      ReportError(config.status());
      return static_cast<int>(kExitUsage);
    }
    return Print(flags->wants_ttft ? BenchTtft(*config, flags->ttft) : BenchPrefill(*config, flags->prefill),
                 flags->program.json);
  };
}

}  // namespace cacheclip
