// One question of an evaluation: texts for the chunks, the question behind them, and what a right answer
// contains. Made by a task (tasks.h) or read from a file of questions (qa_file.h); answered by the evaluator
// (evaluator.h). Plain values.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace cacheclip {

enum class AnswerMetric {
  kContains,  // mean over the references of "the answer contains it", letter case ignored (RULER)
  kTokenF1,   // best F1 of words over the references (SQuAD), for questions about documents
};

struct EvalSample {
  std::string task;
  int index = 0;
  std::string instruction;          // system prompt: the shared prefix of the task's chunks
  std::vector<std::string> chunks;  // in order
  std::string question;
  std::string answer_prefix;  // how the assistant's turn begins; empty: it begins with the answer
  std::vector<std::string> references;
  std::vector<std::string>
      evidence;  // pieces of the chunks that the answer rests on; none for questions from files
  AnswerMetric metric = AnswerMetric::kContains;
  int max_new_tokens = 32;
};

struct SampleShape {
  int context_tokens = 3000;  // of all chunks, about
  int chunk_tokens = 512;     // of one, about
  int num_chunks() const { return context_tokens / chunk_tokens > 2 ? context_tokens / chunk_tokens : 2; }
};

// Tokens of a text as the primary model counts them.
using TokenCount = std::function<int(std::string_view)>;

// 0 … 1.
double ScoreAnswer(const EvalSample& sample, std::string_view answer);

// Which tokens of an answer are part of a reference where that stands first, letter case ignored.
// `token_ends`: where in `answer` each token's text ends.
std::vector<bool> TokensOfReferences(const EvalSample& sample, std::string_view answer,
                                     const std::vector<size_t>& token_ends);

}  // namespace cacheclip
