// cacheclip ask: the best chunks of the local index, then an answer. --compare runs the same question by full
// prefill, auxiliary and primary_probe and prints what each cost.
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "services/cacheclip/console.h"
#include "services/cacheclip/generate_flags.h"
#include "services/cacheclip/local_index/local_index.h"
#include "services/cacheclip/usage_report.h"
#include "services/cacheclip/verb.h"
#include "services/runtime/program_options.h"

namespace cacheclip {
namespace {

constexpr Method kCompared[] = {Method::kFull, Method::kAuxiliary, Method::kPrimaryProbe};

struct AskFlags {
  GenerateFlags generate;
  int num_chunks = 8;
  int max_per_document = 0;
  bool compare = false;
};

absl::StatusOr<std::vector<SearchResult>> Retrieve(const AskFlags& flags) {
  const ClientOptions& client = flags.generate.client;
  const std::string file = LocalIndexFileOf(client);
  if (!std::filesystem::exists(file))
    return FieldError(absl::StatusCode::kNotFound, "data_dir",
                      absl::StrCat("no local index at ", file, "; `cacheclip ingest` makes it"));
  CACHECLIP_ASSIGN_OR_RETURN(const auto index, LocalIndex::Open(file));
  CACHECLIP_ASSIGN_OR_RETURN(
      std::vector<SearchResult> found,
      index->Search(client.namespace_name, flags.generate.question,
                    {.limit = flags.num_chunks, .max_per_document = flags.max_per_document}));
  if (found.empty())
    return FieldError(absl::StatusCode::kNotFound, "question",
                      "no word of it occurs in the local index of this namespace");
  return found;
}

nlohmann::json SourcesJson(const std::vector<SearchResult>& sources) {
  nlohmann::json list = nlohmann::json::array();
  for (const SearchResult& source : sources)
    list.push_back(
        {{"chunk_id", source.chunk_id}, {"document_id", source.document_id}, {"score", source.score}});
  return list;
}

absl::StatusOr<std::vector<MethodRun>> Compare(const AskFlags& flags, GenerateRequest request) {
  std::vector<MethodRun> runs;
  request.options.quality = Quality::kUnspecified;  // the methods themselves are compared
  for (const Method method : kCompared) {
    request.options.method = method;
    CACHECLIP_ASSIGN_OR_RETURN(GenerateResult result, CallGenerate(flags.generate, request, false));
    runs.push_back({std::string(MethodId(method)), std::move(result)});
  }
  return runs;
}

absl::Status Ask(const AskFlags& flags) {
  const bool json = flags.generate.client.json;
  CACHECLIP_ASSIGN_OR_RETURN(GenerateRequest request, MakeRequest(flags.generate));
  CACHECLIP_ASSIGN_OR_RETURN(const std::vector<SearchResult> sources, Retrieve(flags));
  // The best stands last, next to the question: small models read that best, by full prefill too.
  for (auto source = sources.rbegin(); source != sources.rend(); ++source)
    request.chunks.push_back({.chunk_id = source->chunk_id});
  CACHECLIP_ASSIGN_OR_RETURN(const GenerateResult result, CallGenerate(flags.generate, request, !json));
  nlohmann::json report = {{"question", flags.generate.question},
                           {"answer", result.text},
                           {"finish_reason", std::string(FinishReasonName(result.finish_reason))},
                           {"sources", SourcesJson(sources)},
                           {"usage", UsageJson(result.usage)}};
  if (!json) std::fprintf(stderr, "%s\n", UsageLine(result.usage).c_str());
  if (flags.generate.profile) std::fputs(StageTable(result.usage).c_str(), stderr);
  if (flags.compare) {
    CACHECLIP_ASSIGN_OR_RETURN(const std::vector<MethodRun> runs, Compare(flags, request));
    if (!json) std::printf("\n%s", ComparisonTable(runs).c_str());
    for (const MethodRun& run : runs)
      report["comparison"].push_back(
          {{"method", run.asked}, {"answer", run.result.text}, {"usage", UsageJson(run.result.usage)}});
  }
  if (json) PrintJson(report);
  return absl::OkStatus();
}

}  // namespace

VerbRun AddAsk(CLI::App& app) {
  auto flags = std::make_shared<AskFlags>();
  AddGenerateFlags(app, &flags->generate);
  app.add_option("--chunks", flags->num_chunks, "chunks to retrieve")->capture_default_str();
  app.add_option("--max-per-document", flags->max_per_document, "chunks from one document; 0: no bound");
  app.add_flag("--compare", flags->compare, "also answer by full, auxiliary and primary_probe, and compare");
  return [flags] {
    const absl::Status status = Ask(*flags);
    return status.ok() ? static_cast<int>(kExitOk) : ReportError(status);
  };
}

}  // namespace cacheclip
