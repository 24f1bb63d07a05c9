#include <algorithm>
#include <cmath>
#include <numeric>

#include "services/cacheclip/bench.h"

namespace cacheclip {
namespace {

constexpr int32_t kFirstPlainToken = 100;       // beyond the control tokens of the usual vocabularies
constexpr double kScoringLayerShare = 3.0 / 4;  // the scoring band ends there

PassCost Scaled(PassCost cost, double factor) {
  return {cost.linear_flops * factor, cost.attention_flops * factor, cost.exponentials * factor};
}

PassCost Sum(const PassCost& a, const PassCost& b) {
  return {a.linear_flops + b.linear_flops, a.attention_flops + b.attention_flops,
          a.exponentials + b.exponentials};
}

PassCost SuffixCost(const ModelConfig& model, const PromptShape& shape) {
  const double before = static_cast<double>(shape.prefix_tokens + shape.context_tokens);
  return CostOfPass(model, shape.suffix_tokens, before + shape.suffix_tokens / 2.0);
}

}  // namespace

double Median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

Line FitLine(const std::vector<double>& x, const std::vector<double>& y) {
  const auto mean = [](const std::vector<double>& values) {
    return std::reduce(values.begin(), values.end()) / static_cast<double>(values.size());
  };
  const double mean_x = mean(x), mean_y = mean(y);
  double covariance = 0, variance = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    covariance += (x[i] - mean_x) * (y[i] - mean_y);
    variance += (x[i] - mean_x) * (x[i] - mean_x);
  }
  Line line{.slope = covariance / variance};
  line.at_zero = mean_y - line.slope * mean_x;
  const double highest = *std::ranges::max_element(y);
  for (size_t i = 0; i < x.size(); ++i) {
    const double deviation = std::abs(y[i] - line.at_zero - line.slope * x[i]);
    line.largest_deviation = std::max(line.largest_deviation, deviation / highest);
  }
  return line;
}

PromptTokens BenchPrompt(const LanguageModel& model, int num_tokens) {
  PromptTokens prompt;
  const auto vocabulary = static_cast<int32_t>(model.config().vocab_size);
  for (int i = 0; i < num_tokens; ++i)
    prompt.suffix_ids.push_back(kFirstPlainToken + (i * 7919) % (vocabulary - kFirstPlainToken));
  return prompt;
}

PassCost FullPrefillCost(const ModelConfig& model, const PromptShape& shape) {
  const int64_t rows = shape.prefix_tokens + shape.context_tokens + shape.suffix_tokens;
  return CostOfPass(model, rows, rows / 2.0);
}

PassCost RecomputeCost(const ModelConfig& model, const PromptShape& shape) {
  if (shape.recomputed_tokens == 0) return SuffixCost(model, shape);
  return Sum(CostOfPass(model, shape.recomputed_tokens, shape.prefix_tokens + shape.context_tokens / 2.0),
             SuffixCost(model, shape));
}

double TtftFloorSeconds(const ModelConfig& model, const PromptShape& shape, const MachineLimits& limits) {
  const double recompute = FloorSeconds(RecomputeCost(model, shape), limits);
  const double scoring = FloorSeconds(Scaled(SuffixCost(model, shape), kScoringLayerShare), limits);
  const double load =
      limits.read_bytes_per_second > 0 ? shape.stored_bytes / limits.read_bytes_per_second : 0;
  return std::max(load, recompute) + scoring;
}

}  // namespace cacheclip
