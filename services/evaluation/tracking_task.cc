// RULER's variable tracking: a chain of assignments, its statements in different chunks.
#include "absl/strings/str_cat.h"
#include "services/evaluation/tasks.h"

namespace cacheclip {
namespace {

// RULER has four hops and two chains; small models follow no more than this.
constexpr int kHops = 1;
constexpr int kChains = 1;
constexpr int kVariableLetters = 5;
constexpr int kValueDigits = 5;

std::string MakeVariable(Random& random) {
  std::string name;
  for (int i = 0; i < kVariableLetters; ++i) name.push_back(static_cast<char>('A' + random.Below(26)));
  return name;
}

}  // namespace

EvalSample MakeTrackingSample(std::string_view /*id*/, Random& random, const SampleContext& context) {
  EvalSample sample;
  std::vector<Insert> inserts;
  std::string asked_value;
  for (int chain = 0; chain < kChains; ++chain) {
    std::string assigned = MakeNumber(random, kValueDigits);
    if (chain == 0) asked_value = assigned;
    for (int hop = 0; hop <= kHops; ++hop) {
      const std::string variable = MakeVariable(random);
      // The statements of a chain stand in order.
      const int num_chunks = context.shape.num_chunks();
      const int first = num_chunks * hop / (kHops + 1), end = num_chunks * (hop + 1) / (kHops + 1);
      const std::string statement = absl::StrCat("VAR ", variable, " = ", assigned, ".");
      if (chain == 0) sample.evidence.push_back(statement);
      inserts.push_back(
          {first + (end > first ? random.Below(end - first) : 0), Insert::Place::kInside, statement});
      if (chain == 0) sample.references.push_back(variable);
      assigned = "VAR " + variable;
    }
  }
  int num_sentences = 0;
  sample.chunks = FillChunks(
      context.shape, inserts, [&] { return NoiseSentence(num_sentences++); }, random, context.count_tokens);
  sample.instruction = "Memorize and track the chain(s) of variable assignment hidden in the following text.";
  sample.question =
      absl::StrCat("Find all variables that are assigned the value ", asked_value, " in the text above.");
  sample.answer_prefix =
      absl::StrCat("According to the chain(s) of variable assignment in the text above, ", kHops + 1,
                   " variables are assigned the value ", asked_value, ", they are:");
  sample.max_new_tokens = (kHops + 1) * 10 + 8;
  return sample;
}

}  // namespace cacheclip
