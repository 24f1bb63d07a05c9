#include "common/engine/selector_engine.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/engine/auxiliary_chunks.h"
#include "common/engine/generate_request.h"
#include "common/select/divergence.h"
#include "common/text/token_alignment.h"

namespace cacheclip {
namespace {

absl::Status CheckRequest(const SelectRequest& request) {
  if (request.method != Method::kAuxiliary && request.method != Method::kAuxiliaryPaper)
    return InvalidField("method", absl::StrCat("a selector knows auxiliary and auxiliary_paper, not ",
                                               std::string(MethodId(request.method))));
  if (request.chunks.empty()) return InvalidField("chunks", "must not be empty");
  if (request.chunks.size() > static_cast<size_t>(kMaxChunksPerRequest))
    return FieldError(
        absl::StatusCode::kResourceExhausted, "chunks",
        absl::StrCat(request.chunks.size(), " chunks, at most ", kMaxChunksPerRequest, " are allowed"));
  if (request.question.empty()) return InvalidField("question", "must not be empty");
  return CheckUtf8("question", request.question);
}

ContextMap PrimaryMap(std::span<const AuxiliaryChunk> chunks) {
  ContextMap map;
  for (const AuxiliaryChunk& chunk : chunks)
    map.chunk_lengths.push_back(static_cast<int32_t>(chunk.primary_spans.size()));
  return map;
}

// Scores of the auxiliary's tokens, chunk by chunk, carried over to the primary's.
std::vector<float> ToPrimary(std::span<const AuxiliaryChunk> chunks, std::span<const float> scores) {
  std::vector<float> result;
  for (const AuxiliaryChunk& chunk : chunks) {
    const auto own = scores.first(chunk.resolved.encoding.ids.size());
    scores = scores.subspan(own.size());
    const std::vector<float> moved = TransferScores(chunk.resolved.encoding.spans, own, chunk.primary_spans);
    result.insert(result.end(), moved.begin(), moved.end());
  }
  return result;
}

}  // namespace

SelectorEngine::SelectorEngine(PrefixContexts* primary, PrefixContexts* auxiliary,
                               SelectorEngineOptions options)
    : primary_(primary), auxiliary_(auxiliary), options_(std::move(options)) {}

absl::StatusOr<SelectorEngine::Loaded> SelectorEngine::Load(const SelectRequest& request,
                                                            const CancellationToken& cancellation) {
  CACHECLIP_RETURN_IF_ERROR(CheckRequest(request));
  AuxiliaryChunks source(primary_, auxiliary_);
  Loaded loaded;
  CACHECLIP_ASSIGN_OR_RETURN(
      auto prefix, source.UsePrefix(request.namespace_name, request.prefix_id, request.primary_fingerprint));
  CACHECLIP_ASSIGN_OR_RETURN(loaded.chunks, source.Resolve(request));
  CACHECLIP_ASSIGN_OR_RETURN(loaded.input.question_ids, QuestionIds(request.question));
  CACHECLIP_ASSIGN_OR_RETURN(const StoreHit prefix_kv,
                             prefix->PrefixChunk(TaskPriority::kInteractive, cancellation.deadline()));
  loaded.input.prefix = prefix_kv.chunk;
  for (const AuxiliaryChunk& chunk : loaded.chunks) {
    CACHECLIP_ASSIGN_OR_RETURN(auto kv, source.Load(chunk, TaskPriority::kInteractive, cancellation));
    loaded.input.chunks.push_back(std::move(kv));
  }
  return loaded;
}

absl::StatusOr<SelectResult> SelectorEngine::Select(const SelectRequest& request,
                                                    const CancellationToken& cancellation) {
  const Clock& clock = *auxiliary_->runtime().clock;
  const absl::Time begin = clock.Now();
  CACHECLIP_ASSIGN_OR_RETURN(const Loaded loaded, Load(request, cancellation));
  const absl::Time loaded_time = clock.Now();

  CACHECLIP_ASSIGN_OR_RETURN(std::vector<float> scores, Score(loaded.input, request.method, cancellation));
  if (!is_truncated_primary()) scores = ToPrimary(loaded.chunks, scores);
  const ContextMap map = PrimaryMap(loaded.chunks);
  const SelectionOptions selection = SelectionFor(request);
  CACHECLIP_ASSIGN_OR_RETURN(
      RecomputeSet set, cacheclip::Select(map, scores, selection, SegmentBegins(loaded.chunks, selection)));
  const double stale_mass_share = StaleMassShare(map, scores, set.indices, request.first_chunk_selectable);
  return SelectResult{.indices = std::move(set.indices),
                      .num_context_tokens = set.num_context_tokens,
                      .stale_mass_share = stale_mass_share,
                      .auxiliary_name = auxiliary_->runtime().model->name(),
                      .load_duration = loaded_time - begin,
                      .score_duration = clock.Now() - loaded_time};
}

absl::StatusOr<std::vector<HeadScores>> SelectorEngine::ScoreHeads(const SelectRequest& request,
                                                                   const CancellationToken& cancellation) {
  CACHECLIP_ASSIGN_OR_RETURN(const Loaded loaded, Load(request, cancellation));
  const Runtime& runtime = auxiliary_->runtime();
  AuxiliaryOptions options = options_.auxiliary;
  options.from.band = {0, runtime.model->num_layers()};
  absl::StatusOr<std::vector<HeadScores>> heads = absl::InternalError("not run");
  runtime.executor->Run(TaskPriority::kInteractive, [&] {
    heads = ScoreHeadsByAuxiliary(runtime.model, loaded.input, options, cancellation);
  });
  if (!heads.ok() || is_truncated_primary()) return heads;
  for (HeadScores& head : *heads) head.scores = ToPrimary(loaded.chunks, head.scores);
  return heads;
}

std::vector<int32_t> SelectorEngine::SegmentBegins(std::span<const AuxiliaryChunk> chunks,
                                                   const SelectionOptions& selection) const {
  if (!NeedsSegments(selection.grouping)) return {};
  std::vector<std::vector<int32_t>> ids;
  for (const AuxiliaryChunk& chunk : chunks) ids.push_back(chunk.primary_ids);
  return primary_->runtime().sentences->Begins(ids);
}

absl::StatusOr<std::vector<int32_t>> SelectorEngine::QuestionIds(const std::string& question) const {
  CACHECLIP_ASSIGN_OR_RETURN(
      Encoding encoding, auxiliary_->runtime().tokenizer->Encode(question, Tokenizer::SpecialTokens::kAsText,
                                                                 Tokenizer::TextStart::kContinuation));
  if (encoding.ids.empty()) return InvalidField("question", "has no tokens");
  return std::move(encoding.ids);
}

absl::StatusOr<std::vector<float>> SelectorEngine::Score(const AuxiliaryInput& input, Method method,
                                                         const CancellationToken& cancellation) const {
  CACHECLIP_RETURN_IF_ERROR(cancellation.Check());
  const Runtime& runtime = auxiliary_->runtime();
  const AuxiliaryOptions options =
      method == Method::kAuxiliaryPaper ? PaperAuxiliaryOptions(*runtime.model) : options_.auxiliary;
  absl::StatusOr<std::vector<float>> scores = absl::InternalError("not run");
  runtime.executor->Run(TaskPriority::kInteractive,
                        [&] { scores = ScoreByAuxiliary(runtime.model, input, options, cancellation); });
  return scores;
}

SelectionOptions SelectorEngine::SelectionFor(const SelectRequest& request) const {
  SelectionOptions selection = options_.selection;
  selection.budget = request.budget;
  selection.coverage = request.coverage;
  selection.first_chunk_selectable = request.first_chunk_selectable;
  if (request.method == Method::kAuxiliaryPaper) {  // the paper knows no seams
    selection.grouping = Grouping::kPaperWindows;
    selection.seam_tokens = 0;
  }
  return selection;
}

absl::StatusOr<int> SelectorEngine::Prepare(std::string_view namespace_name, std::string_view prefix_id,
                                            std::span<const SelectChunk> chunks,
                                            const CancellationToken& cancellation) {
  if (is_truncated_primary()) return 0;
  CACHECLIP_ASSIGN_OR_RETURN(const Prefix record,
                             primary_->runtime().catalog->GetPrefix(namespace_name, prefix_id));
  const SelectRequest request{.namespace_name = std::string(namespace_name),
                              .prefix_id = record.prefix_id,
                              .primary_fingerprint = record.model_fingerprint,
                              .chunks = {chunks.begin(), chunks.end()}};
  AuxiliaryChunks source(primary_, auxiliary_);
  CACHECLIP_ASSIGN_OR_RETURN(
      auto prefix, source.UsePrefix(request.namespace_name, request.prefix_id, request.primary_fingerprint));
  CACHECLIP_RETURN_IF_ERROR(prefix->PrefixChunk(TaskPriority::kBackground).status());
  CACHECLIP_ASSIGN_OR_RETURN(const std::vector<AuxiliaryChunk> resolved, source.Resolve(request));
  int num_encoded = 0;
  for (const AuxiliaryChunk& chunk : resolved) {
    ChunkStore& store = *auxiliary_->runtime().store;
    CACHECLIP_ASSIGN_OR_RETURN(const bool is_kept, store.EnsureKept(chunk.resolved.key, namespace_name));
    if (is_kept) continue;
    CACHECLIP_ASSIGN_OR_RETURN(
        auto kv,
        chunk.resolved.context->Encode(chunk.resolved.encoding, TaskPriority::kBackground, cancellation));
    CACHECLIP_RETURN_IF_ERROR(store.PutInGroup(std::move(kv), namespace_name));
    ++num_encoded;
  }
  return num_encoded;
}

}  // namespace cacheclip
