// The tasks that `cacheclip eval` can make up by itself: RULER's needles and variable tracking, and facts
// that need more than one chunk (cut by a seam, governed by a heading in the chunk before, two hops apart). A
// new task is one line of the table in tasks.cc and the function it names. Thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "services/evaluation/haystack.h"
#include "services/evaluation/sample.h"

namespace cacheclip {

struct SampleContext {
  SampleShape shape;
  const TokenCount& count_tokens;
};

struct Task {
  std::string_view id;  // "niah_multikey_1"
  std::string_view summary;
  EvalSample (*make)(std::string_view id, Random& random, const SampleContext& context);
};

std::span<const Task> AllTasks();

// Commas between ids, or "all". INVALID_ARGUMENT naming "tasks" and the ids that exist.
absl::StatusOr<std::vector<const Task*>> ParseTasks(std::string_view list);

// The same sample for the same task, seed, index and shape.
EvalSample MakeSample(const Task& task, uint64_t seed, int index, const SampleContext& context);

// Makers: needle_tasks.cc, tracking_task.cc, cross_chunk_tasks.cc.
EvalSample MakeNeedleSample(std::string_view id, Random& random, const SampleContext& context);
EvalSample MakeTrackingSample(std::string_view id, Random& random, const SampleContext& context);
EvalSample MakeSeamSample(std::string_view id, Random& random, const SampleContext& context);
EvalSample MakeHeadingSample(std::string_view id, Random& random, const SampleContext& context);
EvalSample MakeTwoHopSample(std::string_view id, Random& random, const SampleContext& context);

}  // namespace cacheclip
