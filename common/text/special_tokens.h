// The named special tokens of a model ("bos_token" -> "<s>"), which chat templates refer to by name. Read
// from tokenizer_config.json and, for names missing there, special_tokens_map.json. Stateless.
#pragma once

#include <map>
#include <string>

#include "absl/status/statusor.h"

namespace cacheclip {

using SpecialTokenMap = std::map<std::string, std::string, std::less<>>;

// Both files are optional: without them the map is empty. FAILED_PRECONDITION: a file that is not a JSON
// object.
absl::StatusOr<SpecialTokenMap> LoadSpecialTokens(const std::string& model_dir);

}  // namespace cacheclip
