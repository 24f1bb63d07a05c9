// A sample of a task made up with a counter that takes words for tokens.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_split.h"
#include "common/base/string_view.h"
#include "services/evaluation/tasks.h"

namespace cacheclip {

inline int CountWords(std::string_view text) {
  const std::vector<std::string> words = absl::StrSplit(AbslView(text), ' ', absl::SkipEmpty());
  return static_cast<int>(words.size());
}

inline EvalSample MakeTestSample(const std::string& task, int index = 0, uint64_t seed = 1,
                                 SampleShape shape = {.context_tokens = 600, .chunk_tokens = 100}) {
  const TokenCount counter = CountWords;
  return MakeSample(*ParseTasks(task).value().front(), seed, index, {shape, counter});
}

// In how many chunks `text` stands whole.
inline int ChunksThatHold(const EvalSample& sample, const std::string& text) {
  int count = 0;
  for (const std::string& chunk : sample.chunks) count += chunk.find(text) != std::string::npos ? 1 : 0;
  return count;
}

}  // namespace cacheclip
