// Questions over passages from a file: MuSiQue, HotpotQA, 2WikiMultihopQA or LongBench, as published. One
// passage is one chunk. The files are read by path and never copied. Pure functions on the file's content.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "services/evaluation/sample.h"

namespace cacheclip {

// A JSON list or JSON lines of {question, answers | answer, ctxs: [{title, text}]} (MuSiQue as retrieval sets
// have it), {question, answer, context: [[title, [sentence, …]], …]} (HotpotQA, 2WikiMultihopQA) or {input,
// answers, context} (LongBench, whose context is cut at "Passage N:" or else by paragraphs). INVALID_ARGUMENT
// naming "qa-file" and the entry that cannot be read.
absl::StatusOr<std::vector<EvalSample>> ReadQaFile(const std::string& path);

}  // namespace cacheclip
