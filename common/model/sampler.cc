#include "common/model/sampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace cacheclip {
namespace {

float LogSumExp(std::span<const float> logits) {
  const float top = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (float logit : logits) sum += std::exp(static_cast<double>(logit - top));
  return top + static_cast<float>(std::log(sum));
}

void Penalise(std::vector<float>& logits, std::span<const int32_t> context_ids, double penalty) {
  const absl::flat_hash_set<int32_t> seen(context_ids.begin(), context_ids.end());
  for (int32_t id : seen) {
    if (id < 0 || id >= static_cast<int32_t>(logits.size())) continue;
    float& logit = logits[static_cast<size_t>(id)];
    logit = static_cast<float>(logit > 0 ? logit / penalty : logit * penalty);
  }
}

struct Candidate {
  int32_t id;
  double probability;
};

// Probabilities at `temperature`, most probable first (ties: lower id), cut to top_k and top_p.
std::vector<Candidate> Candidates(const std::vector<float>& logits, const SamplingOptions& options) {
  std::vector<Candidate> candidates(logits.size());
  const float top = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    candidates[i] = {static_cast<int32_t>(i), std::exp((logits[i] - top) / options.temperature)};
    sum += candidates[i].probability;
  }
  const auto better = [](const Candidate& a, const Candidate& b) {
    return a.probability != b.probability ? a.probability > b.probability : a.id < b.id;
  };
  std::sort(candidates.begin(), candidates.end(), better);
  if (options.top_k > 0 && candidates.size() > static_cast<size_t>(options.top_k)) {
    candidates.resize(static_cast<size_t>(options.top_k));
    sum = std::accumulate(candidates.begin(), candidates.end(), 0.0,
                          [](double total, const Candidate& c) { return total + c.probability; });
  }
  double mass = 0;
  size_t kept = 0;
  while (kept < candidates.size() && mass < options.top_p * sum) mass += candidates[kept++].probability;
  candidates.resize(std::max<size_t>(1, kept));
  return candidates;
}

}  // namespace

absl::Status ValidateSamplingOptions(const SamplingOptions& options) {
  if (!(options.temperature >= 0 && options.temperature <= 100))
    return InvalidField("sampling.temperature",
                        absl::StrCat("must be between 0 and 100, got ", options.temperature));
  if (!(options.top_p > 0 && options.top_p <= 1))
    return InvalidField("sampling.top_p", absl::StrCat("must be above 0 and at most 1, got ", options.top_p));
  if (options.top_k < 0)
    return InvalidField("sampling.top_k", absl::StrCat("must not be negative, got ", options.top_k));
  if (!(options.repetition_penalty > 0 && options.repetition_penalty <= 100))
    return InvalidField("sampling.repetition_penalty",
                        absl::StrCat("must be above 0 and at most 100, got ", options.repetition_penalty));
  return absl::OkStatus();
}

Sampler::Sampler(const SamplingOptions& options) : options_(options), random_(options.seed) {}

SampledToken Sampler::Sample(std::span<const float> logits, std::span<const int32_t> context_ids) {
  std::vector<float> adjusted(logits.begin(), logits.end());
  if (options_.repetition_penalty != 1) Penalise(adjusted, context_ids, options_.repetition_penalty);
  int32_t id = 0;
  if (options_.temperature == 0) {
    id = static_cast<int32_t>(std::max_element(adjusted.begin(), adjusted.end()) - adjusted.begin());
  } else {
    const std::vector<Candidate> candidates = Candidates(adjusted, options_);
    double sum = 0;
    for (const Candidate& candidate : candidates) sum += candidate.probability;
    // 53 random bits, not std::uniform_real_distribution: its result differs between libraries.
    double rest = static_cast<double>(random_() >> 11) * 0x1p-53 * sum;
    id = candidates.back().id;
    for (const Candidate& candidate : candidates) {
      if ((rest -= candidate.probability) >= 0) continue;
      id = candidate.id;
      break;
    }
  }
  return {.id = id, .log_probability = logits[static_cast<size_t>(id)] - LogSumExp(logits)};
}

}  // namespace cacheclip
