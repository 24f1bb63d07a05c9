// Answers samples with full prefill and with reuse, on the parts that serve requests (prompt builder,
// encoder, selector, prefill), and compares: KL(full ‖ method) under teacher forcing of full prefill's greedy
// answer (method.md §7), the method's own greedy answer, and its time by stage. Stores of its own: an
// evaluation neither reads nor evicts what a server keeps. One thread.
//
//   CACHECLIP_ASSIGN_OR_RETURN(auto evaluator, Evaluator::Open(config));
//   CACHECLIP_ASSIGN_OR_RETURN(auto prepared, evaluator->Prepare(sample));
//   CACHECLIP_ASSIGN_OR_RETURN(MethodOutcome outcome, evaluator->Run(*prepared, spec, 0.2));
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/engine/planner.h"
#include "common/engine/prefill.h"
#include "common/engine/prompt_builder.h"
#include "common/engine/selector_engine.h"
#include "common/model/inference_session.h"
#include "services/evaluation/method_spec.h"
#include "services/evaluation/sample.h"
#include "services/runtime/config.h"
#include "services/runtime/service_runtime.h"

namespace cacheclip {

struct MethodOutcome {
  std::string answer;
  double score = 0;           // of the answer, 0 … 1
  double kl = 0;              // nats per token of full prefill's answer
  double top1_agreement = 0;  // share of those tokens that the method would have chosen too
  bool same_answer = false;   // token by token
  double charged_budget = 0;
  int64_t recomputed_tokens = 0;
  std::optional<double> stale_mass_share;  // common/select/divergence.h
  std::optional<double> estimated_kl;      // what a usage record would say
  std::map<std::string, double> seconds;   // by stage
};

// A sample with everything that all methods share.
struct PreparedSample {
  EvalSample sample;
  GenerateRequest request;
  PreparedPrompt prompt;
  std::shared_ptr<const EncodedChunk> prefix;
  std::vector<std::shared_ptr<const EncodedChunk>> chunks;
  std::vector<int32_t> answer_ids;  // full prefill's, end of sequence included
  std::vector<Logits>
      full_logits;  // [answer_ids.size()], each the distribution that the answer's token came from
  std::string answer;
  double score = 0;
  // How sure full prefill is: nats between its token and the next likely one, at the closest of the tokens
  // that say what a right answer contains. None where the answer says nothing of it.
  std::optional<double> margin;
  double full_seconds = 0;  // full prefill to its first token
};

class Evaluator {
 public:
  // `config`: models, dtype and selection settings; the tiers it names are not used.
  static absl::StatusOr<std::unique_ptr<Evaluator>> Open(Config config);
  ~Evaluator();

  // Texts as token ids only: `request` and `prompt` of the result. No model work.
  absl::StatusOr<std::unique_ptr<PreparedSample>> LayOut(const EvalSample& sample);
  // The chunks' KV and full prefill's answer as well.
  absl::StatusOr<std::unique_ptr<PreparedSample>> Prepare(const EvalSample& sample);
  absl::StatusOr<MethodOutcome> Run(const PreparedSample& prepared, const MethodSpec& spec, double budget);

  // What each head would say about the context's tokens: of the auxiliary, and of the primary over the stale
  // cache.
  absl::StatusOr<std::vector<HeadScores>> ScoreAuxiliaryHeads(const PreparedSample& prepared);
  absl::StatusOr<std::vector<HeadScores>> ScorePrimaryHeads(const PreparedSample& prepared);
  // Indices of the context tokens that the sample's evidence covers, but for the first chunk's, which are
  // never chosen.
  std::vector<int32_t> EvidenceTokens(const PreparedSample& prepared) const;
  const ModelConfig& model_config() const { return primary_->runtime().model->config(); }

  int CountTokens(std::string_view text) const;
  MethodSpec default_spec() const;     // what the services do without further settings
  LocalHeads local_heads() const;      // as the services have them
  std::string model_name() const;      // tells int8 KV apart: its lines are another model's
  std::string auxiliary_name() const;  // "" without a selector

 private:
  explicit Evaluator(std::string folder) : folder_(std::move(folder)) {}
  absl::Status AnswerFully(PreparedSample& prepared);
  absl::StatusOr<std::optional<double>> MarginOf(const PreparedSample& prepared) const;
  absl::StatusOr<RecomputePlan> Plan(const PreparedSample& prepared, const MethodSpec& spec, double budget,
                                     MethodOutcome& outcome);
  absl::Status AskSelector(const PreparedSample& prepared, const MethodSpec& spec, RecomputePlan& plan,
                           MethodOutcome& outcome);
  using Chunks = std::vector<std::shared_ptr<const EncodedChunk>>;
  // The sample's chunks encoded behind something else; kept until another sample is asked for.
  absl::StatusOr<Chunks> ChunksBehind(const PreparedSample& prepared, EncodedBehind behind);
  // `*fresh_by_layer` is set where the method chooses in stages.
  absl::StatusOr<PrefillOutput> RunPrefill(const PreparedSample& prepared, const RecomputePlan& plan,
                                           const MethodSpec& spec, std::vector<int64_t>* fresh_by_layer);
  absl::Status Compare(const PreparedSample& prepared, PrefillOutput prefill, MethodOutcome& outcome);
  absl::StatusOr<std::vector<int32_t>> Continue(InferenceSession& session, int32_t slot, int32_t token,
                                                int num_left);
  bool EndsSequence(int32_t token) const;

  const std::string folder_;  // temporary, removed with the object
  std::unique_ptr<ServiceRuntime> runtime_;
  PrefixContexts* primary_ = nullptr;
  std::unique_ptr<ChunkSource> source_;
  std::map<std::string, std::unique_ptr<SelectorEngine>> selectors_;  // by method label
  std::map<EncodedBehind, Chunks> other_chunks_;                      // of the prompt other_chunks_of_
  std::vector<int32_t> other_chunks_of_;
};

}  // namespace cacheclip
