#include "common/engine/prefill.h"

#include <utility>

#include "common/base/logging.h"
#include "common/base/status.h"

namespace cacheclip {
namespace {

absl::Status Assemble(const PrefillInput& input, InferenceSession& session,
                      const CancellationToken& cancellation) {
  int32_t slot = 0;
  if (input.prefix != nullptr) CACHECLIP_RETURN_IF_ERROR(session.Place(*input.prefix, 0, 0));
  slot += input.prompt.prefix_size();
  for (const auto& chunk : input.chunks) {
    CACHECLIP_RETURN_IF_ERROR(cancellation.Check());
    CACHECLIP_RETURN_IF_ERROR(session.Place(*chunk, slot, slot));
    slot += static_cast<int32_t>(chunk->num_tokens());
  }
  CACHECLIP_CHECK(slot == input.prompt.suffix_begin()) << "chunks end at " << slot;
  return absl::OkStatus();
}

absl::StatusOr<std::vector<int32_t>> Choose(const PrefillInput& input, InferenceSession& session,
                                            const CancellationToken& cancellation) {
  const RecomputePlan& plan = input.plan;
  if (plan.step == RecomputePlan::Step::kDecided) return plan.indices;
  std::vector<float> scores;
  if (plan.step == RecomputePlan::Step::kDeviation) {
    CACHECLIP_ASSIGN_OR_RETURN(scores,
                               ScoreByKvDeviation(session, input.prompt, plan.check_layer, cancellation));
  } else {
    CACHECLIP_CHECK(plan.step == RecomputePlan::Step::kProbe) << "the selector has not been asked";
    const bool is_set = input.probe_band.end > input.probe_band.begin;
    const LayerBand band = is_set ? input.probe_band : DefaultScoringBand(input.model->num_layers());
    CACHECLIP_ASSIGN_OR_RETURN(scores, ScoreByPrimaryProbe(session, input.prompt, band, cancellation));
  }
  CACHECLIP_ASSIGN_OR_RETURN(RecomputeSet set, Select(input.prompt.context_map(), scores, plan.selection));
  return std::move(set.indices);
}

}  // namespace

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
  CACHECLIP_RETURN_IF_ERROR(Assemble(input, *output.session, cancellation));
  end_stage(Stage::kAssemble);
  CACHECLIP_ASSIGN_OR_RETURN(output.recomputed_indices, Choose(input, *output.session, cancellation));
  if (input.plan.step != RecomputePlan::Step::kDecided) end_stage(Stage::kSelect);
  const Rows rows = SelectiveRows(input.prompt, output.recomputed_indices);
  CACHECLIP_ASSIGN_OR_RETURN(output.logits, output.session->Run(rows, cancellation));
  end_stage(Stage::kRecompute);
  return output;
}

}  // namespace cacheclip
