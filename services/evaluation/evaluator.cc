#include "services/evaluation/evaluator.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <functional>
#include <iterator>
#include <span>
#include <system_error>
#include <utility>

#include <stdlib.h>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/engine/selector_call.h"
#include "common/model/chunk_encoder.h"
#include "common/select/divergence.h"

namespace cacheclip {
namespace {

constexpr char kNamespace[] = "eval";

int32_t ArgMax(std::span<const float> logits) {
  return static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

double LogSumExp(std::span<const float> logits) {
  const double highest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit - highest);
  return highest + std::log(sum);
}

// Nats.
double KlDivergence(std::span<const float> full, std::span<const float> method) {
  const double full_norm = LogSumExp(full), method_norm = LogSumExp(method);
  double kl = 0;
  for (size_t i = 0; i < full.size(); ++i) {
    const double log_p = full[i] - full_norm;
    kl += std::exp(log_p) * (log_p - (method[i] - method_norm));
  }
  return kl;
}

// log p of the likeliest token minus log p of the next: nats.
double Margin(std::span<const float> logits) {
  std::array<float, 2> best;
  std::ranges::partial_sort_copy(logits, best, std::greater<>());
  return static_cast<double>(best[0]) - best[1];
}

Rows AnswerRows(std::span<const int32_t> ids, int32_t first_slot) {
  Rows rows;
  rows.Append(ids, first_slot, first_slot);
  return rows;
}

GenerateRequest RequestOf(const EvalSample& sample, const std::string& prefix_id) {
  GenerateRequest request{.namespace_name = kNamespace, .prefix_id = prefix_id};
  request.messages = {{"user", sample.question}};
  if (!sample.answer_prefix.empty()) request.messages.push_back({"assistant", sample.answer_prefix});
  for (const std::string& text : sample.chunks) request.chunks.push_back({.text = text});
  request.options.max_new_tokens = sample.max_new_tokens;
  return request;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Evaluator>> Evaluator::Open(Config config) {
  std::string folder =
      absl::StrCat(std::filesystem::temp_directory_path().string(), "/cacheclip_eval_XXXXXX");
  if (mkdtemp(folder.data()) == nullptr) return absl::InternalError("cannot make a temporary folder");
  config.data_dir = folder;
  config.disk_bytes = 0;
  config.redis_url = config.catalog_url = config.object_url = "";
  std::unique_ptr<Evaluator> evaluator(new Evaluator(std::move(folder)));
  CACHECLIP_ASSIGN_OR_RETURN(evaluator->runtime_, ServiceRuntime::Open(config, CatalogAccess::kReadWrite));
  CACHECLIP_ASSIGN_OR_RETURN(evaluator->primary_, evaluator->runtime_->LoadPrimary());
  if (config.selector) CACHECLIP_RETURN_IF_ERROR(evaluator->runtime_->LoadSelector().status());
  evaluator->source_ = std::make_unique<ChunkSource>(evaluator->primary_);
  return evaluator;
}

Evaluator::~Evaluator() {
  selectors_.clear();
  runtime_.reset();
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

MethodSpec Evaluator::default_spec() const {
  return {.selection = runtime_->selection_options(),
          .auxiliary = runtime_->auxiliary_options(),
          .probe = runtime_->generation_options().probe};
}

LocalHeads Evaluator::local_heads() const { return runtime_->generation_options().local_heads; }

std::string Evaluator::model_name() const {
  const Runtime& runtime = primary_->runtime();
  return absl::StrCat(runtime.model->name(), runtime.chunk_shape().HasScales() ? ", int8 KV" : "");
}

std::string Evaluator::auxiliary_name() const { return runtime_->auxiliary_name(); }

int Evaluator::CountTokens(std::string_view text) const {
  const auto encoding = primary_->runtime().tokenizer->Encode(text, Tokenizer::SpecialTokens::kAsText,
                                                              Tokenizer::TextStart::kContinuation);
  return encoding.ok() ? static_cast<int>(encoding->ids.size()) : 0;
}

bool Evaluator::EndsSequence(int32_t token) const {
  const auto& ends = primary_->runtime().model->config().end_of_sequence_ids;
  return std::ranges::find(ends, token) != ends.end();
}

absl::StatusOr<std::unique_ptr<PreparedSample>> Evaluator::LayOut(const EvalSample& sample) {
  auto prepared = std::make_unique<PreparedSample>();
  prepared->sample = sample;
  PrefixSpec spec;
  spec.system_prompt = sample.instruction;
  CACHECLIP_ASSIGN_OR_RETURN(const Prefix prefix, primary_->Register(kNamespace, spec, true));
  prepared->request = RequestOf(sample, prefix.prefix_id);
  CACHECLIP_RETURN_IF_ERROR(ValidateGenerateRequest(prepared->request));
  CACHECLIP_ASSIGN_OR_RETURN(prepared->prompt, PreparePrompt(*primary_, *source_, prepared->request));
  return prepared;
}

absl::StatusOr<std::unique_ptr<PreparedSample>> Evaluator::Prepare(const EvalSample& sample) {
  CACHECLIP_ASSIGN_OR_RETURN(std::unique_ptr<PreparedSample> prepared, LayOut(sample));
  CACHECLIP_ASSIGN_OR_RETURN(const StoreHit prefix_kv,
                             prepared->prompt.prefix->PrefixChunk(TaskPriority::kInteractive));
  prepared->prefix = prefix_kv.chunk;
  for (const ResolvedChunk& chunk : prepared->prompt.chunks) {
    CACHECLIP_ASSIGN_OR_RETURN(
        LoadedChunk loaded,
        source_->Load(chunk, PutBack::kAlways, TaskPriority::kInteractive, CancellationToken()));
    prepared->chunks.push_back(std::move(loaded.hit.chunk));
  }
  CACHECLIP_RETURN_IF_ERROR(AnswerFully(*prepared));
  return prepared;
}

absl::Status Evaluator::AnswerFully(PreparedSample& prepared) {
  const Runtime& runtime = primary_->runtime();
  PlanInput input{.method = Method::kFull,
                  .context = prepared.prompt.tokens.context_map(),
                  .num_layers = runtime.model->num_layers()};
  CACHECLIP_ASSIGN_OR_RETURN(const RecomputePlan plan, PlanRecompute(input));
  CACHECLIP_ASSIGN_OR_RETURN(PrefillOutput prefill, RunPrefill(prepared, plan, {}, nullptr));
  for (const auto& [stage, duration] : prefill.durations)
    prepared.full_seconds += absl::ToDoubleSeconds(duration);
  Logits logits = std::move(prefill.logits);
  for (int i = 0; i < prepared.sample.max_new_tokens; ++i) {
    const int32_t token = ArgMax(logits);
    prepared.answer_ids.push_back(token);
    prepared.full_logits.push_back(std::move(logits));
    if (EndsSequence(token)) break;
    absl::StatusOr<Logits> next = absl::InternalError("not run");
    runtime.executor->Run(TaskPriority::kInteractive, [&] { next = prefill.session->Decode(token); });
    CACHECLIP_RETURN_IF_ERROR(next.status());
    logits = *std::move(next);
  }
  CACHECLIP_ASSIGN_OR_RETURN(prepared.answer,
                             runtime.tokenizer->Decode(prepared.answer_ids, /*skip_special=*/true));
  prepared.score = ScoreAnswer(prepared.sample, prepared.answer);
  CACHECLIP_ASSIGN_OR_RETURN(prepared.margin, MarginOf(prepared));
  return absl::OkStatus();
}

absl::StatusOr<std::optional<double>> Evaluator::MarginOf(const PreparedSample& prepared) const {
  StreamDecoder decoder(primary_->runtime().tokenizer, /*skip_special=*/true);
  std::vector<size_t> ends;
  for (size_t end = 0; const int32_t id : prepared.answer_ids) {
    CACHECLIP_ASSIGN_OR_RETURN(const std::string text, decoder.Push(id));
    ends.push_back(end += text.size());
  }
  const std::vector<bool> counts = TokensOfReferences(prepared.sample, prepared.answer, ends);
  std::optional<double> margin;
  for (size_t i = 0; i < counts.size(); ++i) {
    if (!counts[i]) continue;
    const double here = Margin(prepared.full_logits[i]);
    margin = std::min(margin.value_or(here), here);
  }
  return margin;
}

absl::StatusOr<MethodOutcome> Evaluator::Run(const PreparedSample& prepared, const MethodSpec& spec,
                                             double budget) {
  MethodOutcome outcome;
  CACHECLIP_ASSIGN_OR_RETURN(RecomputePlan plan, Plan(prepared, spec, budget, outcome));
  std::vector<int64_t> fresh_by_layer;
  CACHECLIP_ASSIGN_OR_RETURN(PrefillOutput prefill, RunPrefill(prepared, plan, spec, &fresh_by_layer));
  for (const auto& [stage, duration] : prefill.durations)
    outcome.seconds[std::string(StageName(stage))] += absl::ToDoubleSeconds(duration);
  outcome.recomputed_tokens = static_cast<int64_t>(prefill.recomputed_indices.size());
  const ContextMap context = prepared.prompt.tokens.context_map();
  outcome.charged_budget = (fresh_by_layer.empty() ? ChargeOf(plan, prefill.recomputed_indices, context,
                                                              primary_->runtime().model->num_layers())
                                                   : ChargePerLayer(fresh_by_layer, context.num_tokens()))
                               .ratio();
  outcome.stale_mass_share = prefill.stale_mass_share;
  outcome.estimated_kl =
      EstimateDivergence(context, prefill.recomputed_indices, prepared.prompt.first_chunk_selectable,
                         prefill.stale_mass_share, runtime_->generation_options().divergence_per_stale_mass);
  CACHECLIP_RETURN_IF_ERROR(Compare(prepared, std::move(prefill), outcome));
  return outcome;
}

absl::StatusOr<RecomputePlan> Evaluator::Plan(const PreparedSample& prepared, const MethodSpec& spec,
                                              double budget, MethodOutcome& outcome) {
  PlanInput input{.method = spec.method,
                  .has_selector = runtime_->config().selector,
                  .context = prepared.prompt.tokens.context_map(),
                  .num_layers = primary_->runtime().model->num_layers(),
                  .selection = spec.selection,
                  .seed = static_cast<uint64_t>(prepared.sample.index)};
  input.selection.budget = budget;
  CACHECLIP_ASSIGN_OR_RETURN(RecomputePlan plan, PlanRecompute(input));
  if (plan.step == RecomputePlan::Step::kAskSelector)
    CACHECLIP_RETURN_IF_ERROR(AskSelector(prepared, spec, plan, outcome));
  return plan;
}

absl::Status Evaluator::AskSelector(const PreparedSample& prepared, const MethodSpec& spec,
                                    RecomputePlan& plan, MethodOutcome& outcome) {
  std::unique_ptr<SelectorEngine>& selector = selectors_[spec.label];
  if (selector == nullptr) {
    CACHECLIP_ASSIGN_OR_RETURN(
        selector, runtime_->MakeSelector({.auxiliary = spec.auxiliary, .selection = spec.selection}));
  }
  const SelectRequest request =
      MakeSelectRequest(primary_->runtime(), prepared.request, prepared.prompt, plan);
  CACHECLIP_RETURN_IF_ERROR(
      selector->Prepare(request.namespace_name, request.prefix_id, request.chunks, CancellationToken())
          .status());
  CACHECLIP_ASSIGN_OR_RETURN(SelectResult result, selector->Select(request, CancellationToken()));
  outcome.seconds[std::string(StageName(Stage::kSelect))] = absl::ToDoubleSeconds(result.score_duration);
  CACHECLIP_RETURN_IF_ERROR(CheckSelected(prepared.prompt.tokens.context_map(), plan.selection,
                                          result.num_context_tokens, result.indices));
  plan.step = RecomputePlan::Step::kDecided;
  plan.indices = std::move(result.indices);
  plan.stale_mass_share = result.stale_mass_share;
  return absl::OkStatus();
}

absl::StatusOr<Evaluator::Chunks> Evaluator::ChunksBehind(const PreparedSample& prepared,
                                                          EncodedBehind behind) {
  if (behind == EncodedBehind::kPrefix) return prepared.chunks;
  const PromptTokens& prompt = prepared.prompt.tokens;
  std::vector<int32_t> ids = FullRows(prompt).ids;
  if (ids != other_chunks_of_) other_chunks_.clear();
  other_chunks_of_ = std::move(ids);
  if (const auto known = other_chunks_.find(behind); known != other_chunks_.end()) return known->second;
  const Runtime& runtime = primary_->runtime();
  std::vector<int32_t> context = prompt.prefix_ids;
  context.resize(behind == EncodedBehind::kNothing ? 0 : std::min(context.size(), kSinkTokens));
  Chunks chunks;
  absl::Status status;
  runtime.executor->Run(TaskPriority::kInteractive, [&] {
    ChunkEncoder encoder(runtime.model,
                         {.prefix_ids = std::move(context), .kv_dtype = runtime.chunk_shape().dtype});
    for (const std::vector<int32_t>& chunk : prompt.chunk_ids) {
      auto encoded = encoder.Encode(chunk, {}, 0);
      status = encoded.status();
      if (!status.ok()) return;
      chunks.push_back(*std::move(encoded));
    }
  });
  CACHECLIP_RETURN_IF_ERROR(status);
  return other_chunks_[behind] = std::move(chunks);
}

absl::StatusOr<PrefillOutput> Evaluator::RunPrefill(const PreparedSample& prepared, const RecomputePlan& plan,
                                                    const MethodSpec& spec,
                                                    std::vector<int64_t>* fresh_by_layer) {
  const Runtime& runtime = primary_->runtime();
  PrefillInput input{.model = runtime.model,
                     .prompt = prepared.prompt.tokens,
                     .plan = plan,
                     .prefix = prepared.prefix,
                     .capacity = prepared.prompt.capacity,
                     .repositions = spec.repositions,
                     .probe = spec.probe,
                     .local_heads = local_heads(),
                     .sentences = runtime.sentences.get()};
  if (plan.UsesStoredKv()) {
    CACHECLIP_ASSIGN_OR_RETURN(input.chunks, ChunksBehind(prepared, spec.behind));
  }
  if (spec.staged.any() && plan.step == RecomputePlan::Step::kProbe) {
    input.choose = [&](InferenceSession& session,
                       const CancellationToken& cancellation) -> absl::StatusOr<TokenChoice> {
      CACHECLIP_ASSIGN_OR_RETURN(StagedChoice staged,
                                 ChooseInStages(input, spec.staged, session, cancellation));
      *fresh_by_layer = std::move(staged.fresh_by_layer);
      return std::move(staged.choice);
    };
  }
  absl::StatusOr<PrefillOutput> output = absl::InternalError("not run");
  runtime.executor->Run(TaskPriority::kInteractive,
                        [&] { output = Prefill(input, *runtime.clock, CancellationToken()); });
  return output;
}

// One pass over full prefill's answer gives the method's distribution for each of its tokens. Up to the first
// token on which the two disagree that pass is the method's own greedy decoding; from there on it is decoded.
absl::Status Evaluator::Compare(const PreparedSample& prepared, PrefillOutput prefill,
                                MethodOutcome& outcome) {
  const Runtime& runtime = primary_->runtime();
  const std::span<const int32_t> answer = prepared.answer_ids;
  const int32_t first_slot = prepared.prompt.tokens.size();
  std::vector<Logits> logits = {std::move(prefill.logits)};
  if (answer.size() > 1) {
    absl::StatusOr<std::vector<Logits>> rest = absl::InternalError("not run");
    runtime.executor->Run(TaskPriority::kInteractive, [&] {
      rest = prefill.session->RunAllLogits(AnswerRows(answer.first(answer.size() - 1), first_slot), 0);
    });
    CACHECLIP_RETURN_IF_ERROR(rest.status());
    std::ranges::move(*rest, std::back_inserter(logits));
  }
  size_t first_difference = answer.size();
  for (size_t i = 0; i < answer.size(); ++i) {
    outcome.kl += KlDivergence(prepared.full_logits[i], logits[i]) / static_cast<double>(answer.size());
    if (ArgMax(logits[i]) == answer[i])
      outcome.top1_agreement += 1 / static_cast<double>(answer.size());
    else
      first_difference = std::min(first_difference, i);
  }
  outcome.same_answer = first_difference == answer.size();
  std::vector<int32_t> ids(answer.begin(), answer.begin() + static_cast<int64_t>(first_difference));
  if (!outcome.same_answer) {
    const int num_left = prepared.sample.max_new_tokens - static_cast<int>(first_difference);
    CACHECLIP_ASSIGN_OR_RETURN(const std::vector<int32_t> own,
                               Continue(*prefill.session, first_slot + static_cast<int32_t>(first_difference),
                                        ArgMax(logits[first_difference]), num_left));
    ids.insert(ids.end(), own.begin(), own.end());
  }
  CACHECLIP_ASSIGN_OR_RETURN(outcome.answer, runtime.tokenizer->Decode(ids, /*skip_special=*/true));
  outcome.score = ScoreAnswer(prepared.sample, outcome.answer);
  return absl::OkStatus();
}

// Greedy decoding from `token`, which stands at `slot`.
absl::StatusOr<std::vector<int32_t>> Evaluator::Continue(InferenceSession& session, int32_t slot,
                                                         int32_t token, int num_left) {
  std::vector<int32_t> ids = {token};
  while (!EndsSequence(ids.back()) && static_cast<int>(ids.size()) < num_left) {
    absl::StatusOr<Logits> logits = absl::InternalError("not run");
    primary_->runtime().executor->Run(
        TaskPriority::kInteractive, [&] { logits = session.Run(AnswerRows(std::span(ids).last(1), slot)); });
    CACHECLIP_RETURN_IF_ERROR(logits.status());
    ids.push_back(ArgMax(*logits));
    ++slot;
  }
  return ids;
}

}  // namespace cacheclip
