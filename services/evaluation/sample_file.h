// Samples as token ids, one JSON object per line: the same questions for programs that look inside the model
// (tools/training). Fields: task, sample, seed, context, chunk; prefix_ids, chunk_ids (a list per chunk),
// suffix_ids, question_begin, question_end (of suffix_ids); evidence (indices from the first chunk token);
// references, max_new_tokens. One thread.
#pragma once

#include <nlohmann/json.hpp>

#include "services/evaluation/evaluator.h"

namespace cacheclip {

nlohmann::json SampleToJson(const Evaluator& evaluator, const PreparedSample& laid_out);

}  // namespace cacheclip
