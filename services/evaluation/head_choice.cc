#include "services/evaluation/head_choice.h"

#include <algorithm>
#include <numeric>

#include "common/base/status.h"

namespace cacheclip {
namespace {

constexpr int kMaxCandidates = 32;  // heads that are worth looking at, by what they find alone
constexpr double kMinGain = 0.002;  // of recall, for one more head

using Scores = std::vector<std::vector<float>>;  // [observation][context token]

// Mean share of the evidence among what `scores` select.
absl::StatusOr<double> Recall(std::span<const HeadObservation> observations, const Scores& scores,
                              const SelectionOptions& selection) {
  double recall = 0;
  for (size_t i = 0; i < observations.size(); ++i) {
    const HeadObservation& observation = observations[i];
    CACHECLIP_ASSIGN_OR_RETURN(const RecomputeSet set, Select(observation.map, scores[i], selection));
    const auto found = std::ranges::count_if(
        observation.evidence, [&](int32_t index) { return std::ranges::binary_search(set.indices, index); });
    recall += static_cast<double>(found) / static_cast<double>(observation.evidence.size());
  }
  return recall / static_cast<double>(observations.size());
}

void Add(std::span<const HeadObservation> observations, size_t head, Scores& scores) {
  for (size_t i = 0; i < observations.size(); ++i)
    for (size_t token = 0; token < scores[i].size(); ++token)
      scores[i][token] += observations[i].heads[head].scores[token];
}

Scores Zeros(std::span<const HeadObservation> observations) {
  Scores scores;
  for (const HeadObservation& observation : observations)
    scores.emplace_back(static_cast<size_t>(observation.map.num_tokens()), 0.0f);
  return scores;
}

struct Candidate {
  size_t head;
  double recall;
};

// Of `heads`, with `scores` of those already chosen, by what each would make of them; best first.
absl::StatusOr<std::vector<Candidate>> Rank(std::span<const HeadObservation> observations,
                                            std::span<const size_t> heads, const Scores& scores,
                                            const SelectionOptions& selection) {
  std::vector<Candidate> ranked;
  for (const size_t head : heads) {
    Scores with = scores;
    Add(observations, head, with);
    CACHECLIP_ASSIGN_OR_RETURN(const double recall, Recall(observations, with, selection));
    ranked.push_back({head, recall});
  }
  std::ranges::stable_sort(ranked, std::ranges::greater(), &Candidate::recall);
  return ranked;
}

}  // namespace

absl::StatusOr<HeadChoice> ChooseHeads(std::span<const HeadObservation> observations,
                                       const SelectionOptions& selection) {
  if (observations.empty()) return absl::InvalidArgumentError("there are no samples with evidence");
  Scores scores = Zeros(observations);
  std::vector<size_t> open(observations.front().heads.size());
  std::iota(open.begin(), open.end(), size_t{0});
  HeadChoice choice;
  while (static_cast<int>(choice.heads.size()) < kMaxChosenHeads && !open.empty()) {
    CACHECLIP_ASSIGN_OR_RETURN(std::vector<Candidate> ranked, Rank(observations, open, scores, selection));
    if (!choice.heads.empty() && ranked.front().recall < choice.recall + kMinGain) break;
    const Candidate best = ranked.front();
    choice.recall = best.recall;
    choice.heads.push_back(observations.front().heads[best.head].id);
    Add(observations, best.head, scores);
    // After the first round only the heads that find something alone stay in play.
    ranked.resize(std::min<size_t>(ranked.size(), kMaxCandidates));
    open.clear();
    for (const Candidate& candidate : ranked)
      if (candidate.head != best.head) open.push_back(candidate.head);
  }
  return choice;
}

absl::StatusOr<double> RecallOf(std::span<const HeadObservation> observations, std::span<const HeadId> heads,
                                const SelectionOptions& selection) {
  if (observations.empty()) return absl::InvalidArgumentError("there are no samples with evidence");
  Scores scores = Zeros(observations);
  for (size_t head = 0; head < observations.front().heads.size(); ++head)
    if (std::ranges::find(heads, observations.front().heads[head].id) != heads.end())
      Add(observations, head, scores);
  return Recall(observations, scores, selection);
}

}  // namespace cacheclip
