// cacheclip verify: reads every stored chunk of every tier and compares its checksums; compares catalogue and
// tiers; changes nothing. Chunks of the catalogue that are not stored are no damage: evicted. --repair sets
// the catalogue right where that can be done, deletes damaged chunks (their KV is computed again when asked
// for) and copies what the last tier lacks from a tier that has it. Exit code 1 if anything was damaged or
// unreadable, if the catalogue (still) has problems, or if the one that catalog_url names does not answer.
// --quality: instead, whether reuse answers as full prefill does (services/evaluation/quality_probe.h).
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "common/base/status.h"
#include "services/cacheclip/console.h"
#include "services/cacheclip/stored/upkeep.h"
#include "services/cacheclip/verb.h"
#include "services/evaluation/quality_probe.h"
#include "services/runtime/program_options.h"

namespace cacheclip {
namespace {

constexpr double kDefaultMaxDivergence = 0.1;  // where the settings have no bound

struct Flags {
  ProgramOptions program;
  std::string tier;
  bool repair = false, dry_run = false;
  bool quality = false;
};

struct Findings {
  CatalogFindings catalog;
  bool needs_catalog = false;  // else one that is not there yet is no fault
  std::vector<TierFindings> tiers;
  int64_t num_referenced = 0;
  RepairOutcome repair;  // without --repair: what it would do

  bool ok() const {
    if (catalog.check.num_problems > 0 || (needs_catalog && !catalog.status.ok())) return false;
    for (const TierFindings& tier : tiers)
      if (!tier.damaged.empty() || tier.unreadable > 0) return false;
    return true;
  }
};

absl::StatusOr<Findings> Verify(const Flags& flags, const Config& config) {
  const bool repairs = flags.repair && !flags.dry_run;
  const bool repairs_catalog = repairs && HasCatalog(config);  // opening it to write would make an empty one
  CACHECLIP_ASSIGN_OR_RETURN(
      const Stored stored,
      OpenStored(config, flags.tier, repairs_catalog ? CatalogAccess::kReadWrite : CatalogAccess::kReadOnly));
  Findings findings{.needs_catalog = !config.catalog_url.empty()};
  CACHECLIP_ASSIGN_OR_RETURN(findings.catalog, VerifyCatalog(stored, repairs_catalog));
  ProgressLine line;
  const auto show = [&](const std::string& what, int64_t done, int64_t total) {
    line.Update(what, done, total);
  };
  for (const StoreTier& tier : stored.tiers) {
    CACHECLIP_ASSIGN_OR_RETURN(TierFindings found, VerifyTier(tier, repairs, show));
    findings.tiers.push_back(std::move(found));
  }
  CACHECLIP_ASSIGN_OR_RETURN(const References references, ReadReferences(*stored.catalog));
  if (findings.catalog.status.ok()) findings.catalog.status = references.status;
  findings.num_referenced = static_cast<int64_t>(references.users.size());
  CACHECLIP_ASSIGN_OR_RETURN(findings.repair, RepairLastTier(stored, references, !repairs, show));
  return findings;
}

nlohmann::json ToJson(const CatalogFindings& catalog) {
  if (!catalog.status.ok()) return {{"unavailable", std::string(catalog.status.message())}};
  const CatalogCheck& check = catalog.check;
  return {{"namespaces", check.num_namespaces}, {"documents", check.num_documents},
          {"chunks", check.num_chunks},         {"holds", check.num_holds},
          {"leftovers", check.num_leftovers},   {"problems", check.num_problems},
          {"listed_problems", check.problems},  {"repaired", catalog.is_repaired},
          {"released", catalog.released}};
}

nlohmann::json ToJson(const Findings& findings) {
  nlohmann::json tiers = nlohmann::json::array();
  for (const TierFindings& tier : findings.tiers)
    tiers.push_back({{"tier", tier.tier},
                     {"chunks", tier.chunks},
                     {"bytes", tier.bytes},
                     {"damaged", tier.damaged},
                     {"unreadable", tier.unreadable}});
  return {{"catalog", ToJson(findings.catalog)},
          {"tiers", tiers},
          {"chunks_referenced", findings.num_referenced},
          {"missing_in_last_tier", findings.repair.missing},
          {"in_another_tier", findings.repair.copied},
          {"in_no_tier", findings.repair.not_held},
          {"ok", findings.ok()}};
}

void Report(const CatalogFindings& catalog) {
  if (!catalog.status.ok()) {
    std::printf("catalogue: %s\n", std::string(catalog.status.message()).c_str());
    return;
  }
  const CatalogCheck& check = catalog.check;
  std::printf("catalogue: %lld namespaces, %lld documents, %lld chunks, %lld leftovers; %lld problems\n",
              (long long)check.num_namespaces, (long long)check.num_documents, (long long)check.num_chunks,
              (long long)check.num_leftovers, (long long)check.num_problems);
  for (const std::string& problem : check.problems) std::printf("problem: %s\n", problem.c_str());
  if (catalog.is_repaired)
    std::printf("the catalogue was repaired; %lld chunks that nobody uses were deleted\n",
                (long long)catalog.released);
}

void Report(const Findings& findings, bool is_repair) {
  Report(findings.catalog);
  for (const TierFindings& tier : findings.tiers) {
    std::printf("%s: %lld chunks, %lld bytes; %zu damaged, %lld unreadable\n", tier.tier.c_str(),
                (long long)tier.chunks, (long long)tier.bytes, tier.damaged.size(),
                (long long)tier.unreadable);
    for (const std::string& line : tier.damaged)
      std::printf("damaged%s: %s\n", is_repair ? " and removed" : "", line.c_str());
  }
  const RepairOutcome& repair = findings.repair;
  std::printf(
      "documents refer to %lld chunks; the last tier lacks %lld: %lld %s another tier, %lld are nowhere\n",
      (long long)findings.num_referenced, (long long)repair.missing, (long long)repair.copied,
      is_repair ? "copied from" : "are in", (long long)repair.not_held);
}

int VerifyQuality(const Flags& flags, const Config& config) {
  ProgressLine line;
  const auto report = ProbeQuality(
      config, {}, [&](const EvalProgress& at) { line.Update("quality", at.samples_done, at.num_samples); });
  if (!report.ok()) return ReportError(report.status());
  const double bound = config.max_divergence > 0 ? config.max_divergence : kDefaultMaxDivergence;
  const bool is_good = report->reuse_kl <= bound;
  const std::optional<double>& per_stale_mass = report->divergence_per_stale_mass;
  if (flags.program.json) {
    PrintJson({{"budget", report->budget},
               {"questions", report->num_samples},
               {"kl", report->reuse_kl},
               {"kl_without_recompute", report->none_kl},
               {"top1_agreement", report->top1_agreement},
               {"estimated_kl", report->estimated_kl},
               {"divergence_per_stale_mass",
                per_stale_mass.has_value() ? nlohmann::json(*per_stale_mass) : nlohmann::json()},
               {"max_divergence", bound},
               {"ok", is_good}});
  } else {
    std::printf("%s\n%s the bound of %g (--max-divergence)\n", report->ToString().c_str(),
                is_good ? "within" : "beyond", bound);
    if (per_stale_mass.has_value())
      std::printf(
          "estimated %.4f; with a divergence_per_stale_mass of %.4f in the profile it would be the KL\n",
          report->estimated_kl, *per_stale_mass);
  }
  return is_good ? kExitOk : kExitFailure;
}

}  // namespace

VerbRun AddVerify(CLI::App& app) {
  auto flags = std::make_shared<Flags>();
  app.add_option("--tier", flags->tier, "this tier alone")->check(CLI::IsMember({"disk", "redis", "object"}));
  app.add_flag("--repair", flags->repair,
               "set the catalogue right; delete damaged chunks; copy what the last tier lacks from a tier "
               "that has it");
  app.add_flag("--dry-run", flags->dry_run, "with --repair: only count");
  app.add_flag(
      "--quality", flags->quality,
      "instead: how far answers with reuse are from full prefill's, on made-up questions; exit code 1 "
      "beyond --max-divergence (0.1 if not set)");
  AddSettings(app, &flags->program);
  app.add_flag("--json", flags->program.json, "stdout is exactly one JSON object");
  return [flags] {
    return RunWithConfig(flags->program, [&](const Config& config) {
      if (flags->quality) return VerifyQuality(*flags, config);
      const absl::StatusOr<Findings> findings = Verify(*flags, config);
      if (!findings.ok()) return ReportError(findings.status());
      if (flags->program.json) {
        PrintJson(ToJson(*findings));
      } else {
        Report(*findings, flags->repair && !flags->dry_run);
      }
      return static_cast<int>(findings->ok() ? kExitOk : kExitFailure);
    });
  };
}

}  // namespace cacheclip
