// What `cacheclip tune` found out about a model and its auxiliary, kept beside the model and loaded by
// selector and generation: whose attention tells which tokens matter. A wrong profile costs quality, never
// correctness. Values and files only; thread-safe.
#pragma once

#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/model/config.h"
#include "common/model/scoring/scoring.h"
#include "common/select/quality.h"
#include "services/runtime/config.h"

namespace cacheclip {

inline constexpr char kProfileFileName[] = "cacheclip_profile.json";

struct ModelProfile {
  std::string model, auxiliary;                     // names
  int64_t num_layers = 0, num_heads = 0;            // of the primary
  ScoringHeads auxiliary_heads;                     // of that auxiliary
  ScoringHeads probe_heads;                         // of the primary
  int seam_tokens = 0;                              // first tokens of each chunk, inside the budget
  double recompute_depth = 0;                       // SelectionOptions::depth; 0: the default
  double stale_weight = 0;                          // SelectionOptions::stale_weight; 0: the default
  std::optional<double> stale_shift;                // SelectionOptions::stale_shift
  LocalHeads local_heads;                           // of the primary, found by tools/training; may be none
  std::optional<QualityLevels> quality_levels;      // in place of the table of common/select/quality.h
  std::optional<double> divergence_per_stale_mass;  // of common/select/divergence.h
  nlohmann::json measured;                          // how it was found and what it was worth; for people
};

nlohmann::json ToJson(const ModelProfile& profile);
// INVALID_ARGUMENT saying what is wrong.
absl::StatusOr<ModelProfile> ParseModelProfile(const nlohmann::json& json);

// Where the profile of these settings' model is: the setting `profile`, else in the model's folder.
std::string ProfileFile(const Config& config);

// Nothing if `profile` is "none", or not set and there is no file. Errors name "profile": NOT_FOUND,
// INVALID_ARGUMENT for a file that is no profile, FAILED_PRECONDITION for one of a model of another shape.
absl::StatusOr<std::optional<ModelProfile>> LoadModelProfile(const Config& config, const ModelConfig& model);

// Replaces the file in one step. Errors name "profile".
absl::Status SaveModelProfile(const ModelProfile& profile, const std::string& path);

}  // namespace cacheclip
