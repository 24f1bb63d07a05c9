#include "services/evaluation/sample.h"

#include <algorithm>
#include <map>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "common/base/string_view.h"

namespace cacheclip {
namespace {

// SQuAD's normalisation: lower case, no punctuation, no articles.
std::vector<std::string> Words(std::string_view text) {
  std::string clean;
  for (const char c : text)
    if (!absl::ascii_ispunct(static_cast<unsigned char>(c)))
      clean.push_back(absl::ascii_tolower(static_cast<unsigned char>(c)));
  std::vector<std::string> words;
  for (std::string& word :
       std::vector<std::string>(absl::StrSplit(clean, absl::ByAnyChar(" \t\r\n"), absl::SkipEmpty())))
    if (word != "a" && word != "an" && word != "the") words.push_back(std::move(word));
  return words;
}

double TokenF1(std::string_view answer, std::string_view reference) {
  const std::vector<std::string> given = Words(answer), wanted = Words(reference);
  if (given.empty() || wanted.empty()) return given.empty() && wanted.empty() ? 1 : 0;
  std::map<std::string, int> left;
  for (const std::string& word : wanted) ++left[word];
  double common = 0;
  for (const std::string& word : given)
    if (left[word]-- > 0) ++common;
  if (common == 0) return 0;
  const double precision = common / static_cast<double>(given.size());
  const double recall = common / static_cast<double>(wanted.size());
  return 2 * precision * recall / (precision + recall);
}

}  // namespace

double ScoreAnswer(const EvalSample& sample, std::string_view answer) {
  if (sample.references.empty()) return 0;
  const std::string lowered = absl::AsciiStrToLower(AbslView(answer));
  double sum = 0, best = 0;
  for (const std::string& reference : sample.references) {
    if (absl::StrContains(lowered, absl::AsciiStrToLower(reference))) ++sum;
    if (sample.metric == AnswerMetric::kTokenF1) best = std::max(best, TokenF1(answer, reference));
  }
  return sample.metric == AnswerMetric::kTokenF1 ? best : sum / static_cast<double>(sample.references.size());
}

std::vector<bool> TokensOfReferences(const EvalSample& sample, std::string_view answer,
                                     const std::vector<size_t>& token_ends) {
  const std::string lowered = absl::AsciiStrToLower(AbslView(answer));
  std::vector<bool> found(token_ends.size(), false);
  for (const std::string& reference : sample.references) {
    const size_t begin = lowered.find(absl::AsciiStrToLower(reference));
    if (begin == std::string::npos) continue;
    for (size_t i = 0; i < token_ends.size(); ++i) {
      const size_t token_begin = i == 0 ? 0 : token_ends[i - 1];
      if (token_begin < begin + reference.size() && token_ends[i] > begin) found[i] = true;
    }
  }
  return found;
}

}  // namespace cacheclip
