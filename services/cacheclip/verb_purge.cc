// cacheclip purge: removes documents and bytes, on every tier. Without --yes it only says what would go.
#include <cstdio>
#include <memory>
#include <string>

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/status.h"
#include "common/catalog/in_memory_catalog.h"
#include "services/cacheclip/console.h"
#include "services/cacheclip/stored/upkeep.h"
#include "services/cacheclip/verb.h"
#include "services/runtime/program_options.h"

namespace cacheclip {
namespace {

struct Flags {
  ProgramOptions program;
  PurgeFilter filter;
  std::string tier;
  double older_than_seconds = 0, newer_than_seconds = 0;
  bool yes = false;
};

absl::StatusOr<PurgeOutcome> Run(const Flags& flags, const Config& config) {
  PurgeFilter filter = flags.filter;
  const absl::Time now = absl::Now();
  if (flags.older_than_seconds > 0) filter.updated_before = now - absl::Seconds(flags.older_than_seconds);
  if (flags.newer_than_seconds > 0) filter.updated_from = now - absl::Seconds(flags.newer_than_seconds);
  if (!filter.SelectsDocuments() && !filter.unreferenced)
    return InvalidField("purge",
                        "say what should go: --namespace, --document, --writer-version, "
                        "--older-than-seconds, --newer-than-seconds, --all-documents or --unreferenced");
  if (filter.SelectsDocuments() && !flags.tier.empty())
    return InvalidField("tier", "documents leave every tier; --tier goes with --unreferenced alone");
  // Opening a catalogue to write would make an empty one where there is none.
  const bool writes = flags.yes && HasCatalog(config);
  CACHECLIP_ASSIGN_OR_RETURN(
      Stored stored,
      OpenStored(config, flags.tier, writes ? CatalogAccess::kReadWrite : CatalogAccess::kReadOnly));
  if (!HasCatalog(config)) stored.catalog = std::make_unique<InMemoryCatalog>();
  ProgressLine line;
  return Purge(stored, filter, !flags.yes,
               [&](const std::string& what, int64_t done, int64_t total) { line.Update(what, done, total); });
}

void Report(const Flags& flags, const PurgeOutcome& outcome) {
  if (flags.program.json) {
    PrintJson({{"dry_run", !flags.yes},
               {"documents", outcome.documents},
               {"chunks", outcome.chunks},
               {"bytes", outcome.bytes},
               {"failures", outcome.failures}});
    return;
  }
  std::printf("%s: %lld documents, %lld chunks, %lld bytes%s\n", flags.yes ? "removed" : "would be removed",
              (long long)outcome.documents, (long long)outcome.chunks, (long long)outcome.bytes,
              flags.yes ? "" : " (--yes removes them)");
  for (const std::string& failure : outcome.failures)
    std::fprintf(stderr, "not removed: %s\n", failure.c_str());
}

}  // namespace

VerbRun AddPurge(CLI::App& app) {
  auto flags = std::make_shared<Flags>();
  PurgeFilter& filter = flags->filter;
  app.add_option("--namespace", filter.namespace_name, "documents of this namespace");
  app.add_option("--document", filter.document_id, "documents of this id");
  app.add_option("--writer-version", filter.writer_version,
                 "documents written by it, as \"cacheclip 0.1.0\"");
  app.add_option("--older-than-seconds", flags->older_than_seconds, "documents not updated for so long")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--newer-than-seconds", flags->newer_than_seconds,
                 "documents updated within so long; with --older-than-seconds: between the two")
      ->check(CLI::NonNegativeNumber);
  app.add_flag("--all-documents", filter.all_documents, "every document");
  app.add_flag("--unreferenced", filter.unreferenced,
               "chunks that no document refers to, prefixes among them (computed again when needed)");
  app.add_flag("--even-if-catalog-is-empty", filter.even_if_catalog_is_empty,
               "with --unreferenced: also where the catalogue knows no namespace, which removes every chunk");
  app.add_option("--tier", flags->tier, "with --unreferenced: this tier alone")
      ->check(CLI::IsMember({"disk", "redis", "object"}));
  app.add_flag("--yes", flags->yes, "remove; without it, only say what would go");
  AddSettings(app, &flags->program);
  app.add_flag("--json", flags->program.json, "stdout is exactly one JSON object");
  return [flags] {
    return RunWithConfig(flags->program, [&](const Config& config) {
      const absl::StatusOr<PurgeOutcome> outcome = Run(*flags, config);
      if (!outcome.ok()) return ReportError(outcome.status());
      Report(*flags, *outcome);
      return static_cast<int>(outcome->failures.empty() ? kExitOk : kExitFailure);
    });
  };
}

}  // namespace cacheclip
