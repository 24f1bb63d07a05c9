#include "common/engine/generation_engine.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "common/base/status.h"
#include "common/engine/admission_queue.h"
#include "common/engine/chunk_source.h"
#include "common/engine/decode_loop.h"
#include "common/engine/planner.h"
#include "common/engine/prefill.h"
#include "common/engine/prompt_builder.h"
#include "common/engine/request_chunks.h"
#include "common/engine/running_requests.h"
#include "common/engine/selector_call.h"

namespace cacheclip {
namespace {

using Step = RecomputePlan::Step;

constexpr int32_t kCalibrationRows = 64;  // fewer say little about what a long pass costs
constexpr int32_t kWarmUpRows = 256;      // when nobody waits

// A request on its way through the stages; lives as long as the call.
struct RequestState {
  const GenerateRequest& request;
  const CancellationToken& cancellation;
  absl::Time begin;
  SelectionDemand demand;
  PreparedPrompt prompt;
  RecomputePlan plan;
  std::optional<RequestChunks> chunks;
  GenerateResult result;

  Usage& usage() { return result.usage; }
};

}  // namespace

class GenerationEngine::Impl {
 public:
  Impl(PrefixContexts* contexts, TokenSelector* selector, GenerationEngineOptions options)
      : contexts_(contexts),
        runtime_(contexts->runtime()),
        selector_(selector),
        options_(std::move(options)),
        source_(contexts),
        loader_(&source_, runtime_.clock),
        put_backs_({.max_bytes = options_.max_put_back_bytes}),
        machinery_{&loader_, &compute_speed_, std::make_shared<TierSpeed>(runtime_.clock), &put_backs_,
                   options_.load_timeout},
        admission_({options_.max_waiting_requests, options_.max_running_requests, options_.max_kv_bytes}),
        running_(runtime_.clock) {}

  absl::StatusOr<GenerateResult> Generate(const GenerateRequest& request,
                                          const CancellationToken& cancellation,
                                          const GenerateCallbacks& callbacks);
  void WarmUp();
  absl::Status Abort(const std::string& request_id) { return running_.Abort(request_id); }
  EngineLoad load() const {
    const AdmissionLoad load = admission_.load();
    return {load.num_running, load.num_waiting, load.kv_bytes_reserved, options_.max_kv_bytes};
  }

 private:
  absl::Time Now() const { return runtime_.clock->Now(); }
  absl::Status Prepare(RequestState& state);
  absl::StatusOr<RecomputePlan> Plan(const RequestState& state, Method method) const;
  absl::Status Answer(RequestState& state, const GenerateCallbacks& callbacks);
  void StartLoads(RequestState& state);
  absl::Status FinishLoads(RequestState& state);
  absl::Status UseFullPrefillUnless(RequestState& state, absl::StatusOr<bool> usable) const;
  ComputeCosts Costs(const RequestState& state) const;
  double SelectiveOperations(const RequestState& state, int64_t num_recomputed) const;
  void Calibrate(int32_t num_rows);
  absl::Status ConsultSelector(RequestState& state);
  absl::StatusOr<PrefillOutput> RunPrefill(RequestState& state);
  absl::StatusOr<PrefillOutput> PrefillOnce(RequestState& state);
  absl::Status Decode(RequestState& state, PrefillOutput prefill, const GenerateCallbacks& callbacks);

  PrefixContexts* const contexts_;
  const Runtime& runtime_;
  TokenSelector* const selector_;
  const GenerationEngineOptions options_;
  const ChunkSource source_;
  ComputeSpeed compute_speed_;
  ChunkLoader loader_;
  BackgroundQueue put_backs_;
  const LoadMachinery machinery_;
  AdmissionQueue admission_;
  RunningRequests running_;
};

absl::StatusOr<GenerateResult> GenerationEngine::Impl::Generate(const GenerateRequest& request,
                                                                const CancellationToken& cancellation,
                                                                const GenerateCallbacks& callbacks) {
  CACHECLIP_RETURN_IF_ERROR(ValidateGenerateRequest(request));
  CACHECLIP_ASSIGN_OR_RETURN(const auto registration,
                             running_.Register(request.request_id, cancellation, options_.default_deadline));
  RequestState state{.request = request,
                     .cancellation = registration->cancellation(),
                     .begin = Now(),
                     .demand = DemandOf(request.options, options_.quality_levels)};
  CACHECLIP_RETURN_IF_ERROR(Prepare(state));
  const absl::Time prepared = Now();
  state.usage().stage_durations[Stage::kResolve] = prepared - state.begin;
  const int64_t kv_bytes = InferenceSession::CacheBytes(*runtime_.model, state.prompt.capacity);
  CACHECLIP_ASSIGN_OR_RETURN(const AdmissionQueue::Ticket ticket,
                             admission_.Admit(kv_bytes, state.cancellation));
  state.usage().stage_durations[Stage::kQueue] = Now() - prepared;
  if (callbacks.on_accepted) callbacks.on_accepted(registration->request_id());

  const absl::Status status = Answer(state, callbacks);
  if (status.ok()) return std::move(state.result);
  if (!registration->was_aborted() || !absl::IsCancelled(status)) return status;
  state.result.finish_reason = FinishReason::kCancelled;
  return std::move(state.result);
}

absl::Status GenerationEngine::Impl::Prepare(RequestState& state) {
  CACHECLIP_RETURN_IF_ERROR(state.cancellation.Check());
  CACHECLIP_ASSIGN_OR_RETURN(state.prompt, PreparePrompt(*contexts_, source_, state.request));
  Method method = state.demand.method;
  if (method != Method::kFull && !options_.reason_against_reuse.empty()) {
    method = Method::kFull;
    state.usage().fallbacks.push_back({"method", "reuse_diverges", options_.reason_against_reuse});
  }
  CACHECLIP_ASSIGN_OR_RETURN(state.plan, Plan(state, method));
  state.usage().prompt_tokens = state.prompt.tokens.size();
  state.usage().context_tokens = state.prompt.tokens.context_size();
  return absl::OkStatus();
}

absl::StatusOr<RecomputePlan> GenerationEngine::Impl::Plan(const RequestState& state, Method method) const {
  PlanInput input{.method = method,
                  .has_selector = selector_ != nullptr,
                  .context = state.prompt.tokens.context_map(),
                  .num_layers = runtime_.model->num_layers(),
                  .selection = options_.selection,
                  .seed = state.request.options.sampling.seed};
  input.selection.budget = state.demand.budget;
  input.selection.coverage = state.demand.coverage;
  input.selection.first_chunk_selectable = state.prompt.first_chunk_selectable;
  return PlanRecompute(input);
}

absl::Status GenerationEngine::Impl::Answer(RequestState& state, const GenerateCallbacks& callbacks) {
  if (state.plan.UsesStoredKv()) StartLoads(state);
  if (state.plan.step == Step::kAskSelector) CACHECLIP_RETURN_IF_ERROR(ConsultSelector(state));
  if (state.plan.UsesStoredKv()) CACHECLIP_RETURN_IF_ERROR(FinishLoads(state));
  CACHECLIP_ASSIGN_OR_RETURN(PrefillOutput prefill, RunPrefill(state));
  const absl::Status decoded = Decode(state, std::move(prefill), callbacks);
  if (state.chunks.has_value()) state.chunks->Report(state.usage());
  return decoded;
}

void GenerationEngine::Impl::StartLoads(RequestState& state) {
  if (!compute_speed_.Estimate(PassKind::kFull, 1).has_value()) Calibrate(kCalibrationRows);
  const PutBack put_back = state.request.options.write_back ? PutBack::kAlways : PutBack::kIfById;
  state.chunks.emplace(machinery_, runtime_, state.prompt, Costs(state), put_back, state.cancellation);
  state.chunks->Start();
}

absl::Status GenerationEngine::Impl::FinishLoads(RequestState& state) {
  return UseFullPrefillUnless(state, state.chunks->Collect());
}

absl::Status GenerationEngine::Impl::UseFullPrefillUnless(RequestState& state,
                                                          absl::StatusOr<bool> usable) const {
  CACHECLIP_RETURN_IF_ERROR(usable.status());
  if (*usable) return absl::OkStatus();
  CACHECLIP_ASSIGN_OR_RETURN(state.plan, Plan(state, Method::kFull));
  return absl::OkStatus();
}

double GenerationEngine::Impl::SelectiveOperations(const RequestState& state, int64_t num_recomputed) const {
  const PromptTokens& tokens = state.prompt.tokens;
  const ModelConfig& config = runtime_.model->config();
  const int num_layers = runtime_.model->num_layers();
  return PassOperations(config, num_layers, ScatteredPass(num_recomputed, tokens.suffix_begin())) +
         PassOperations(config, num_layers,
                        PassBehind(tokens.suffix_begin(), static_cast<int64_t>(tokens.suffix_ids.size())));
}

ComputeCosts GenerationEngine::Impl::Costs(const RequestState& state) const {
  const ModelConfig& config = runtime_.model->config();
  const int num_layers = runtime_.model->num_layers();
  const auto estimate = [&](PassKind kind, double operations) {
    return compute_speed_.Estimate(kind, operations).value_or(absl::InfiniteDuration());
  };
  const PromptTokens& tokens = state.prompt.tokens;
  const auto recomputed = static_cast<int64_t>(state.demand.budget * tokens.context_size());
  ComputeCosts costs{
      .full_prefill = estimate(PassKind::kFull, PassOperations(config, num_layers, FullPass(tokens.size()))),
      .selective_pass = estimate(PassKind::kSelective, SelectiveOperations(state, recomputed))};
  for (const ResolvedChunk& chunk : state.prompt.chunks)
    costs.encode.push_back(estimate(
        PassKind::kEncode,
        PassOperations(config, num_layers,
                       PassBehind(static_cast<int64_t>(chunk.context->ids().size()), chunk.num_tokens()))));
  return costs;
}

// Without a measure of computing there is no bound for loading.
void GenerationEngine::Impl::Calibrate(int32_t num_rows) {
  const ModelConfig& config = runtime_.model->config();
  num_rows = static_cast<int32_t>(std::min<int64_t>(num_rows, config.max_positions));
  Rows rows;
  std::vector<int32_t> ids;
  for (int32_t i = 0; i < num_rows; ++i) ids.push_back(static_cast<int32_t>(i % config.vocab_size));
  rows.Append(ids, 0, 0);
  runtime_.executor->Run(TaskPriority::kInteractive, [&] {
    auto session = InferenceSession::Create(runtime_.model, num_rows);
    if (!session.ok()) return;
    const absl::Time begin = Now();
    if (!(*session)->Run(rows).ok()) return;
    for (const PassKind kind : {PassKind::kFull, PassKind::kEncode})  // as short as either may be
      compute_speed_.Observe(kind, PassOperations(config, runtime_.model->num_layers(), FullPass(num_rows)),
                             Now() - begin);
  });
}

void GenerationEngine::Impl::WarmUp() {
  Calibrate(1);  // the first pass of a process pages the weights in; forgotten below
  compute_speed_.Forget();
  Calibrate(kWarmUpRows);
}

absl::Status GenerationEngine::Impl::ConsultSelector(RequestState& state) {
  const absl::Time begin = Now();
  const SelectRequest request = MakeSelectRequest(runtime_, state.request, state.prompt, state.plan);
  SelectorAnswer answer =
      AskSelector(selector_, request, state.prompt.tokens.context_map(), state.plan.selection,
                  std::min(options_.selector_timeout, state.chunks->SelectorPatience()), state.cancellation,
                  runtime_.clock);
  CACHECLIP_RETURN_IF_ERROR(state.cancellation.Check());
  if (answer.fallback.has_value()) {
    state.usage().fallbacks.push_back(*std::move(answer.fallback));
    CACHECLIP_ASSIGN_OR_RETURN(state.plan, Plan(state, Method::kPrimaryProbe));
  } else {
    state.plan.step = Step::kDecided;
    state.plan.indices = std::move(answer.indices);
    state.plan.stale_mass_share = answer.stale_mass_share;
  }
  state.usage().stage_durations[Stage::kSelect] += Now() - begin;
  return absl::OkStatus();
}

absl::StatusOr<PrefillOutput> GenerationEngine::Impl::RunPrefill(RequestState& state) {
  absl::StatusOr<PrefillOutput> output = absl::AbortedError("not run");
  for (;;) {
    const absl::Time begin = Now();
    auto durations = state.usage().stage_durations;
    output = PrefillOnce(state);
    if (!absl::IsAborted(output.status())) break;
    // A layer did not come, so all of that was waiting; every repair leaves fewer to wait for.
    durations[Stage::kLoad] += Now() - begin;
    state.usage().stage_durations = std::move(durations);
    CACHECLIP_RETURN_IF_ERROR(UseFullPrefillUnless(state, state.chunks->Repair()));
  }
  if (!output.ok()) return output;
  Usage& usage = state.usage();
  for (const auto& [stage, duration] : output->durations) usage.stage_durations[stage] += duration;
  usage.method = state.plan.method;
  usage.recomputed_tokens = static_cast<int64_t>(output->recomputed_indices.size());
  const ContextMap context = state.prompt.tokens.context_map();
  const int num_layers = runtime_.model->num_layers();
  const ChargedBudget charge = ChargeOf(state.plan, output->recomputed_indices, context, num_layers);
  usage.charged_budget = charge.ratio();
  usage.estimated_divergence =
      EstimateDivergence(context, output->recomputed_indices, state.prompt.first_chunk_selectable,
                         output->stale_mass_share, options_.divergence_per_stale_mass);
  if (!state.plan.UsesStoredKv())
    compute_speed_.Observe(PassKind::kFull,
                           PassOperations(runtime_.model->config(), runtime_.model->num_layers(),
                                          FullPass(state.prompt.tokens.size())),
                           output->durations[Stage::kRecompute]);
  else if (usage.recomputed_tokens >= kCalibrationRows)  // as if they had run through all layers
    compute_speed_.Observe(PassKind::kSelective,
                           SelectiveOperations(state, charge.fresh_layer_tokens / num_layers),
                           output->durations[Stage::kSelect] + output->durations[Stage::kAssemble] +
                               output->durations[Stage::kRecompute]);
  return output;
}

absl::StatusOr<PrefillOutput> GenerationEngine::Impl::PrefillOnce(RequestState& state) {
  PrefillInput input{.model = runtime_.model,
                     .prompt = state.prompt.tokens,
                     .plan = state.plan,
                     .capacity = state.prompt.capacity,
                     .probe = options_.probe,
                     .local_heads = options_.local_heads,
                     .sentences = runtime_.sentences.get()};
  Usage& usage = state.usage();
  if (state.plan.UsesStoredKv()) {
    RequestChunks& chunks = *state.chunks;
    input.prefix = chunks.prefix_kv();
    input.chunks = chunks.kv();
    input.arrivals = chunks.arrivals();
    input.layer_deadline = [&chunks] { return chunks.LayerDeadline(); };
    const absl::Time begin = Now();
    const absl::Duration load = chunks.RemainingLoad();
    // A pass that waits for a layer in vain is lost: it does not begin while that is to be expected.
    const bool is_in_time = begin + load <= chunks.LayerDeadline();
    const int num_layers = runtime_.model->num_layers();
    input.layers_awaited =
        is_in_time ? LayersToAwait(num_layers, load, Costs(state).selective_pass) : num_layers;
    for (const auto& arrival : input.arrivals)  // here, where other requests may compute meanwhile
      if (arrival != nullptr)
        CACHECLIP_RETURN_IF_ERROR(WaitForLayer(*arrival, LayersBeforeScoring(input) - 1, input.layer_deadline,
                                               *runtime_.clock, state.cancellation));
    usage.stage_durations[Stage::kLoad] += Now() - begin;
  }
  absl::StatusOr<PrefillOutput> output = absl::InternalError("not run");
  const absl::Time queued = Now();
  runtime_.executor->Run(TaskPriority::kInteractive, [&] {
    usage.stage_durations[Stage::kQueue] += Now() - queued;
    output = Prefill(input, *runtime_.clock, state.cancellation);
  });
  return output;
}

absl::Status GenerationEngine::Impl::Decode(RequestState& state, PrefillOutput prefill,
                                            const GenerateCallbacks& callbacks) {
  const PromptTokens& tokens = state.prompt.tokens;
  std::vector<int32_t> context_ids = tokens.prefix_ids;
  for (const auto& chunk : tokens.chunk_ids)
    context_ids.insert(context_ids.end(), chunk.begin(), chunk.end());
  context_ids.insert(context_ids.end(), tokens.suffix_ids.begin(), tokens.suffix_ids.end());
  DecodeLoop loop(prefill.session.get(), runtime_.executor, runtime_.tokenizer, state.request.options,
                  std::move(context_ids));
  absl::Time first_token = absl::InfinitePast();
  const auto on_token = [&](const TokenEvent& event) {
    if (first_token == absl::InfinitePast()) {
      first_token = Now();
      state.usage().time_to_first_token = first_token - state.begin;
    }
    return callbacks.on_token ? callbacks.on_token(event) : absl::OkStatus();
  };
  const auto reason = loop.Run(std::move(prefill.logits), state.cancellation, on_token, state.result);
  if (first_token != absl::InfinitePast())
    state.usage().stage_durations[Stage::kDecode] = Now() - first_token;
  CACHECLIP_RETURN_IF_ERROR(reason.status());
  state.result.finish_reason = *reason;
  return absl::OkStatus();
}

GenerationEngine::GenerationEngine(PrefixContexts* contexts, TokenSelector* selector,
                                   GenerationEngineOptions options)
    : impl_(std::make_unique<Impl>(contexts, selector, std::move(options))) {}

GenerationEngine::~GenerationEngine() = default;

absl::StatusOr<GenerateResult> GenerationEngine::Generate(const GenerateRequest& request,
                                                          const CancellationToken& cancellation,
                                                          const GenerateCallbacks& callbacks) {
  return impl_->Generate(request, cancellation, callbacks);
}

void GenerationEngine::WarmUp() { impl_->WarmUp(); }

absl::Status GenerationEngine::Abort(const std::string& request_id) { return impl_->Abort(request_id); }

EngineLoad GenerationEngine::load() const { return impl_->load(); }

}  // namespace cacheclip
