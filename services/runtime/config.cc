#include "services/runtime/config.h"

#include <exception>
#include <utility>

#include <yaml-cpp/yaml.h>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/file.h"
#include "common/base/status.h"
#include "common/base/string_view.h"
#include "services/runtime/stores.h"

namespace cacheclip {
namespace {

constexpr int64_t kMaxConfigBytes = int64_t{1} << 20;
constexpr double kMaxQuotaBytes = 1e15;
constexpr char kSaltsKey[] = "namespace_salts";
constexpr char kQuotasKey[] = "namespace_quotas";

const Setting* FindSetting(std::string_view name) {
  for (const Setting& setting : AllSettings())
    if (setting.name == name) return &setting;
  return nullptr;
}

// What a unit behind the number multiplies it with; the unit is taken off.
double TakeUnit(std::string& text) {
  constexpr std::pair<std::string_view, double> kUnits[] = {
      {"KiB", 1024.0}, {"MiB", 1048576.0}, {"GiB", 1073741824.0}};
  for (const auto& [unit, factor] : kUnits) {
    if (!std::string_view(text).ends_with(unit)) continue;
    text.resize(text.size() - unit.size());
    return factor;
  }
  return 1;
}

absl::StatusOr<double> ParseNumber(const Setting& setting, std::string text) {
  const double scale = setting.is_size ? TakeUnit(text) : 1;
  double value = 0;
  if (!absl::SimpleAtod(text, &value))
    return InvalidField(setting.name, absl::StrCat("must be a ", TypeOf(setting), ", got \"", text, "\""));
  value *= scale;
  const bool is_bounded = setting.minimum != 0 || setting.maximum != 0;
  if (is_bounded && !(value >= setting.minimum && value <= setting.maximum)) {
    return InvalidField(setting.name, absl::StrCat("must be between ", setting.minimum, " and ",
                                                   setting.maximum, ", got ", value));
  }
  return value;
}

absl::StatusOr<bool> ParseBool(const Setting& setting, const std::string& text) {
  const std::string lower = absl::AsciiStrToLower(text);
  if (lower == "yes" || lower == "true" || lower == "1" || lower == "on") return true;
  if (lower == "no" || lower == "false" || lower == "0" || lower == "off") return false;
  return InvalidField(setting.name, absl::StrCat("must be yes or no, got \"", text, "\""));
}

absl::Status CheckChoice(const Setting& setting, const std::string& text) {
  if (setting.choices.empty()) return absl::OkStatus();
  for (const absl::string_view choice : absl::StrSplit(AbslView(setting.choices), '|'))
    if (choice == text) return absl::OkStatus();
  return InvalidField(setting.name, absl::StrCat("must be one of ", TypeOf(setting), ", got \"", text, "\""));
}

struct Assign {
  Config& config;
  const Setting& setting;
  const std::string& text;

  absl::Status operator()(std::string Config::*member) const {
    CACHECLIP_RETURN_IF_ERROR(CheckChoice(setting, text));
    config.*member = text;
    return absl::OkStatus();
  }
  absl::Status operator()(int64_t Config::*member) const {
    CACHECLIP_ASSIGN_OR_RETURN(const double value, ParseNumber(setting, text));
    config.*member = static_cast<int64_t>(value);
    if (static_cast<double>(config.*member) != value)
      return InvalidField(setting.name, "must be a whole number");
    return absl::OkStatus();
  }
  absl::Status operator()(double Config::*member) const {
    CACHECLIP_ASSIGN_OR_RETURN(config.*member, ParseNumber(setting, text));
    return absl::OkStatus();
  }
  absl::Status operator()(bool Config::*member) const {
    CACHECLIP_ASSIGN_OR_RETURN(config.*member, ParseBool(setting, text));
    return absl::OkStatus();
  }
};

absl::Status SetValue(Config& config, std::string_view name, const std::string& text) {
  const Setting* setting = FindSetting(name);
  if (setting == nullptr) return InvalidField(name, "is no known setting");
  return std::visit(Assign{config, *setting, text}, setting->member);
}

absl::Status SetSalts(Config& config, const YAML::Node& salts) {
  if (!salts.IsMap()) return InvalidField(kSaltsKey, "must map namespaces to salts");
  for (const auto& entry : salts)
    config.namespace_salts[entry.first.as<std::string>()] = entry.second.as<std::string>();
  return absl::OkStatus();
}

absl::Status SetQuotas(Config& config, const YAML::Node& quotas) {
  if (!quotas.IsMap()) return InvalidField(kQuotasKey, "must map namespaces to sizes");
  for (const auto& entry : quotas) {
    const auto name = entry.first.as<std::string>();
    auto text = entry.second.as<std::string>();
    const double scale = TakeUnit(text);
    int64_t number = 0;
    if (!absl::SimpleAtoi(text, &number) || number <= 0 || number > kMaxQuotaBytes / scale)
      return InvalidField(absl::StrCat(kQuotasKey, ".", name), "must be a size, like 4GiB");
    config.namespace_quotas[name] = static_cast<int64_t>(number * scale);
  }
  return absl::OkStatus();
}

absl::Status ApplyFile(Config& config, const std::string& file) {
  CACHECLIP_ASSIGN_OR_RETURN(const std::string text, ReadFile(file, kMaxConfigBytes));
  try {
    const YAML::Node root = YAML::Load(text);
    if (root.IsNull()) return absl::OkStatus();
    if (!root.IsMap()) return InvalidField("config", absl::StrCat(file, " must be a map of settings"));
    for (const auto& entry : root) {
      const std::string key = entry.first.as<std::string>();
      const absl::Status status = key == kSaltsKey    ? SetSalts(config, entry.second)
                                  : key == kQuotasKey ? SetQuotas(config, entry.second)
                                  : entry.second.IsScalar()
                                      ? SetValue(config, key, entry.second.as<std::string>())
                                      : InvalidField(key, "must be one value");
      if (!status.ok()) return WithContext(status, file);
    }
  } catch (const std::exception& error) {  // yaml-cpp reports syntax errors this way
    return InvalidField("config", absl::StrCat(file, ": ", error.what()));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ValidateConfig(const Config& config) {
  if (config.tls_certificate.empty() != config.tls_key.empty())
    return InvalidField(config.tls_key.empty() ? "tls_key" : "tls_certificate",
                        "tls_certificate and tls_key go together");
  if (!config.tls_client_ca.empty() && config.tls_certificate.empty())
    return InvalidField("tls_client_ca", "needs tls_certificate and tls_key");
  if (config.kv_dtype != "auto" && config.kv_dtype != "int8" && config.kv_dtype != config.dtype)
    return InvalidField("kv_dtype", absl::StrCat(config.kv_dtype, " contradicts dtype: ", config.dtype,
                                                 "; stored KV is auto, int8 or what is computed in"));
  if (!config.selector && !config.selector_target.empty())
    return InvalidField("selector_target", "contradicts selector: no");
  if (!config.selector_tls_ca.empty() && config.selector_target.empty())
    return InvalidField("selector_tls_ca", "needs selector_target");
  if (config.seam_tokens > config.window) {
    return InvalidField(
        "seam_tokens", absl::StrCat("must not exceed window, ", config.window, ", got ", config.seam_tokens));
  }
  return ValidateStoreSettings(config);
}

absl::StatusOr<Config> LoadConfig(const ConfigSources& sources) {
  Config config;
  if (!sources.file.empty()) CACHECLIP_RETURN_IF_ERROR(ApplyFile(config, sources.file));
  for (const auto& [name, text] : sources.environment) {
    if (absl::Status status = SetValue(config, name, text); !status.ok())
      return WithContext(status, "environment");
  }
  for (const auto& [name, text] : sources.flags) CACHECLIP_RETURN_IF_ERROR(SetValue(config, name, text));
  CACHECLIP_RETURN_IF_ERROR(ValidateConfig(config));
  return config;
}

}  // namespace cacheclip
