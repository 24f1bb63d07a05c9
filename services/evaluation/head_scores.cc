// The evaluator's view inside: what single heads attend to, and where they should.
#include <string>

#include "common/base/status.h"
#include "common/engine/selector_call.h"
#include "services/evaluation/evaluator.h"

namespace cacheclip {

absl::StatusOr<std::vector<HeadScores>> Evaluator::ScoreAuxiliaryHeads(const PreparedSample& prepared) {
  CACHECLIP_ASSIGN_OR_RETURN(const std::unique_ptr<SelectorEngine> selector, runtime_->MakeSelector({}));
  RecomputePlan plan{.method = Method::kAuxiliary};
  const SelectRequest request =
      MakeSelectRequest(primary_->runtime(), prepared.request, prepared.prompt, plan);
  return selector->ScoreHeads(request, CancellationToken());
}

absl::StatusOr<std::vector<HeadScores>> Evaluator::ScorePrimaryHeads(const PreparedSample& prepared) {
  const Runtime& runtime = primary_->runtime();
  const PromptTokens& tokens = prepared.prompt.tokens;
  CACHECLIP_ASSIGN_OR_RETURN(const std::unique_ptr<InferenceSession> session,
                             InferenceSession::Create(runtime.model, prepared.prompt.capacity));
  std::vector<ChunkPlace> places;
  if (prepared.prefix != nullptr) places.push_back({prepared.prefix.get(), 0, 0});
  int32_t slot = tokens.prefix_size();
  for (const auto& chunk : prepared.chunks) {
    places.push_back({chunk.get(), slot, slot});
    slot += static_cast<int32_t>(chunk->num_tokens());
  }
  CACHECLIP_RETURN_IF_ERROR(session->PlaceLayers(places, 0, runtime.model->num_layers()));
  absl::StatusOr<std::vector<HeadScores>> heads = absl::InternalError("not run");
  runtime.executor->Run(TaskPriority::kInteractive, [&] {
    heads = ScoreHeadsByPrimaryProbe(*session, tokens, {0, runtime.model->num_layers()});
  });
  return heads;
}

std::vector<int32_t> Evaluator::EvidenceTokens(const PreparedSample& prepared) const {
  std::vector<int32_t> indices;
  int32_t first_index = 0;
  for (size_t i = 0; i < prepared.prompt.chunks.size(); ++i) {
    const std::vector<TokenSpan>& spans = prepared.prompt.chunks[i].encoding.spans;
    for (const std::string& evidence : prepared.sample.evidence) {
      const size_t begin = prepared.sample.chunks[i].find(evidence);
      if (i == 0 || begin == std::string::npos) continue;
      for (size_t token = 0; token < spans.size(); ++token)
        if (spans[token].end > begin && spans[token].begin < begin + evidence.size())
          indices.push_back(first_index + static_cast<int32_t>(token));
    }
    first_index += static_cast<int32_t>(spans.size());
  }
  return indices;
}

}  // namespace cacheclip
