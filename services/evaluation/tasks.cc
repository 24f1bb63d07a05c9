#include "services/evaluation/tasks.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/base/hash.h"
#include "common/base/status.h"
#include "common/base/string_view.h"

namespace cacheclip {
namespace {

constexpr Task kTasks[] = {
    {"niah_single_1", "one number in noise", MakeNeedleSample},
    {"niah_single_2", "one number in an essay", MakeNeedleSample},
    {"niah_single_3", "one identifier of 36 characters in an essay", MakeNeedleSample},
    {"niah_multikey_1", "one of four numbers in an essay", MakeNeedleSample},
    {"niah_multikey_2", "one number among needles alone", MakeNeedleSample},
    {"niah_multikey_3", "one identifier among identifiers alone", MakeNeedleSample},
    {"niah_multivalue", "four numbers of one key", MakeNeedleSample},
    {"niah_multiquery", "the numbers of four keys", MakeNeedleSample},
    {"vt", "all variables of a chain of assignments", MakeTrackingSample},
    {"seam", "a fact whose sentence is cut by the end of a chunk", MakeSeamSample},
    {"heading", "a text whose heading ends the chunk before", MakeHeadingSample},
    {"two_hop", "a fact about somebody named in another chunk", MakeTwoHopSample},
};

}  // namespace

std::span<const Task> AllTasks() { return kTasks; }

absl::StatusOr<std::vector<const Task*>> ParseTasks(std::string_view list) {
  std::vector<const Task*> tasks;
  for (const absl::string_view id : absl::StrSplit(AbslView(list), ',', absl::SkipEmpty())) {
    const size_t before = tasks.size();
    for (const Task& task : kTasks)
      if (id == "all" || task.id == StdView(id)) tasks.push_back(&task);
    if (tasks.size() > before) continue;
    return InvalidField("tasks",
                        absl::StrCat("\"", id, "\" is unknown; known are all, ",
                                     absl::StrJoin(kTasks, ", ", [](std::string* out, const Task& task) {
                                       out->append(task.id);
                                     })));
  }
  return tasks;
}

EvalSample MakeSample(const Task& task, uint64_t seed, int index, const SampleContext& context) {
  const std::string name = absl::StrCat(AbslView(task.id), "/", seed, "/", index);
  Random random(Checksum64(name.data(), name.size()));
  EvalSample sample = task.make(task.id, random, context);
  sample.task = task.id;
  sample.index = index;
  return sample;
}

}  // namespace cacheclip
