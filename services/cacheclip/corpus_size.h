// Counts what a folder of documents holds, for `cacheclip plan`: the same files that `cacheclip ingest` would
// send, in tokens of the model's own tokenizer, or estimated from their bytes where there is none. A
// function; one thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/text/tokenizer.h"

namespace cacheclip {

inline constexpr int64_t kEstimatedBytesPerToken = 4;  // English text, vocabularies of 32 000 to 150 000

struct CorpusSize {
  int64_t documents = 0, tokens = 0;
  std::vector<std::string> errors;  // files and lines that are no documents; they are not counted
};

// `tokenizer` may be null. NOT_FOUND or INVALID_ARGUMENT as DocumentSet::Open().
absl::StatusOr<CorpusSize> MeasureCorpus(const std::vector<std::string>& paths, const Tokenizer* tokenizer);

}  // namespace cacheclip
