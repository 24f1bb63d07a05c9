#include "common/select/greedy_groups.h"

#include <limits>
#include <utility>

#include "common/base/logging.h"

namespace cacheclip {
namespace {
constexpr double kAddsNothing = -std::numeric_limits<double>::infinity();
}

GreedyGroups::GreedyGroups(std::span<const float> scores, int32_t budget_tokens)
    : scores_(scores), left_(budget_tokens), chosen_(scores.size(), false) {}

void GreedyGroups::Take(IndexRange run) {
  for (int32_t i = run.begin; i < run.end; ++i) {
    if (chosen_[i]) continue;
    chosen_[i] = true;
    chosen_sum_ += scores_[i];
    --left_;
  }
  CACHECLIP_CHECK(left_ >= 0) << "a run of " << run.size() << " tokens exceeds the budget by " << -left_;
}

void GreedyGroups::Choose(std::vector<IndexRange> groups, GroupValue group_value, double enough,
                          int32_t reserve) {
  groups_ = std::move(groups);
  group_value_ = group_value;
  values_.assign(groups_.size(), kAddsNothing);
  queue_ = {};
  for (int32_t g = 0; g < static_cast<int32_t>(groups_.size()); ++g) Evaluate(g);
  while (left_ > reserve && chosen_sum_ < enough && !queue_.empty()) {
    const Candidate best = queue_.top();
    queue_.pop();
    if (values_[best.group] != best.value) continue;
    const IndexRange group = groups_[best.group];
    const bool fits = static_cast<int32_t>(Unchosen(group).size()) <= left_;
    Take(fits ? group : BestPart(group));
    ReevaluateOverlapping(best.group);
  }
}

std::vector<int32_t> GreedyGroups::Unchosen(IndexRange run) const {
  std::vector<int32_t> unchosen;
  for (int32_t i = run.begin; i < run.end; ++i)
    if (!chosen_[i]) unchosen.push_back(i);
  return unchosen;
}

void GreedyGroups::Evaluate(int32_t group) {
  const IndexRange run = groups_[group];
  double sum = 0.0, unchosen_sum = 0.0;
  bool complete = true;
  for (int32_t i = run.begin; i < run.end; ++i) {
    sum += scores_[i];
    if (chosen_[i]) continue;
    unchosen_sum += scores_[i];
    complete = false;
  }
  const double value = complete                           ? kAddsNothing
                       : group_value_ == GroupValue::kSum ? unchosen_sum
                                                          : sum / run.size();
  if (value == values_[group]) return;
  values_[group] = value;
  if (!complete) queue_.push({value, group});
}

void GreedyGroups::ReevaluateOverlapping(int32_t group) {
  const IndexRange taken = groups_[group];
  for (int32_t g = group; g >= 0 && groups_[g].end > taken.begin; --g) Evaluate(g);
  for (int32_t g = group + 1; g < static_cast<int32_t>(groups_.size()) && groups_[g].begin < taken.end; ++g)
    Evaluate(g);
}

IndexRange GreedyGroups::BestPart(IndexRange group) const {
  const std::vector<int32_t> unchosen = Unchosen(group);
  double sum = 0.0, best_sum = kAddsNothing;
  size_t best_last = left_ - 1;
  for (size_t last = 0; last < unchosen.size(); ++last) {
    sum += scores_[unchosen[last]];
    if (last + 1 < static_cast<size_t>(left_)) continue;
    if (sum > best_sum) {
      best_sum = sum;
      best_last = last;
    }
    sum -= scores_[unchosen[last + 1 - left_]];
  }
  return {unchosen[best_last + 1 - left_], unchosen[best_last] + 1};
}

std::vector<int32_t> GreedyGroups::ChosenIndices() const {
  std::vector<int32_t> indices;
  for (size_t i = 0; i < chosen_.size(); ++i)
    if (chosen_[i]) indices.push_back(static_cast<int32_t>(i));
  return indices;
}

}  // namespace cacheclip
