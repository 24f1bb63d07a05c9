// What the benchmarks of this folder share: text of any length, documents ingested as one chunk each, and a
// request's time to first token as its client sees it. Functions; they abort the program on an error, since a
// measurement of something that failed says nothing.
#pragma once

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "tests/integration/cluster.h"

namespace cacheclip {

struct MeasuredChunk {
  std::string id;
  int num_tokens = 0;
};

// `num_documents` texts of their own of about `num_words` words, each one chunk of at most `max_tokens`.
std::vector<MeasuredChunk> IngestTexts(Cluster& cluster, const Server& server, int num_documents,
                                       int num_words, int max_tokens);

struct TimedAnswer {
  absl::Duration time_to_first_token;
  GenerateResult result;
};
TimedAnswer Ask(const Server& server, const GenerateRequest& request);

// The value below which `share` of the values lie.
absl::Duration Quantile(std::vector<absl::Duration> values, double share);
inline double Millis(absl::Duration duration) { return absl::ToDoubleMilliseconds(duration); }

// "--name 12" among the arguments.
int Argument(int argc, char** argv, const std::string& name, int otherwise);

}  // namespace cacheclip
