#include "services/runtime/model_profile.h"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "services/runtime/paths.h"

namespace cacheclip {
namespace {

using nlohmann::json;

constexpr int kProfileFormat = 1;
constexpr size_t kMaxListedHeads = 1024;
constexpr int kMaxSeamTokens = 64;

json HeadsToJson(const std::vector<HeadId>& heads) {
  json list = json::array();
  for (const HeadId& id : heads) list.push_back({id.layer, id.head});
  return list;
}

std::vector<HeadId> HeadsFromJson(const json& list) {
  std::vector<HeadId> heads;
  for (const json& pair : list) heads.push_back({pair.at(0).get<int>(), pair.at(1).get<int>()});
  return heads;
}

json LevelToJson(const QualityLevel& level) {
  return {{"budget", level.budget}, {"coverage", level.coverage}};
}

// What `list` leaves out stays as in the table.
QualityLevel LevelFromJson(const json& list, const char* id, QualityLevel level) {
  if (!list.contains(id)) return level;
  level.budget = list[id].value("budget", level.budget);
  level.coverage = list[id].value("coverage", level.coverage);
  return level;
}

absl::Status CheckRanges(const ModelProfile& profile) {
  for (const std::vector<HeadId>* heads :
       {&profile.auxiliary_heads.heads, &profile.probe_heads.heads, &profile.local_heads.heads}) {
    if (heads->size() > kMaxListedHeads)
      return absl::InvalidArgumentError(absl::StrCat("lists more than ", kMaxListedHeads, " heads"));
    for (const HeadId& id : *heads)
      if (id.layer < 0 || id.head < 0) return absl::InvalidArgumentError("lists a negative layer or head");
  }
  for (const std::vector<HeadId>* heads : {&profile.probe_heads.heads, &profile.local_heads.heads})
    for (const HeadId& id : *heads)
      if (id.layer >= profile.num_layers || id.head >= profile.num_heads)
        return absl::InvalidArgumentError(
            absl::StrCat("head ", id.layer, ".", id.head, " is not the model's"));
  if (!profile.local_heads.heads.empty() && profile.local_heads.window < 1)
    return absl::InvalidArgumentError("local: the window holds no token");
  if (profile.seam_tokens < 0 || profile.seam_tokens > kMaxSeamTokens)
    return absl::InvalidArgumentError(absl::StrCat("seam_tokens is not in 0 … ", kMaxSeamTokens));
  if (!(profile.recompute_depth >= 0 && profile.recompute_depth <= 1))
    return absl::InvalidArgumentError("recompute_depth is not in 0 … 1");
  if (!(profile.stale_weight >= 0 && profile.stale_weight <= 1))
    return absl::InvalidArgumentError("stale_weight is not in 0 … 1");
  if (!(profile.stale_shift.value_or(0) >= 0 && profile.stale_shift.value_or(0) <= 1))
    return absl::InvalidArgumentError("stale_shift is not in 0 … 1");
  if (!(profile.divergence_per_stale_mass.value_or(0) >= 0))
    return absl::InvalidArgumentError("divergence_per_stale_mass is negative");
  return ValidateQualityLevels(profile.quality_levels.value_or(QualityLevels()));
}

absl::Status ProfileError(absl::StatusCode code, const std::string& path, std::string_view what) {
  return FieldError(code, "profile", absl::StrCat(path, ": ", std::string(what)));
}

}  // namespace

json ToJson(const ModelProfile& profile) {
  json value = {
      {"format", kProfileFormat},
      {"model", profile.model},
      {"num_layers", profile.num_layers},
      {"num_heads", profile.num_heads},
      {"auxiliary", {{"name", profile.auxiliary}, {"heads", HeadsToJson(profile.auxiliary_heads.heads)}}},
      {"probe", {{"heads", HeadsToJson(profile.probe_heads.heads)}}},
      {"seam_tokens", profile.seam_tokens},
      {"recompute_depth", profile.recompute_depth},
      {"stale_weight", profile.stale_weight},
      {"measured", profile.measured}};
  if (profile.quality_levels.has_value())
    value["quality"] = {{"fast", LevelToJson(profile.quality_levels->fast)},
                        {"balanced", LevelToJson(profile.quality_levels->balanced)}};
  if (!profile.local_heads.heads.empty())
    value["local"] = {{"window", profile.local_heads.window},
                      {"heads", HeadsToJson(profile.local_heads.heads)}};
  if (profile.stale_shift.has_value()) value["stale_shift"] = *profile.stale_shift;
  if (profile.divergence_per_stale_mass.has_value())
    value["divergence_per_stale_mass"] = *profile.divergence_per_stale_mass;
  return value;
}

absl::StatusOr<ModelProfile> ParseModelProfile(const json& value) {
  ModelProfile profile;
  try {
    if (value.at("format").get<int>() != kProfileFormat)
      return absl::InvalidArgumentError(
          absl::StrCat("has format ", value["format"].dump(), ", this version reads ", kProfileFormat));
    profile.model = value.at("model");
    profile.num_layers = value.at("num_layers");
    profile.num_heads = value.at("num_heads");
    profile.auxiliary = value.at("auxiliary").at("name");
    profile.auxiliary_heads.heads = HeadsFromJson(value.at("auxiliary").at("heads"));
    profile.probe_heads.heads = HeadsFromJson(value.at("probe").at("heads"));
    profile.seam_tokens = value.value("seam_tokens", 0);
    profile.recompute_depth = value.value("recompute_depth", 0.0);
    profile.stale_weight = value.value("stale_weight", 0.0);
    if (value.contains("stale_shift")) profile.stale_shift = value["stale_shift"].get<double>();
    if (value.contains("local"))
      profile.local_heads = {.window = value["local"].at("window"),
                             .heads = HeadsFromJson(value["local"].at("heads"))};
    if (value.contains("quality")) {
      const QualityLevels table;
      profile.quality_levels = {LevelFromJson(value["quality"], "fast", table.fast),
                                LevelFromJson(value["quality"], "balanced", table.balanced)};
    }
    if (value.contains("divergence_per_stale_mass"))
      profile.divergence_per_stale_mass = value["divergence_per_stale_mass"].get<double>();
    profile.measured = value.value("measured", json());
  } catch (const json::exception& error) {
    return absl::InvalidArgumentError(error.what());
  }
  CACHECLIP_RETURN_IF_ERROR(CheckRanges(profile));
  return profile;
}

std::string ProfileFile(const Config& config) {
  return config.profile.empty() ? absl::StrCat(ModelFolder(config), "/", kProfileFileName) : config.profile;
}

absl::StatusOr<std::optional<ModelProfile>> LoadModelProfile(const Config& config, const ModelConfig& model) {
  if (config.profile == "none") return std::nullopt;
  const std::string path = ProfileFile(config);
  std::error_code error;
  if (!std::filesystem::exists(path, error)) {
    if (config.profile.empty()) return std::nullopt;
    return ProfileError(absl::StatusCode::kNotFound, path,
                        "there is no such file; `cacheclip tune` makes one");
  }
  std::ifstream file(path, std::ios::binary);
  std::stringstream content;
  content << file.rdbuf();
  const absl::StatusOr<ModelProfile> profile =
      ParseModelProfile(json::parse(content.str(), nullptr, /*allow_exceptions=*/false));
  if (!profile.ok())
    return ProfileError(absl::StatusCode::kInvalidArgument, path, std::string(profile.status().message()));
  if (profile->num_layers != model.num_layers || profile->num_heads != model.num_heads)
    return ProfileError(absl::StatusCode::kFailedPrecondition, path,
                        absl::StrCat("is of ", profile->model, " with ", profile->num_layers, " layers of ",
                                     profile->num_heads, " heads, the model has ", model.num_layers, " of ",
                                     model.num_heads));
  for (const HeadId& id : profile->local_heads.heads)
    if (id.head >= model.num_kv_heads)
      return ProfileError(absl::StatusCode::kFailedPrecondition, path,
                          absl::StrCat("lists the local head ", id.layer, ".", id.head, ", the model has ",
                                       model.num_kv_heads, " key-value heads"));
  return std::optional<ModelProfile>(*profile);
}

absl::Status SaveModelProfile(const ModelProfile& profile, const std::string& path) {
  const std::string partial = path + ".partial";
  std::ofstream file(partial, std::ios::binary | std::ios::trunc);
  file << ToJson(profile).dump(2) << "\n";
  file.close();
  std::error_code error;
  if (file) std::filesystem::rename(partial, path, error);
  if (!file || error)
    return ProfileError(absl::StatusCode::kFailedPrecondition, path,
                        "cannot be written; --out names another file");
  return absl::OkStatus();
}

}  // namespace cacheclip
