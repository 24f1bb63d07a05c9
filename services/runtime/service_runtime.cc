#include "services/runtime/service_runtime.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/base/string_view.h"
#include "common/kv/kv_shape.h"
#include "common/model/config.h"
#include "common/model/language_model.h"
#include "common/text/chat_template.h"
#include "common/text/prompt_layout.h"
#include "common/text/tokenizer.h"
#include "services/runtime/paths.h"

namespace cacheclip {
namespace {

absl::Status NameField(const absl::Status& status, std::string_view field) {
  if (FieldOf(status) == "kv_dtype") return status;  // a setting of its own, not the folder's fault
  return FieldError(status.code(), field, StdView(status.message()));
}

StoreGauges GaugesOf(const TierReport& report) {
  const StoreStats& stats = report.stats;
  const TierObservations& seen = report.observations;
  return {.tier = report.name,
          .hits = stats.hits,
          .misses = stats.misses,
          .puts = stats.puts,
          .evictions = stats.evictions,
          .corrupt = stats.corrupt,
          .rejected_puts = stats.rejected_puts,
          .bytes = stats.bytes,
          .objects = stats.objects,
          .failed_reads = seen.num_failed_reads,
          .late_reads = seen.num_late_reads,
          .skipped_reads = seen.num_skipped_reads,
          .failed_puts = seen.num_failed_puts,
          .promotions = seen.num_promotions,
          .bytes_read = seen.bytes_read,
          .read_duration = seen.read_duration,
          .miss_duration = seen.miss_duration};
}

WriteBackGauges GaugesOf(const WriteBackStats& stats) {
  return {.queued_bytes = stats.queued_bytes,
          .queued_chunks = stats.queued_chunks,
          .written = stats.written,
          .retries = stats.retries,
          .lost = stats.lost,
          .refused = stats.refused};
}

// What a chunk's first tokens say was computed without the chunk before them.
// Measured on the demo model: docs/evaluation.md.
constexpr int kDefaultSeamTokens = 16;
constexpr double kDefaultRecomputeDepth = 1;
constexpr double kDefaultStaleWeight = 0.3;
constexpr double kDefaultStaleShift = 0.8;

// A setting, else the profile's, else the default; 0: not set.
double FirstSet(double setting, double profiled, double usual) {
  if (setting > 0) return setting;
  return profiled > 0 ? profiled : usual;
}

Grouping GroupingOf(const std::string& name) {
  if (name == "paper") return Grouping::kPaperWindows;
  if (name == "sentences") return Grouping::kSegments;
  if (name == "mixed") return Grouping::kWindowsThenSegments;
  return name == "tokens" ? Grouping::kTokens : Grouping::kBudgetExactWindows;
}

// ValidateConfig() has compared it with the dtype asked for; a CPU that is faster with it computes in fp32
// nevertheless.
absl::StatusOr<std::optional<KvDtype>> KvDtypeOf(const Config& config, const LanguageModel& model) {
  if (config.kv_dtype == "auto") return std::nullopt;
  CACHECLIP_ASSIGN_OR_RETURN(const KvDtype dtype, ParseKvDtype(config.kv_dtype));
  const KvDtype computed = model.kv_shape().dtype;
  if (dtype != KvDtype::kInt8 && dtype != computed)
    return InvalidField("kv_dtype", absl::StrCat(config.kv_dtype, ", but this machine computes in ",
                                                 AbslView(KvDtypeName(computed))));
  return dtype;
}

}  // namespace

absl::StatusOr<ModelOptions> ModelOptionsOf(const Config& config, std::string directory) {
  ModelOptions options{
      .directory = std::move(directory), .device = config.device, .cache_directory = CacheFolder()};
  CACHECLIP_ASSIGN_OR_RETURN(options.dtype, ParseComputeDtype(config.dtype));
  CACHECLIP_ASSIGN_OR_RETURN(options.weights, ParseWeightFormat(config.weights));
  return options;
}

absl::StatusOr<std::unique_ptr<ServiceRuntime>> ServiceRuntime::Open(const Config& config,
                                                                     CatalogAccess access) {
  std::unique_ptr<ServiceRuntime> runtime(new ServiceRuntime(config));
  CACHECLIP_RETURN_IF_ERROR(MakeDataFolder(DataFolder(config)));
  CACHECLIP_ASSIGN_OR_RETURN(runtime->store_, OpenChunkStore(config));
  CACHECLIP_ASSIGN_OR_RETURN(runtime->catalog_, OpenCatalog(config, access));
  runtime->store_check_ = std::make_unique<StoreCheck>(StoreQuestions(config));
  runtime->metrics_.SetStoreSource([self = runtime.get()] { return self->StoreState(); });
  runtime->metrics_.SetWriteBackSource(
      [store = runtime->store_.get()] { return GaugesOf(store->write_back_stats()); });
  return runtime;
}

ServiceRuntime::~ServiceRuntime() = default;

absl::StatusOr<PrefixContexts*> ServiceRuntime::Load(const std::string& directory, int num_layers) {
  CACHECLIP_ASSIGN_OR_RETURN(ModelOptions options, ModelOptionsOf(config_, directory));
  options.num_layers = num_layers;
  auto loaded = std::make_unique<LoadedModel>();
  Runtime& runtime = loaded->runtime;
  CACHECLIP_ASSIGN_OR_RETURN(runtime.model, LanguageModel::Load(options));
  CACHECLIP_ASSIGN_OR_RETURN(runtime.tokenizer, Tokenizer::Load(directory));
  runtime.sentences = std::make_shared<SentenceBreaks>(runtime.tokenizer);
  CACHECLIP_ASSIGN_OR_RETURN(auto chat_template, ChatTemplate::Load(directory));
  runtime.layout = std::make_shared<PromptLayout>(runtime.tokenizer, std::move(chat_template));
  runtime.catalog = catalog_.get();
  runtime.store = store_.get();
  runtime.executor = &executor_;
  runtime.namespace_salts = {config_.namespace_salts.begin(), config_.namespace_salts.end()};
  runtime.default_salt = config_.default_salt;
  runtime.writer_version = kWriterVersion;
  CACHECLIP_ASSIGN_OR_RETURN(runtime.kv_dtype, KvDtypeOf(config_, *runtime.model));
  loaded->contexts = std::make_unique<PrefixContexts>(loaded->runtime);
  models_.push_back(std::move(loaded));
  return models_.back()->contexts.get();
}

absl::StatusOr<PrefixContexts*> ServiceRuntime::LoadPrimary() {
  absl::StatusOr<PrefixContexts*> primary = Load(ModelFolder(config_), 0);
  if (!primary.ok()) return NameField(primary.status(), "model");
  CACHECLIP_RETURN_IF_ERROR(UseProfile((*primary)->runtime().model->config()));
  return primary;
}

absl::StatusOr<PrefixContexts*> ServiceRuntime::LoadTruncatedPrimary() {
  const std::string directory = ModelFolder(config_);
  absl::StatusOr<ModelConfig> model_config = LoadModelConfig(directory);
  if (!model_config.ok()) return NameField(model_config.status(), "model");
  const int num_layers = static_cast<int>(model_config->num_layers);
  if (config_.selector_layers > num_layers) {
    return InvalidField("selector_layers",
                        absl::StrCat("the model has ", num_layers, " layers, got ", config_.selector_layers));
  }
  const int kept = config_.selector_layers > 0 ? static_cast<int>(config_.selector_layers)
                                               : DefaultScoringBand(num_layers).end;
  absl::StatusOr<PrefixContexts*> contexts = Load(directory, kept);
  if (!contexts.ok()) return NameField(contexts.status(), "model");
  return contexts;
}

absl::StatusOr<SelectorEngine*> ServiceRuntime::LoadSelector() {
  if (config_.selector_model.empty()) {
    CACHECLIP_ASSIGN_OR_RETURN(scored_, LoadTruncatedPrimary());
    scorer_ = scored_;
  } else {
    // One layer is enough for the primary's identity and tokens.
    absl::StatusOr<PrefixContexts*> identity = Load(ModelFolder(config_), 1);
    if (!identity.ok()) return NameField(identity.status(), "model");
    scored_ = *identity;
    absl::StatusOr<PrefixContexts*> other =
        Load(config_.selector_model, static_cast<int>(config_.selector_layers));
    if (!other.ok()) return NameField(other.status(), "selector_model");
    scorer_ = *other;
  }
  CACHECLIP_RETURN_IF_ERROR(UseProfile(scored_->runtime().model->config()));
  CACHECLIP_ASSIGN_OR_RETURN(
      selector_, MakeSelector({.auxiliary = auxiliary_options(), .selection = selection_options()}));
  return selector_.get();
}

absl::Status ServiceRuntime::UseProfile(const ModelConfig& model) {
  if (profile_.has_value()) return absl::OkStatus();
  CACHECLIP_ASSIGN_OR_RETURN(profile_, LoadModelProfile(config_, model));
  return absl::OkStatus();
}

AuxiliaryOptions ServiceRuntime::auxiliary_options() const {
  if (!profile_.has_value() || profile_->auxiliary != auxiliary_name()) return {};
  return {.from = profile_->auxiliary_heads};
}

absl::StatusOr<std::unique_ptr<SelectorEngine>> ServiceRuntime::MakeSelector(
    SelectorEngineOptions options) const {
  if (scorer_ == nullptr) return absl::FailedPreconditionError("no auxiliary model is loaded");
  return std::make_unique<SelectorEngine>(scored_, scorer_, std::move(options));
}

std::string ServiceRuntime::auxiliary_name() const {
  if (scorer_ == nullptr) return "";
  const LanguageModel& model = *scorer_->runtime().model;
  return absl::StrCat(model.name(), ", ", model.num_layers(), " layers");
}

SelectionOptions ServiceRuntime::selection_options() const {
  SelectionOptions options;
  options.grouping = GroupingOf(config_.grouping);
  options.window = static_cast<int>(config_.window);
  options.paper_min_candidates = std::min(options.paper_min_candidates, options.window);
  const int profiled_seam_tokens = profile_.has_value() ? profile_->seam_tokens : kDefaultSeamTokens;
  options.seam_tokens =
      config_.seam_tokens >= 0 ? static_cast<int>(config_.seam_tokens) : profiled_seam_tokens;
  const ModelProfile profile = profile_.value_or(ModelProfile());
  options.depth = FirstSet(config_.recompute_depth, profile.recompute_depth, kDefaultRecomputeDepth);
  options.stale_weight = FirstSet(config_.stale_weight, profile.stale_weight, kDefaultStaleWeight);
  const double profiled_shift = profile.stale_shift.value_or(kDefaultStaleShift);
  options.stale_shift = config_.stale_shift >= 0 ? config_.stale_shift : profiled_shift;
  options.local_heads = config_.local_heads;
  options.int8_scores = config_.int8_scores;
  return options;
}

GenerationEngineOptions ServiceRuntime::generation_options(const std::string& reason_against_reuse) const {
  GenerationEngineOptions options;
  options.reason_against_reuse = reason_against_reuse;
  options.max_waiting_requests = static_cast<int>(config_.max_waiting_requests);
  options.max_running_requests = static_cast<int>(config_.max_running_requests);
  options.max_kv_bytes = config_.kv_bytes;
  options.selector_timeout = absl::Seconds(config_.selector_timeout_seconds);
  options.default_deadline = absl::Seconds(config_.default_deadline_seconds);
  options.load_timeout = absl::Seconds(config_.load_timeout_seconds);
  options.selection = selection_options();
  if (!profile_.has_value()) return options;
  options.probe = profile_->probe_heads;
  options.local_heads = profile_->local_heads;
  options.quality_levels = profile_->quality_levels.value_or(options.quality_levels);
  options.divergence_per_stale_mass =
      profile_->divergence_per_stale_mass.value_or(options.divergence_per_stale_mass);
  return options;
}

std::vector<StoreGauges> ServiceRuntime::StoreState() const {
  std::vector<StoreGauges> gauges;
  for (const TierReport& report : store_->tier_reports()) gauges.push_back(GaugesOf(report));
  return gauges;
}

}  // namespace cacheclip
