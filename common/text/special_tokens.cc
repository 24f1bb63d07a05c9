#include "common/text/special_tokens.h"

#include "common/base/status.h"
#include "common/text/model_files.h"

namespace cacheclip {
namespace {

// "bos_token": "<s>" or "bos_token": {"content": "<s>", …}; null and other shapes name nothing.
void CollectNamedTokens(const nlohmann::json& config, SpecialTokenMap& tokens) {
  for (const auto& [name, value] : config.items()) {
    if (!name.ends_with("_token")) continue;
    if (value.is_string()) {
      tokens.emplace(name, value.get<std::string>());
    } else if (value.is_object() && value.contains("content") && value["content"].is_string()) {
      tokens.emplace(name, value["content"].get<std::string>());
    }
  }
}

}  // namespace

absl::StatusOr<SpecialTokenMap> LoadSpecialTokens(const std::string& model_dir) {
  SpecialTokenMap tokens;
  for (const char* name : {"/tokenizer_config.json", "/special_tokens_map.json"}) {
    CACHECLIP_ASSIGN_OR_RETURN(const nlohmann::json config, ReadOptionalJson(model_dir + name));
    CollectNamedTokens(config, tokens);  // emplace: the first file wins
  }
  return tokens;
}

}  // namespace cacheclip
