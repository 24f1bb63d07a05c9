#include "services/evaluation/sample_file.h"

namespace cacheclip {

nlohmann::json SampleToJson(const Evaluator& evaluator, const PreparedSample& laid_out) {
  const PromptTokens& tokens = laid_out.prompt.tokens;
  return {{"task", laid_out.sample.task},
          {"sample", laid_out.sample.index},
          {"prefix_ids", tokens.prefix_ids},
          {"chunk_ids", tokens.chunk_ids},
          {"suffix_ids", tokens.suffix_ids},
          {"question_begin", tokens.question_begin},
          {"question_end", tokens.question_end},
          {"evidence", evaluator.EvidenceTokens(laid_out)},
          {"references", laid_out.sample.references},
          {"max_new_tokens", laid_out.sample.max_new_tokens}};
}

}  // namespace cacheclip
