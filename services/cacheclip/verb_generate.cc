// cacheclip generate: an answer over chunks named by id, text or file, in this order.
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/base/file.h"
#include "common/base/status.h"
#include "services/cacheclip/console.h"
#include "services/cacheclip/generate_flags.h"
#include "services/cacheclip/usage_report.h"
#include "services/cacheclip/verb.h"
#include "services/runtime/program_options.h"

namespace cacheclip {
namespace {

struct Flags {
  GenerateFlags generate;
  std::string prefix_id;
  std::vector<std::string> chunk_ids, chunk_texts, chunk_files;
};

absl::Status AddChunks(const Flags& flags, GenerateRequest& request) {
  for (const std::string& id : flags.chunk_ids) request.chunks.push_back({.chunk_id = id});
  for (const std::string& text : flags.chunk_texts) request.chunks.push_back({.text = text});
  for (const std::string& file : flags.chunk_files) {
    CACHECLIP_ASSIGN_OR_RETURN(std::string text, ReadFile(file, kMaxChunkInputBytes));
    request.chunks.push_back({.text = std::move(text)});
  }
  return absl::OkStatus();
}

absl::Status Generate(const Flags& flags) {
  const bool json = flags.generate.client.json;
  CACHECLIP_ASSIGN_OR_RETURN(GenerateRequest request, MakeRequest(flags.generate));
  request.prefix_id = flags.prefix_id;
  CACHECLIP_RETURN_IF_ERROR(AddChunks(flags, request));
  CACHECLIP_ASSIGN_OR_RETURN(const GenerateResult result, CallGenerate(flags.generate, request, !json));
  if (json) {
    PrintJson({{"answer", result.text},
               {"finish_reason", std::string(FinishReasonName(result.finish_reason))},
               {"token_ids", result.token_ids},
               {"usage", UsageJson(result.usage)}});
  } else {
    std::fprintf(stderr, "%s\n", UsageLine(result.usage).c_str());
  }
  if (flags.generate.profile) std::fputs(StageTable(result.usage).c_str(), stderr);
  return absl::OkStatus();
}

}  // namespace

VerbRun AddGenerate(CLI::App& app) {
  auto flags = std::make_shared<Flags>();
  AddGenerateFlags(app, &flags->generate);
  app.add_option("--prefix-id", flags->prefix_id, "empty: the namespace's default");
  app.add_option("--chunk-id", flags->chunk_ids, "stored chunk (repeatable)");
  app.add_option("--chunk-text", flags->chunk_texts, "chunk by its text (repeatable)");
  app.add_option("--chunk-file", flags->chunk_files, "chunk by a file's text (repeatable)");
  app.add_flag("--write-back", flags->generate.options.write_back, "store chunks given by text");
  app.add_flag("--allow-other-prefix", flags->generate.options.allow_other_prefix,
               "serve chunks of another prefix");
  app.add_flag("--ignore-eos", flags->generate.options.ignore_end_of_sequence,
               "go on behind the end of sequence");
  return [flags] {
    const absl::Status status = Generate(*flags);
    return status.ok() ? static_cast<int>(kExitOk) : ReportError(status);
  };
}

}  // namespace cacheclip
