// cacheclip plan: how many bytes, which bandwidth and how many replicas a model, a corpus and a traffic need.
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/base/file.h"
#include "common/base/status.h"
#include "common/model/config.h"
#include "common/text/tokenizer.h"
#include "services/cacheclip/bench.h"
#include "services/cacheclip/capacity_plan.h"
#include "services/cacheclip/capacity_report.h"
#include "services/cacheclip/console.h"
#include "services/cacheclip/corpus_size.h"
#include "services/cacheclip/verb.h"
#include "services/runtime/config.h"
#include "services/runtime/paths.h"
#include "services/runtime/program_options.h"

namespace cacheclip {
namespace {

constexpr int64_t kMaxModelConfigBytes = int64_t{1} << 20;

struct Flags {
  CapacityInput input;
  std::string model;  // folder, or a config.json
  std::string kv_dtype = "bf16";
  std::vector<std::string> corpus;
  bool measure = false, json = false;
};

absl::StatusOr<ModelConfig> ReadModel(const std::string& path) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored)) return LoadModelConfig(path);
  CACHECLIP_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kMaxModelConfigBytes));
  return ParseModelConfig(text);
}

absl::Status FillModel(const Flags& flags, const std::string& folder, CapacityInput* input) {
  const absl::StatusOr<ModelConfig> model = ReadModel(folder);
  if (!model.ok()) return FieldError(model.status().code(), "model", std::string(model.status().message()));
  CACHECLIP_ASSIGN_OR_RETURN(input->kv_shape.dtype, ParseKvDtype(flags.kv_dtype));
  input->kv_shape.num_layers = static_cast<int32_t>(model->num_layers);
  input->kv_shape.num_kv_heads = static_cast<int32_t>(model->num_kv_heads);
  input->kv_shape.head_dim = static_cast<int32_t>(model->head_dim);
  input->num_parameters = model->num_parameters();
  return absl::OkStatus();
}

absl::Status FillCorpus(const Flags& flags, const std::string& folder, CapacityInput* input) {
  if (flags.corpus.empty()) {
    if (input->corpus_tokens <= 0) return InvalidField("tokens", "give it, or a corpus to count");
    if (input->num_documents <= 0)
      input->num_documents = (input->corpus_tokens + input->chunk_tokens - 1) / input->chunk_tokens;
    return absl::OkStatus();
  }
  if (input->corpus_tokens > 0) return InvalidField("tokens", "contradicts corpus, which is counted");
  const auto tokenizer = Tokenizer::Load(folder);  // without one the tokens are estimated
  const absl::StatusOr<CorpusSize> size =
      MeasureCorpus(flags.corpus, tokenizer.ok() ? tokenizer->get() : nullptr);
  if (!size.ok()) return FieldError(size.status().code(), "corpus", std::string(size.status().message()));
  for (const std::string& error : size->errors) std::fprintf(stderr, "cacheclip: %s\n", error.c_str());
  if (size->documents == 0) return InvalidField("corpus", "holds no documents");
  if (!tokenizer.ok())
    std::fprintf(stderr, "cacheclip: no tokenizer in %s, tokens are estimated from bytes\n", folder.c_str());
  input->num_documents = size->documents;
  input->corpus_tokens = size->tokens;
  return absl::OkStatus();
}

absl::Status FillSpeeds(const Flags& flags, const std::string& folder, CapacityInput* input,
                        CapacitySources* sources) {
  if (input->decode_tokens_per_second > 0) sources->decode = "given";
  if (input->selection_seconds > 0) sources->selection = "given";
  if (!flags.measure) {
    if (input->prefill_tokens_per_second > 0) return absl::OkStatus();
    return InvalidField("prefill_tokens_per_second", "give it, or --measure on a machine like the replicas");
  }
  Config config;
  config.model = folder;
  TtftBenchOptions options{.repeat = 1};
  options.chunk_tokens = static_cast<int>(input->chunk_tokens);
  options.context_tokens = static_cast<int>(input->chunk_tokens * input->chunks_per_question);
  options.budget = input->budget;
  const absl::StatusOr<nlohmann::json> report = BenchTtft(config, options);
  if (!report.ok()) return WithContext(report.status(), "measure");
  input->prefill_tokens_per_second =
      report->at("prompt_tokens").get<double>() / report->at("full_prefill_seconds").get<double>();
  sources->prefill = "measured";
  if (sources->selection == "given") return absl::OkStatus();
  input->selection_seconds = report->at("stage_seconds").value("select", 0.0);
  if (input->selection_seconds > 0) sources->selection = "measured";
  return absl::OkStatus();
}

absl::Status Plan(const Flags& flags) {
  Config config;
  config.model = flags.model;
  const std::string folder = ModelFolder(config);
  CapacityInput input = flags.input;
  CapacitySources sources;
  CACHECLIP_RETURN_IF_ERROR(FillModel(flags, folder, &input));
  CACHECLIP_RETURN_IF_ERROR(FillCorpus(flags, folder, &input));
  CACHECLIP_RETURN_IF_ERROR(FillSpeeds(flags, folder, &input, &sources));
  CACHECLIP_ASSIGN_OR_RETURN(const CapacityPlan plan, PlanCapacity(input));
  if (flags.json) {
    PrintJson(CapacityJson(input, plan, sources));
  } else {
    std::fputs(CapacityTable(input, plan, sources).c_str(), stdout);
  }
  return absl::OkStatus();
}

int RunPlan(const Flags& flags) {
  absl::Status status = Plan(flags);
  if (status.ok()) return kExitOk;
  if (const std::string field = FieldOf(status); !field.empty())  // the flag as it is typed
    status = absl::Status(
        status.code(),
        absl::StrReplaceAll(
            status.message(),
            {{absl::StrCat(field, ":"), absl::StrCat("--", absl::StrReplaceAll(field, {{"_", "-"}}), ":")}}));
  const int code = ReportError(status);
  return absl::IsInvalidArgument(status) ? static_cast<int>(kExitUsage) : code;
}

void AddTraffic(CLI::App& app, CapacityInput& input) {
  app.add_option("--questions-per-second", input.questions_per_second, "at the peak")->capture_default_str();
  app.add_option("--chunks-per-question", input.chunks_per_question, "chunks retrieved")
      ->capture_default_str();
  app.add_option("--question-tokens", input.question_tokens, "tokens after the chunks")
      ->capture_default_str();
  app.add_option("--answer-tokens", input.answer_tokens, "tokens generated")->capture_default_str();
  app.add_option("--budget", input.budget, "share of chunk tokens recomputed")->capture_default_str();
  app.add_option("--hot-share", input.hot_share, "this share of the chunks …")->capture_default_str();
  app.add_option("--hot-hits", input.hot_hits, "… gets this share of the look-ups")->capture_default_str();
}

void AddSpeeds(CLI::App& app, Flags& flags) {
  CapacityInput& input = flags.input;
  app.add_option("--prefill-tokens-per-second", input.prefill_tokens_per_second,
                 "of one replica, full prefill at the length of a prompt");
  app.add_option("--decode-tokens-per-second", input.decode_tokens_per_second, "0: a tenth of prefill")
      ->capture_default_str();
  app.add_option("--selection-seconds", input.selection_seconds,
                 "0: the question through three quarters of the model")
      ->capture_default_str();
  app.add_flag("--measure", flags.measure, "measure prefill and selection here, with the model");
  app.add_option("--utilisation", input.utilisation, "share of a replica's time to plan with")
      ->capture_default_str();
  app.add_option("--spare-replicas", input.spare_replicas, "of each service")->capture_default_str();
  app.add_option("--ingest-hours", input.ingest_hours, "to encode the whole corpus")->capture_default_str();
}

void AddTiers(CLI::App& app, CapacityInput& input) {
  const CLI::AsSizeValue size(false);
  app.add_option("--memory-bytes", input.max_memory_bytes, "memory tier per replica, at most; 0: none")
      ->transform(size);
  app.add_option("--disk-bytes", input.max_disk_bytes, "disk tier per replica, at most; 0: none")
      ->transform(size);
  app.add_option("--redis-bytes", input.max_redis_bytes, "Redis altogether, at most; 0: none")
      ->transform(size);
  app.add_flag("!--no-object-store", input.has_object_store, "plan without S3 or a shared folder");
  app.add_option("--max-running-requests", input.max_running_requests, "per replica")->capture_default_str();
}

}  // namespace

VerbRun AddPlan(CLI::App& app) {
  auto flags = std::make_shared<Flags>();
  app.add_option("--model", flags->model, "Hugging Face folder or config.json; empty: the demo model")
      ->envname("CACHECLIP_MODEL");
  app.add_option("--kv-dtype", flags->kv_dtype, "bf16, fp32 or int8")->capture_default_str();
  app.add_option("--corpus", flags->corpus, "files and folders to count, as for ingest");
  app.add_option("--documents", flags->input.num_documents, "documents; default: one a chunk");
  app.add_option("--tokens", flags->input.corpus_tokens, "tokens of all documents");
  app.add_option("--chunk-tokens", flags->input.chunk_tokens, "tokens of a chunk, at most")
      ->capture_default_str();
  app.add_option("--prefix-tokens", flags->input.prefix_tokens, "tokens of the shared prefix")
      ->capture_default_str();
  AddTraffic(app, flags->input);
  AddSpeeds(app, *flags);
  AddTiers(app, flags->input);
  app.add_flag("--json", flags->json, "stdout is exactly one JSON object");
  return [flags] { return RunPlan(*flags); };
}

}  // namespace cacheclip
