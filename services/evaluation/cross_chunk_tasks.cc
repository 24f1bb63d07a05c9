// Facts that one chunk alone does not tell: the hard cases of reuse.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "services/evaluation/tasks.h"

namespace cacheclip {
namespace {

constexpr int kMaxFacts = 2;  // the asked one and its rivals
constexpr char kInstruction[] = "You answer questions about the following text.";
constexpr char kNeedleInstruction[] =
    "A special magic number is hidden within the following text. Make sure to memorize it. "
    "I will quiz you about the number afterwards.";

// `count` different seams: the chunk before each.
std::vector<int> PickSeams(Random& random, int num_chunks, int count) {
  std::vector<int> seams;
  for (int i = 0; i + 1 < num_chunks; ++i) seams.push_back(i);
  random.Shuffle(seams);
  seams.resize(static_cast<size_t>(std::min<int>(count, static_cast<int>(seams.size()))));
  return seams;
}

std::vector<std::string> Fill(const std::vector<Insert>& inserts, Random& random,
                              const SampleContext& context) {
  return FillChunks(
      context.shape, inserts, [&] { return EssaySentence(random); }, random, context.count_tokens);
}

// The last two inserts are what the answer rests on.
void AskFor(const std::string& reference, const std::vector<Insert>& inserts, EvalSample& sample) {
  sample.references.push_back(reference);
  for (auto insert = inserts.end() - 2; insert != inserts.end(); ++insert)
    sample.evidence.push_back(insert->text);
}

}  // namespace

// A needle in RULER's words, cut before its number.
EvalSample MakeSeamSample(std::string_view /*id*/, Random& random, const SampleContext& context) {
  EvalSample sample{.instruction = kNeedleInstruction, .max_new_tokens = 16};
  std::vector<Insert> inserts;
  const std::vector<int> seams = PickSeams(random, context.shape.num_chunks(), kMaxFacts);
  const std::vector<std::string> keys = MakeWordKeys(random, static_cast<int>(seams.size()));
  for (size_t i = 0; i < seams.size(); ++i) {
    const std::string number = MakeNumber(random, 7);
    inserts.push_back(
        {seams[i], Insert::Place::kTail, absl::StrCat("One of the special magic numbers for ", keys[i])});
    inserts.push_back({seams[i] + 1, Insert::Place::kHead, absl::StrCat("is: ", number, ".")});
    if (i == 0) AskFor(number, inserts, sample);
  }
  sample.chunks = Fill(inserts, random, context);
  sample.question =
      absl::StrCat("What is the special magic number for ", keys[0], " mentioned in the provided text?");
  sample.answer_prefix =
      absl::StrCat("The special magic number for ", keys[0], " mentioned in the provided text is");
  return sample;
}

EvalSample MakeHeadingSample(std::string_view /*id*/, Random& random, const SampleContext& context) {
  EvalSample sample{.instruction = kInstruction, .max_new_tokens = 16};
  std::vector<Insert> inserts;
  const std::vector<int> seams = PickSeams(random, context.shape.num_chunks(), kMaxFacts);
  const std::vector<std::string> names = MakeWordKeys(random, static_cast<int>(seams.size()));
  for (size_t i = 0; i < seams.size(); ++i) {
    const std::string year = MakeNumber(random, 4);
    inserts.push_back(
        {seams[i], Insert::Place::kTail, absl::StrCat("\n\n## The ", names[i], " lighthouse\n")});
    inserts.push_back(
        {seams[i] + 1, Insert::Place::kHead,
         absl::StrCat("It was completed in the year ", year, " and has been white ever since.")});
    if (i == 0) AskFor(year, inserts, sample);
  }
  sample.chunks = Fill(inserts, random, context);
  sample.question = absl::StrCat("In which year was the ", names[0], " lighthouse completed?");
  sample.answer_prefix = absl::StrCat("The ", names[0], " lighthouse was completed in the year");
  return sample;
}

EvalSample MakeTwoHopSample(std::string_view /*id*/, Random& random, const SampleContext& context) {
  constexpr int kNumFacts = 2;
  EvalSample sample{.instruction = kInstruction, .max_new_tokens = 32};
  std::vector<Insert> inserts;
  const std::vector<std::string> names = MakeNames(random, 3 * kNumFacts);
  const int num_chunks = context.shape.num_chunks();
  for (int i = 0; i < kNumFacts; ++i) {
    const std::string &ship = names[3 * i], &captain = names[3 * i + 1], &town = names[3 * i + 2];
    const int first = random.Below(num_chunks);
    const int second = (first + 1 + random.Below(num_chunks - 1)) % num_chunks;  // another chunk
    inserts.push_back({first, Insert::Place::kInside,
                       absl::StrCat("The captain of the ship ", ship, " is ", captain, ".")});
    inserts.push_back(
        {second, Insert::Place::kInside, absl::StrCat(captain, " was born in the town of ", town, ".")});
    if (i == 0) AskFor(town, inserts, sample);
  }
  sample.chunks = Fill(inserts, random, context);
  sample.question =
      absl::StrCat("Who is the captain of the ship ", names[0], ", and in which town was the captain born?");
  sample.answer_prefix = absl::StrCat("The captain of the ship ", names[0], " is");
  return sample;
}

}  // namespace cacheclip
