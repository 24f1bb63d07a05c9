#include "services/evaluation/qa_file.h"

#include <fstream>
#include <sstream>
#include <utility>

#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/status.h"

namespace cacheclip {
namespace {

using nlohmann::json;

constexpr char kInstruction[] =
    "Answer the question with a short phrase taken from the passages. Give only the answer, no other words.";
constexpr int kMaxAnswerTokens = 32;

std::string TitledText(const std::string& title, const std::string& text) {
  return title.empty() ? text : absl::StrCat(title, "\n", text);
}

void AddPassage(EvalSample& sample, std::string text) {
  absl::StripAsciiWhitespace(&text);
  if (!text.empty()) sample.chunks.push_back(std::move(text));
}

void AddPassages(EvalSample& sample, const json& entry) {
  if (entry.contains("ctxs")) {
    for (const json& passage : entry["ctxs"])
      AddPassage(sample, TitledText(passage.value("title", ""), passage.value("text", "")));
    return;
  }
  const json& context = entry.at("context");
  if (context.is_string()) {
    const std::string text = context;
    const char* const separator = text.find("Passage 2:") != std::string::npos ? "Passage " : "\n\n";
    for (const auto part : absl::StrSplit(text, separator, absl::SkipWhitespace()))
      AddPassage(sample, std::string(part));
    return;
  }
  for (const json& passage : context) {
    std::string text;
    for (const json& sentence : passage.at(1)) absl::StrAppend(&text, sentence.get<std::string>());
    AddPassage(sample, TitledText(passage.at(0), text));
  }
}

EvalSample ReadEntry(const json& entry) {
  EvalSample sample{.task = "qa",
                    .instruction = kInstruction,
                    .metric = AnswerMetric::kTokenF1,
                    .max_new_tokens = kMaxAnswerTokens};
  sample.question = entry.contains("question") ? entry["question"] : entry.at("input");
  if (entry.contains("answers"))
    sample.references = entry["answers"].get<std::vector<std::string>>();
  else
    sample.references = {entry.at("answer").get<std::string>()};
  AddPassages(sample, entry);
  return sample;
}

// A list, or one value per line.
absl::StatusOr<std::vector<json>> ReadEntries(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return InvalidField("qa-file", absl::StrCat("cannot read ", path));
  std::stringstream content;
  content << file.rdbuf();
  const json whole = json::parse(content.str(), nullptr, /*allow_exceptions=*/false);
  if (whole.is_array()) return whole.get<std::vector<json>>();
  std::vector<json> entries;
  for (const auto line : absl::StrSplit(content.str(), '\n', absl::SkipWhitespace()))
    entries.push_back(json::parse(line.begin(), line.end(), nullptr, /*allow_exceptions=*/false));
  return entries;
}

}  // namespace

absl::StatusOr<std::vector<EvalSample>> ReadQaFile(const std::string& path) {
  CACHECLIP_ASSIGN_OR_RETURN(const std::vector<json> entries, ReadEntries(path));
  std::vector<EvalSample> samples;
  for (size_t i = 0; i < entries.size(); ++i) {
    try {
      samples.push_back(ReadEntry(entries[i]));
    } catch (const json::exception& error) {
      return InvalidField("qa-file", absl::StrCat(path, ", entry ", i, ": ", error.what()));
    }
    samples.back().index = static_cast<int>(i);
    if (samples.back().chunks.empty())
      return InvalidField("qa-file", absl::StrCat(path, ", entry ", i, ": has no passages"));
  }
  if (samples.empty()) return InvalidField("qa-file", absl::StrCat(path, " holds no questions"));
  return samples;
}

}  // namespace cacheclip
