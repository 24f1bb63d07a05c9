#include "services/cacheclip/usage_report.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "common/base/string_view.h"

namespace cacheclip {
namespace {

std::string CachedText(const Usage& usage) {
  std::string text;
  for (const auto& [tier, tokens] : usage.cached_tokens)
    absl::StrAppend(&text, text.empty() ? "" : " ", AbslView(TierName(tier)), " ", tokens);
  return text.empty() ? "-" : text;
}

}  // namespace

nlohmann::json UsageJson(const Usage& usage) {
  nlohmann::json cached = nlohmann::json::object(), stages = nlohmann::json::object(),
                 fallbacks = nlohmann::json::array(), decisions = nlohmann::json::array();
  int64_t cached_tokens = 0;
  for (const auto& [tier, tokens] : usage.cached_tokens) {
    cached[std::string(TierName(tier))] = tokens;
    cached_tokens += tokens;
  }
  for (const auto& [stage, duration] : usage.stage_durations)
    stages[std::string(StageName(stage))] = absl::ToDoubleSeconds(duration);
  for (const Fallback& fallback : usage.fallbacks)
    fallbacks.push_back(
        {{"component", fallback.component}, {"reason", fallback.reason}, {"detail", fallback.detail}});
  for (const LoadDecision& decision : usage.load_decisions)
    decisions.push_back(
        {{"decision", decision.decision}, {"reason", decision.reason}, {"num_chunks", decision.num_chunks}});
  const nlohmann::json estimate =
      usage.estimated_divergence.has_value() ? nlohmann::json(*usage.estimated_divergence) : nlohmann::json();
  return {{"prompt_tokens", usage.prompt_tokens},
          {"completion_tokens", usage.completion_tokens},
          {"cached_prompt_tokens", cached_tokens},
          {"cached_tokens_by_tier", cached},
          {"reencoded_tokens", usage.reencoded_tokens},
          {"context_tokens", usage.context_tokens},
          {"recomputed_tokens", usage.recomputed_tokens},
          {"charged_budget", usage.charged_budget},
          {"estimated_divergence", estimate},
          {"method", std::string(MethodId(usage.method))},
          {"fallbacks", fallbacks},
          {"load_decisions", decisions},
          {"stage_seconds", stages},
          {"time_to_first_token_seconds", absl::ToDoubleSeconds(usage.time_to_first_token)}};
}

std::string UsageLine(const Usage& usage) {
  std::string line = absl::StrFormat(
      "%s: first token after %.3f s, %d context tokens, %d recomputed (%.1f %%), cached %s",
      std::string(MethodId(usage.method)), absl::ToDoubleSeconds(usage.time_to_first_token),
      usage.context_tokens, usage.recomputed_tokens, 100 * usage.charged_budget, CachedText(usage));
  if (usage.estimated_divergence.has_value())
    absl::StrAppend(&line, absl::StrFormat(", estimated divergence %.3f", *usage.estimated_divergence));
  for (const Fallback& fallback : usage.fallbacks)
    absl::StrAppend(&line, "; without ", fallback.component, ": ", fallback.reason);
  return line;
}

std::string StageTable(const Usage& usage) {
  const double first_token = absl::ToDoubleSeconds(usage.time_to_first_token);
  std::string table = absl::StrFormat("%-12s %10s %8s\n", "stage", "seconds", "share");
  for (const auto& [stage, duration] : usage.stage_durations) {
    if (stage == Stage::kDecode) continue;
    const double seconds = absl::ToDoubleSeconds(duration);
    absl::StrAppend(&table, absl::StrFormat("%-12s %10.4f %6.1f %%\n", std::string(StageName(stage)), seconds,
                                            first_token > 0 ? 100 * seconds / first_token : 0));
  }
  absl::StrAppend(&table, absl::StrFormat("%-12s %10.4f\n", "first token", first_token));
  const auto decode = usage.stage_durations.find(Stage::kDecode);
  if (decode != usage.stage_durations.end() && usage.completion_tokens > 1)
    absl::StrAppend(
        &table,
        absl::StrFormat("%-12s %10.4f %6.1f tokens/s\n", "decode", absl::ToDoubleSeconds(decode->second),
                        (usage.completion_tokens - 1) / absl::ToDoubleSeconds(decode->second)));
  return table;
}

std::string ComparisonTable(const std::vector<MethodRun>& runs) {
  std::string table = absl::StrFormat("%-15s %12s %11s %9s  %-28s %s\n", "method", "first token",
                                      "recomputed", "speed-up", "tokens from cache", "answer");
  for (const MethodRun& run : runs) {
    const Usage& usage = run.result.usage;
    const double seconds = absl::ToDoubleSeconds(usage.time_to_first_token);
    const double base = absl::ToDoubleSeconds(runs.front().result.usage.time_to_first_token);
    const bool equal = run.result.text == runs.front().result.text;
    const std::string name = run.asked == MethodId(usage.method)
                                 ? run.asked
                                 : absl::StrCat(run.asked, ">", AbslView(MethodId(usage.method)));
    absl::StrAppend(
        &table, absl::StrFormat("%-15s %10.3f s %11d %8.2fx  %-28s %s\n", name, seconds,
                                usage.recomputed_tokens, seconds > 0 ? base / seconds : 0, CachedText(usage),
                                &run == &runs.front() ? "-" : (equal ? "equal" : "differs")));
  }
  return table;
}

}  // namespace cacheclip
