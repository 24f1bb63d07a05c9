// Chooses the next token from logits: greedy, or temperature with top-k and top-p, after a repetition
// penalty. The order is that of Hugging Face's generate(): penalty, temperature, top-k, top-p. Seeded; the
// same seed and logits give the same tokens on every machine. One sampler per request; not thread-safe.
#pragma once

#include <cstdint>
#include <random>
#include <span>

#include "absl/status/status.h"

namespace cacheclip {

struct SamplingOptions {
  double temperature = 0;         // 0 = greedy
  double top_p = 1;               // (0, 1]; smallest set of tokens with this much probability
  int32_t top_k = 0;              // 0 = all
  double repetition_penalty = 1;  // > 0; 1 = none. Applies to prompt and generated tokens
  uint64_t seed = 0;
};

// INVALID_ARGUMENT naming "sampling.temperature", ….
absl::Status ValidateSamplingOptions(const SamplingOptions& options);

struct SampledToken {
  int32_t id = 0;
  float log_probability = 0;  // under the model's own distribution, before penalty and temperature
};

class Sampler {
 public:
  explicit Sampler(const SamplingOptions& options);

  SampledToken Sample(std::span<const float> logits,          // [vocab_size]
                      std::span<const int32_t> context_ids);  // tokens the penalty applies to

 private:
  SamplingOptions options_;
  std::mt19937_64 random_;
};

}  // namespace cacheclip
