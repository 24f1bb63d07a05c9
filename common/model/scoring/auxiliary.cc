// The question run by an auxiliary model over its own KV of the chunks (CacheClip paper; joint normalisation,
// passes over all chunks at once and truncated primaries are method.md §3).
#include <algorithm>
#include <limits>
#include <numeric>

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/zeros.h>
#include <c10/core/InferenceMode.h>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/model/forward_pass.h"
#include "common/model/scoring/attention_mass.h"
#include "common/model/scoring/scoring.h"

namespace cacheclip {
namespace {

// One layer's attention logits of one pass over some chunks.
struct LayerLogits {
  at::Tensor all;      // [num_heads, num_rows, tokens of the pass]
  int32_t begin, end;  // the context's tokens; before them the prefix, behind them the question

  at::Tensor Context() const { return all.slice(2, begin, end); }
  at::Tensor Rest() const {  // log-sum-exp of prefix and question: [num_heads, num_rows]
    return at::logsumexp(at::cat({all.slice(2, 0, begin), all.slice(2, end)}, 2), {2});
  }
};

class AuxiliaryScorer {
 public:
  AuxiliaryScorer(std::shared_ptr<const LanguageModel> model, const AuxiliaryInput& input,
                  const AuxiliaryOptions& options, LayerBand band, const CancellationToken& cancellation)
      : model_(std::move(model)),
        input_(input),
        options_(options),
        band_(band),
        collector_(options.from, band),
        cancellation_(cancellation),
        logits_(static_cast<size_t>(model_->num_layers())) {}

  absl::StatusOr<std::vector<float>> Score() {
    CACHECLIP_RETURN_IF_ERROR(RunPasses());
    for (int layer = band_.begin; layer < band_.end; ++layer)
      if (collector_.Counts(layer)) collector_.Add(layer, Normalise(logits_[static_cast<size_t>(layer)]));
    return collector_.Total();
  }

  absl::StatusOr<std::vector<HeadScores>> ScoreHeads() {
    CACHECLIP_RETURN_IF_ERROR(RunPasses());
    std::vector<HeadScores> scores;
    for (int layer = band_.begin; layer < band_.end; ++layer)
      AppendHeadScores(layer, Normalise(logits_[static_cast<size_t>(layer)]), scores);
    return scores;
  }

 private:
  absl::Status RunPasses() {
    if (options_.pass != AuxiliaryPass::kPerChunk) return RunPass(input_.chunks);
    for (const auto& chunk : input_.chunks) CACHECLIP_RETURN_IF_ERROR(RunPass({&chunk, 1}));
    return absl::OkStatus();
  }

  // The prefix, then the chunks, then the question. Slots are distinct, so one softmax sees all chunks.
  // Assembled, a slot is its position, which makes a truncated primary see what its probe sees; else
  // positions repeat, so that no chunk is farther away than another.
  absl::Status RunPass(std::span<const std::shared_ptr<const EncodedChunk>> chunks) {
    const int32_t prefix = input_.prefix ? static_cast<int32_t>(input_.prefix->num_tokens()) : 0;
    const bool is_assembled = options_.pass == AuxiliaryPass::kAssembled;
    int32_t context = 0, last_position = prefix;
    std::vector<ChunkPlace> places;
    if (input_.prefix) places.push_back({input_.prefix.get(), 0, 0});
    for (const auto& chunk : chunks) {
      const int32_t slot = prefix + context, position = is_assembled ? slot : prefix;
      places.push_back({chunk.get(), slot, position});
      context += static_cast<int32_t>(chunk->num_tokens());
      last_position = std::max(last_position, position + static_cast<int32_t>(chunk->num_tokens()));
    }
    Rows rows;
    rows.Append(input_.question_ids, prefix + context, last_position);
    CACHECLIP_ASSIGN_OR_RETURN(std::unique_ptr<InferenceSession> session,
                               InferenceSession::Create(model_, prefix + context + rows.size()));
    CACHECLIP_RETURN_IF_ERROR(session->CheckRows(rows));
    CACHECLIP_RETURN_IF_ERROR(cancellation_.Check());
    CACHECLIP_RETURN_IF_ERROR(session->PlaceLayers(places, 0, band_.end));
    return RunQuestion(*session, rows, prefix, prefix + context);
  }

  absl::Status RunQuestion(InferenceSession& session, const Rows& rows, int32_t begin, int32_t end) {
    ForwardPass pass(model_->tensors(), model_->config(), session.cache(), rows);
    const ForwardHooks hooks{
        .after_store =
            [&](int layer, const Projections& projections) {
              if (!collector_.Counts(layer)) return absl::OkStatus();
              logits_[static_cast<size_t>(layer)].push_back(
                  {AttentionLogits(session.cache(), layer, projections.queries, rows.slots), begin, end});
              return absl::OkStatus();
            },
        .cancellation = cancellation_};
    return pass.RunToProjections(band_.end - 1, hooks);
  }

  // [num_heads, num_rows, all context tokens]: attention mass, over one softmax or one per chunk.
  at::Tensor Normalise(const std::vector<LayerLogits>& passes) const {
    std::vector<at::Tensor> parts;
    if (options_.normalisation == ScoreNormalisation::kPerChunk) {
      for (const LayerLogits& pass : passes)
        for (const at::Tensor& chunk : SplitByChunk(pass.Context(), passes.size() > 1))
          parts.push_back(at::softmax(chunk, -1));
      return at::cat(parts, 2);
    }
    if (passes.size() == 1) return at::softmax(passes[0].all, -1).slice(2, passes[0].begin, passes[0].end);
    // Each pass has its own prefix and question part; the joint softmax counts them once, by their mean.
    std::vector<at::Tensor> rests;
    for (const LayerLogits& pass : passes) {
      parts.push_back(pass.Context());
      rests.push_back(pass.Rest().unsqueeze(2));
    }
    const at::Tensor rest = at::cat(rests, 2).mean(2, /*keepdim=*/true);
    const at::Tensor context = at::cat(parts, 2);
    return at::softmax(at::cat({context, rest}, 2), -1).slice(2, 0, context.size(2));
  }

  std::vector<at::Tensor> SplitByChunk(const at::Tensor& context, bool is_one_chunk) const {
    if (is_one_chunk) return {context};
    std::vector<int64_t> lengths;
    for (const auto& chunk : input_.chunks) lengths.push_back(chunk->num_tokens());
    return context.split_with_sizes(lengths, 2);
  }

  std::shared_ptr<const LanguageModel> model_;
  const AuxiliaryInput& input_;
  const AuxiliaryOptions& options_;
  const LayerBand band_;
  MassCollector collector_;
  const CancellationToken& cancellation_;
  std::vector<std::vector<LayerLogits>> logits_;  // [layer][pass]
};

absl::StatusOr<LayerBand> CheckInput(const LanguageModel& model, const AuxiliaryInput& input,
                                     const AuxiliaryOptions& options) {
  if (input.question_ids.empty())
    return absl::InvalidArgumentError("the question has no tokens to score with");
  return ResolveBand(model, options.from);
}

}  // namespace

AuxiliaryOptions PaperAuxiliaryOptions(const LanguageModel& model) {
  return {.pass = AuxiliaryPass::kPerChunk,
          .normalisation = ScoreNormalisation::kPerChunk,
          .from = {.band = {model.num_layers() - 1, model.num_layers()}, .rows = RowPooling::kMean}};
}

absl::StatusOr<std::vector<float>> ScoreByAuxiliary(std::shared_ptr<const LanguageModel> auxiliary,
                                                    const AuxiliaryInput& input,
                                                    const AuxiliaryOptions& options,
                                                    const CancellationToken& cancellation) {
  if (input.chunks.empty()) return std::vector<float>();
  CACHECLIP_ASSIGN_OR_RETURN(const LayerBand band, CheckInput(*auxiliary, input, options));
  const c10::InferenceMode inference;
  return AuxiliaryScorer(std::move(auxiliary), input, options, band, cancellation).Score();
}

absl::StatusOr<std::vector<HeadScores>> ScoreHeadsByAuxiliary(std::shared_ptr<const LanguageModel> auxiliary,
                                                              const AuxiliaryInput& input,
                                                              const AuxiliaryOptions& options,
                                                              const CancellationToken& cancellation) {
  if (input.chunks.empty()) return std::vector<HeadScores>();
  CACHECLIP_ASSIGN_OR_RETURN(const LayerBand band, CheckInput(*auxiliary, input, options));
  const c10::InferenceMode inference;
  return AuxiliaryScorer(std::move(auxiliary), input, options, band, cancellation).ScoreHeads();
}

}  // namespace cacheclip
