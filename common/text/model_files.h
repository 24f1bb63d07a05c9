// Reads the optional JSON files of a model directory (tokenizer_config.json, …). Stateless.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

namespace cacheclip {

// A JSON object; an empty one if there is no such file. FAILED_PRECONDITION: anything else.
absl::StatusOr<nlohmann::json> ReadOptionalJson(const std::string& path);

}  // namespace cacheclip
