// Greedy choice of token groups under a token budget: again and again the group that is worth most, until the
// budget is spent; the last group is cut to its best contiguous part. The engine room of Select(); groups may
// overlap (sliding windows) or not (segments). One use per object: Choose() … then chosen(). Not thread-safe;
// owns its state, reads `scores` of the caller.
#pragma once

#include <cstdint>
#include <limits>
#include <queue>
#include <span>
#include <vector>

#include "common/select/context_map.h"

namespace cacheclip {

enum class GroupValue {
  kSum,   // of the tokens it would add
  kMean,  // of all its tokens: a group that is chosen in part is completed before others of less value
};

class GreedyGroups {
 public:
  // `scores`: [num_tokens], must outlive the object; `budget_tokens` tokens may be chosen in all.
  GreedyGroups(std::span<const float> scores, int32_t budget_tokens);

  // Takes the run as it is (the budget must have room for it).
  void Take(IndexRange run);

  // Chooses among `groups`: begins ascending, ends ascending, non-empty. Stops when the budget, but for
  // `reserve` tokens, or the groups are used up, or what is chosen adds up to `enough`.
  void Choose(std::vector<IndexRange> groups, GroupValue group_value,
              double enough = std::numeric_limits<double>::infinity(), int32_t reserve = 0);

  std::vector<int32_t> ChosenIndices() const;  // sorted

 private:
  struct Candidate {
    double value;
    int32_t group;
    bool operator<(const Candidate& other) const {  // the queue's top: highest value, then lowest group
      return value != other.value ? value < other.value : group > other.group;
    }
  };

  std::vector<int32_t> Unchosen(IndexRange run) const;
  void Evaluate(int32_t group);  // (re)values the group and queues it, if it would add a token
  void ReevaluateOverlapping(int32_t group);
  IndexRange BestPart(IndexRange group) const;  // contiguous, adds exactly what is left of the budget

  const std::span<const float> scores_;
  int32_t left_;
  double chosen_sum_ = 0;  // of scores
  std::vector<bool> chosen_;
  std::vector<IndexRange> groups_;
  std::vector<double>
      values_;  // current value per group; a queued candidate with another value is out of date
  std::priority_queue<Candidate> queue_;
  GroupValue group_value_ = GroupValue::kSum;
};

}  // namespace cacheclip
