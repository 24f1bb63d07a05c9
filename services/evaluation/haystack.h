// The text around the facts: chunks of running sentences with inserts at chosen places. Deterministic: the
// same seed gives the same text on every machine. Pure functions but for the generator's state.
#pragma once

#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "services/evaluation/sample.h"

namespace cacheclip {

// Uniform draws that do not depend on the standard library's distributions.
class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}
  int Below(int limit) { return static_cast<int>(engine_() % static_cast<uint64_t>(limit)); }
  template <typename T>
  void Shuffle(std::vector<T>& items) {
    for (int i = static_cast<int>(items.size()) - 1; i > 0; --i) std::swap(items[i], items[Below(i + 1)]);
  }

 private:
  std::mt19937_64 engine_;
};

struct Insert {
  enum class Place { kInside, kHead, kTail };
  int chunk_index = 0;
  Place place = Place::kInside;
  std::string text;
};

std::string NoiseSentence(int position);    // RULER's five sentences, again and again
std::string EssaySentence(Random& random);  // about everyday things, hardly ever the same

// `next_sentence` yields the running text. Every chunk holds its inserts and about shape.chunk_tokens tokens.
std::vector<std::string> FillChunks(const SampleShape& shape, const std::vector<Insert>& inserts,
                                    const std::function<std::string()>& next_sentence, Random& random,
                                    const TokenCount& count_tokens);

// Made-up names and values.
std::string MakeNumber(Random& random, int num_digits);
std::string MakeUuid(Random& random);
// "quiet-harbour": two words, `count` different ones.
std::vector<std::string> MakeWordKeys(Random& random, int count);
// Names of people, ships and places, `count` different ones.
std::vector<std::string> MakeNames(Random& random, int count);

}  // namespace cacheclip
