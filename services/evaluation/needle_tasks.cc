// RULER's needles in a haystack (Hsieh et al. 2024): numbers or identifiers under made-up keys, asked for by
// key.
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/logging.h"
#include "common/base/string_view.h"
#include "services/evaluation/tasks.h"

namespace cacheclip {
namespace {

enum class Haystack { kNoise, kEssay, kNeedles };

struct NeedleTask {
  std::string_view id;
  Haystack haystack;
  bool keys_are_uuids, values_are_uuids;
  int num_keys, values_per_key, num_asked;
};

constexpr NeedleTask kNeedleTasks[] = {
    {"niah_single_1", Haystack::kNoise, false, false, 1, 1, 1},
    {"niah_single_2", Haystack::kEssay, false, false, 1, 1, 1},
    {"niah_single_3", Haystack::kEssay, false, true, 1, 1, 1},
    {"niah_multikey_1", Haystack::kEssay, false, false, 4, 1, 1},
    {"niah_multikey_2", Haystack::kNeedles, false, false, 1, 1, 1},
    {"niah_multikey_3", Haystack::kNeedles, true, true, 1, 1, 1},
    {"niah_multivalue", Haystack::kEssay, false, false, 1, 2, 1},
    {"niah_multiquery", Haystack::kEssay, false, false, 2, 1, 2},
};
constexpr int kMaxHaystackKeys = 1500;  // enough for 32K tokens of needles
constexpr int kNumberDigits = 7;

const NeedleTask& Find(std::string_view id) {
  for (const NeedleTask& task : kNeedleTasks)
    if (task.id == id) return task;
  CACHECLIP_CHECK(false) << "no needle task " << std::string(id);
  return kNeedleTasks[0];
}

class Needles {
 public:
  Needles(const NeedleTask& task, Random& random) : task_(task), random_(random) {
    const int count = task.haystack == Haystack::kNeedles ? kMaxHaystackKeys : task.num_keys;
    if (task.keys_are_uuids)
      for (int i = 0; i < count; ++i) keys_.push_back(MakeUuid(random));
    else
      keys_ = MakeWordKeys(random, count);
  }

  std::string NextKey() { return keys_[next_++ % keys_.size()]; }
  std::string MakeValue() {
    return task_.values_are_uuids ? MakeUuid(random_) : MakeNumber(random_, kNumberDigits);
  }
  std::string Type() const { return task_.values_are_uuids ? "uuid" : "number"; }
  std::string Sentence(const std::string& key, const std::string& value) const {
    return absl::StrCat("One of the special magic ", Type(), "s for ", key, " is: ", value, ".");
  }
  std::string HaystackSentence() {
    switch (task_.haystack) {
      case Haystack::kNoise:
        return NoiseSentence(num_sentences_++);
      case Haystack::kEssay:
        return EssaySentence(random_);
      case Haystack::kNeedles:
        break;
    }
    const std::string key = NextKey();
    return Sentence(key, MakeValue());
  }

 private:
  const NeedleTask& task_;
  Random& random_;
  std::vector<std::string> keys_;
  size_t next_ = 0;
  int num_sentences_ = 0;
};

}  // namespace

EvalSample MakeNeedleSample(std::string_view id, Random& random, const SampleContext& context) {
  const NeedleTask& task = Find(id);
  Needles needles(task, random);
  EvalSample sample;
  std::vector<Insert> inserts;
  std::vector<std::string> asked;
  for (int i = 0; i < task.num_keys; ++i) {
    const std::string key = needles.NextKey();
    if (i < task.num_asked) asked.push_back(key);
    for (int j = 0; j < task.values_per_key; ++j) {
      const std::string value = needles.MakeValue();
      if (i < task.num_asked) sample.references.push_back(value);
      if (i < task.num_asked) sample.evidence.push_back(needles.Sentence(key, value));
      inserts.push_back(
          {random.Below(context.shape.num_chunks()), Insert::Place::kInside, needles.Sentence(key, value)});
    }
  }
  random.Shuffle(inserts);
  const auto next_sentence = [&] { return needles.HaystackSentence(); };
  sample.chunks = FillChunks(context.shape, inserts, next_sentence, random, context.count_tokens);

  // RULER's wording; one or many changes number.
  const bool is_one = sample.references.size() == 1;
  const std::string type = needles.Type(), things = is_one ? type : type + "s";
  const std::string keys = absl::StrJoin(asked, ", "), verb = is_one ? " is" : " are";
  sample.instruction =
      absl::StrCat(is_one ? "A special magic " : "Some special magic ", things, is_one ? " is" : " are",
                   " hidden within the following text. Make sure to memorize it. I will quiz you about the ",
                   things, " afterwards.");
  sample.question = absl::StrCat("What", verb, is_one ? " the special magic " : " all the special magic ",
                                 things, " for ", keys, " mentioned in the provided text?");
  sample.answer_prefix =
      absl::StrCat("The special magic ", things, " for ", keys, " mentioned in the provided text", verb);
  sample.max_new_tokens = static_cast<int>(sample.references.size()) * (task.values_are_uuids ? 44 : 14) + 8;
  return sample;
}

}  // namespace cacheclip
