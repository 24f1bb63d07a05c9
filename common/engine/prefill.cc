#include "common/engine/prefill.h"

#include <algorithm>
#include <utility>

#include "common/base/logging.h"
#include "common/base/status.h"
#include "common/select/divergence.h"

namespace cacheclip {
namespace {

constexpr absl::Duration kPollInterval = absl::Milliseconds(5);

// Lays the stored KV into a session, layer by layer where a chunk is still arriving.
class Assembly {
 public:
  Assembly(const PrefillInput& input, InferenceSession& session, const Clock& clock,
           const CancellationToken& cancellation)
      : input_(input), session_(session), clock_(clock), cancellation_(cancellation) {}

  // Prefix and complete chunks; of the others the first `num_layers` layers.
  absl::Status Begin(int num_layers) {
    num_placed_ = num_layers;
    std::vector<ChunkPlace> complete;
    if (input_.prefix != nullptr) complete.push_back({input_.prefix.get(), 0, 0});
    int32_t slot = input_.prompt.prefix_size();
    for (size_t i = 0; i < input_.chunks.size(); ++i) {
      const int32_t position = input_.repositions ? slot : input_.prompt.prefix_size();
      const ChunkPlace place{input_.chunks[i].get(), slot, position};
      const bool is_arriving = i < input_.arrivals.size() && input_.arrivals[i] != nullptr;
      if (is_arriving) {
        arriving_.push_back({place, input_.arrivals[i].get()});
      } else {
        complete.push_back(place);
      }
      slot += static_cast<int32_t>(input_.chunks[i]->num_tokens());
    }
    CACHECLIP_CHECK(slot == input_.prompt.suffix_begin()) << "chunks end at " << slot;
    CACHECLIP_RETURN_IF_ERROR(session_.PlaceLayers(complete, 0, input_.model->num_layers()));
    for (const Arriving& chunk : arriving_) CACHECLIP_RETURN_IF_ERROR(Place(chunk, 0, num_layers));
    return absl::OkStatus();
  }

  // Ahead of each layer of the pass.
  absl::Status BeforeLayer(int layer) {
    if (layer < num_placed_) return absl::OkStatus();
    for (const Arriving& chunk : arriving_) CACHECLIP_RETURN_IF_ERROR(Place(chunk, layer, layer + 1));
    return absl::OkStatus();
  }

  bool has_arriving() const { return !arriving_.empty(); }
  absl::Duration wait_duration() const { return wait_duration_; }
  absl::Duration place_duration() const { return place_duration_; }

 private:
  struct Arriving {
    ChunkPlace place;
    const ChunkArrival* arrival;
  };

  absl::Status Place(const Arriving& chunk, int first_layer, int last_layer) {
    const absl::Time begin = clock_.Now();
    CACHECLIP_RETURN_IF_ERROR(
        WaitForLayer(*chunk.arrival, last_layer - 1, input_.layer_deadline, clock_, cancellation_));
    const absl::Time arrived = clock_.Now();
    wait_duration_ += arrived - begin;
    CACHECLIP_RETURN_IF_ERROR(session_.PlaceLayers({&chunk.place, 1}, first_layer, last_layer));
    place_duration_ += clock_.Now() - arrived;
    return absl::OkStatus();
  }

  const PrefillInput& input_;
  InferenceSession& session_;
  const Clock& clock_;
  const CancellationToken& cancellation_;
  std::vector<Arriving> arriving_;
  int num_placed_ = 0;
  absl::Duration wait_duration_, place_duration_;
};

absl::StatusOr<TokenChoice> Choose(const PrefillInput& input, InferenceSession& session,
                                   const CancellationToken& cancellation) {
  if (input.choose) return input.choose(session, cancellation);
  const RecomputePlan& plan = input.plan;
  if (plan.step == RecomputePlan::Step::kDecided) return TokenChoice{plan.indices, plan.stale_mass_share};
  std::vector<float> scores;
  if (plan.step == RecomputePlan::Step::kDeviation) {
    CACHECLIP_ASSIGN_OR_RETURN(scores,
                               ScoreByKvDeviation(session, input.prompt, plan.check_layer, cancellation));
  } else {
    CACHECLIP_CHECK(plan.step == RecomputePlan::Step::kProbe) << "the selector has not been asked";
    CACHECLIP_ASSIGN_OR_RETURN(scores, ScoreByPrimaryProbe(session, input.prompt, input.probe, cancellation));
  }
  CACHECLIP_ASSIGN_OR_RETURN(RecomputeSet set, SelectByScores(input, scores, plan.selection));
  TokenChoice choice{.indices = std::move(set.indices)};
  if (plan.step == RecomputePlan::Step::kProbe)  // a deviation is no attention
    choice.stale_mass_share = StaleMassShare(input.prompt.context_map(), scores, choice.indices,
                                             plan.selection.first_chunk_selectable);
  return choice;
}

// The slots of what neither stands where it was encoded nor is recomputed.
std::vector<int32_t> StaleSlots(const PrefillInput& input, std::span<const int32_t> recomputed) {
  std::vector<int32_t> slots;
  const int32_t first_stale =
      input.prompt.context_map().FirstStale(input.plan.selection.first_chunk_selectable);
  for (int32_t i = first_stale; i < input.prompt.context_size(); ++i)
    if (!std::ranges::binary_search(recomputed, i)) slots.push_back(input.prompt.prefix_size() + i);
  return slots;
}

// Where the plan says so and a share is known to weigh by.
void ListenLessToStaleTokens(const PrefillInput& input, std::span<const int32_t> stale_slots,
                             PrefillOutput& output) {
  if (input.plan.stale_weight >= 1 || !output.stale_mass_share.has_value()) return;
  const double weight = StaleAttentionWeight(input.plan.stale_weight, *output.stale_mass_share);
  const int32_t first_slot = input.prompt.prefix_size();
  std::vector<float> weights(static_cast<size_t>(input.prompt.context_size()), 1.0f);
  for (const int32_t slot : stale_slots)
    weights[static_cast<size_t>(slot - first_slot)] = static_cast<float>(weight);
  output.session->SetAttentionWeights(first_slot, weights);
}

}  // namespace

absl::StatusOr<RecomputeSet> SelectByScores(const PrefillInput& input, std::span<const float> scores,
                                            const SelectionOptions& options) {
  std::vector<int32_t> segment_begins;
  if (NeedsSegments(options.grouping)) segment_begins = input.sentences->Begins(input.prompt.chunk_ids);
  return Select(input.prompt.context_map(), scores, options, segment_begins);
}

int LayersBeforeScoring(const PrefillInput& input) {
  const int num_layers = input.model->num_layers();
  int needed = input.layers_awaited;
  if (input.plan.step == RecomputePlan::Step::kProbe) {
    const auto band = ResolveBand(*input.model, input.probe);
    needed = std::max(needed, band.ok() ? band->end : num_layers);
  }
  if (input.plan.step == RecomputePlan::Step::kDeviation)
    needed = std::max(needed, input.plan.check_layer + 1);
  return std::clamp(needed, 1, num_layers);
}

absl::Status WaitForLayer(const ChunkArrival& arrival, int layer, const std::function<absl::Time()>& deadline,
                          const Clock& clock, const CancellationToken& cancellation) {
  for (;;) {
    const absl::Status arrived = arrival.WaitForLayer(layer, absl::Now() + kPollInterval);
    if (arrived.ok()) return arrived;
    if (!absl::IsDeadlineExceeded(arrived)) return absl::AbortedError(arrived.message());
    CACHECLIP_RETURN_IF_ERROR(cancellation.Check());
    if (deadline && clock.Now() >= deadline()) return absl::AbortedError(arrived.message());
  }
}

absl::StatusOr<PrefillOutput> Prefill(const PrefillInput& input, const Clock& clock,
                                      const CancellationToken& cancellation) {
  CACHECLIP_RETURN_IF_ERROR(cancellation.Check());
  PrefillOutput output;
  absl::Time begin = clock.Now();
  const auto end_stage = [&](Stage stage) {
    const absl::Time now = clock.Now();
    output.durations[stage] += now - std::exchange(begin, now);
  };
  CACHECLIP_ASSIGN_OR_RETURN(output.session, InferenceSession::Create(input.model, input.capacity));
  if (!input.plan.UsesStoredKv()) {
    output.recomputed_indices = input.plan.indices;
    CACHECLIP_ASSIGN_OR_RETURN(output.logits, output.session->Run(FullRows(input.prompt), cancellation));
    end_stage(Stage::kRecompute);
    return output;
  }
  Assembly assembly(input, *output.session, clock, cancellation);
  CACHECLIP_RETURN_IF_ERROR(assembly.Begin(LayersBeforeScoring(input)));
  end_stage(Stage::kAssemble);
  CACHECLIP_ASSIGN_OR_RETURN(TokenChoice choice, Choose(input, *output.session, cancellation));
  output.recomputed_indices = std::move(choice.indices);
  output.stale_mass_share = choice.stale_mass_share;
  if (input.plan.step != RecomputePlan::Step::kDecided) end_stage(Stage::kSelect);
  std::vector<int32_t> stale_slots = StaleSlots(input, output.recomputed_indices);
  ListenLessToStaleTokens(input, stale_slots, output);
  const Rows rows = SelectiveRows(input.prompt, output.recomputed_indices);
  const absl::Duration placed_before = assembly.place_duration(), waited_before = assembly.wait_duration();
  RunOptions options{.num_shallow_rows = static_cast<int32_t>(output.recomputed_indices.size()),
                     .shallow_layers = input.plan.recompute_layers};
  if (input.plan.stale_shift > 0 && input.repositions) {
    options.stale_slots = std::move(stale_slots);
    options.stale_shift = input.plan.stale_shift;
  }
  if (input.plan.local_heads && !input.local_heads.heads.empty()) options.local_heads = &input.local_heads;
  options.int8_scores = input.plan.int8_scores;
  if (assembly.has_arriving()) options.before_layer = [&](int layer) { return assembly.BeforeLayer(layer); };
  CACHECLIP_ASSIGN_OR_RETURN(output.logits, output.session->Run(rows, cancellation, options));
  end_stage(Stage::kRecompute);
  if (assembly.has_arriving()) {  // what the pass spent on layers is not computing
    const absl::Duration placed = assembly.place_duration() - placed_before;
    const absl::Duration waited = assembly.wait_duration() - waited_before;
    output.durations[Stage::kRecompute] -= placed + waited;
    output.durations[Stage::kAssemble] += placed - waited_before;
    output.durations[Stage::kLoad] += waited + waited_before;
  }
  return output;
}

}  // namespace cacheclip
