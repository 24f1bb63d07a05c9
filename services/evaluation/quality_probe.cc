#include "services/evaluation/quality_probe.h"

#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "common/base/logging.h"
#include "common/base/status.h"
#include "services/evaluation/divergence_fit.h"

namespace cacheclip {

std::string QualityReport::ToString() const {
  return absl::StrFormat(
      "reuse at %g %%: KL to full prefill %.4f nats a token (%.4f without recompute), the same token in %.1f "
      "%%; "
      "%d questions",
      100 * budget, reuse_kl, none_kl, 100 * top1_agreement, num_samples);
}

absl::StatusOr<QualityReport> ProbeQuality(Config config, const QualityProbeOptions& options,
                                           const std::function<void(const EvalProgress&)>& on_progress) {
  const EvalOptions eval{.tasks = options.tasks,
                         .methods = "auto,none",
                         .budgets = {options.budget},
                         .num_samples = options.num_samples,
                         .context_tokens = options.context_tokens,
                         .chunk_tokens = {options.chunk_tokens},
                         .seed = options.seed};
  CACHECLIP_ASSIGN_OR_RETURN(const std::vector<nlohmann::json> records,
                             RunEvaluation(std::move(config), eval, on_progress));
  QualityReport report{.num_samples = static_cast<int>(records.size()) / 2, .budget = options.budget};
  DivergenceFit fit;
  for (const nlohmann::json& record : records) {
    const double share = record["kl"].get<double>() / report.num_samples;
    if (record["method"] == "none") {
      report.none_kl += share;
    } else {
      report.reuse_kl += share;
      if (record["estimated_kl"].is_number())
        report.estimated_kl += record["estimated_kl"].get<double>() / report.num_samples;
      if (record["stale_mass_share"].is_number())
        fit.Add(record["stale_mass_share"].get<double>(), record["kl"].get<double>());
      report.top1_agreement += record["top1_agreement"].get<double>() / report.num_samples;
    }
  }
  report.divergence_per_stale_mass = fit.per_stale_mass();
  return report;
}

absl::StatusOr<std::string> ReasonAgainstReuse(Config config, bool has_selector) {
  if (config.max_divergence <= 0) return "";
  config.selector = has_selector;
  CACHECLIP_ASSIGN_OR_RETURN(const QualityReport report, ProbeQuality(config));
  CACHECLIP_LOG(Info) << report.ToString();
  if (report.reuse_kl <= config.max_divergence) return "";
  const std::string reason = absl::StrFormat("measured at start: %s; max_divergence is %g", report.ToString(),
                                             config.max_divergence);
  CACHECLIP_LOG(Warning) << "every request is prefilled in full: " << reason;
  return reason;
}

}  // namespace cacheclip
