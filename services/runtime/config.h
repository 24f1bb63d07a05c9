// Everything that can be configured, in one table: name, type, default, what it is for. The table drives the
// command line
// (--data-dir), the environment (CACHECLIP_DATA_DIR), the YAML file (data_dir:), --print-config,
// --check-config and docs/configuration.md. A flag beats the environment, that beats the file, that beats the
// default.
//
//   CACHECLIP_ASSIGN_OR_RETURN(Config config, LoadConfig({.flags = flags, .environment =
//   EnvironmentSettings()}));
//
// Plain values; thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "absl/status/statusor.h"

namespace cacheclip {

struct Config {
  std::string model, dtype = "bf16", weights = "stored", kv_dtype = "auto", device = "cpu";
  std::string data_dir;
  std::string address = "127.0.0.1";
  int64_t port = 50051;
  bool insecure_listen = false;
  std::string tls_certificate, tls_key, tls_client_ca;
  int64_t metrics_port = 0;
  bool selector = true;
  std::string selector_target, selector_model, selector_tls_ca;
  int64_t selector_layers = 0;
  double selector_timeout_seconds = 2;
  double max_divergence = 0;
  std::string profile;
  std::string grouping = "mixed";
  int64_t window = 8, seam_tokens = -1;
  double recompute_depth = 0;
  double stale_weight = 0, stale_shift = -1;
  bool local_heads = true, int8_scores = true;
  int64_t memory_bytes = int64_t{1} << 30, disk_bytes = int64_t{16} << 30, kv_bytes = int64_t{4} << 30;
  int64_t max_running_requests = 8, max_waiting_requests = 64, max_threads = 256;
  int64_t max_message_bytes = int64_t{16} << 20;
  double default_deadline_seconds = 120, drain_seconds = 30;
  std::string redis_url, redis_cluster = "auto", redis_password_file;
  std::string redis_tls_ca, redis_tls_certificate, redis_tls_key;
  double redis_ttl_seconds = 7 * 86400, redis_timeout_seconds = 2;
  int64_t redis_connections = 8;
  std::string catalog_url, catalog_cluster = "auto", catalog_password_file;
  std::string catalog_tls_ca, catalog_tls_certificate, catalog_tls_key;
  std::string object_url, s3_endpoint, s3_region, s3_tls_ca, s3_credentials_file, s3_profile;
  int64_t object_bytes = 0;
  bool s3_path_style = false;
  std::string write_mode = "through";
  int64_t write_back_bytes = int64_t{1} << 30;
  double load_timeout_seconds = 2;
  std::string default_salt;
  std::map<std::string, std::string> namespace_salts;  // YAML only
  std::map<std::string, int64_t> namespace_quotas;     // YAML only; bytes in each local tier
  std::string log_level = "info";
};

// Sizes take KiB, MiB, GiB behind the number. `minimum` and `maximum` bound numbers. A URL is shown without
// its password.
struct Setting {
  using Member = std::variant<std::string Config::*, int64_t Config::*, double Config::*, bool Config::*>;
  std::string_view name;  // snake_case, as in YAML
  Member member;
  std::string_view help;
  double minimum = 0, maximum = 0;  // of numbers; both 0 = not bounded
  bool is_size = false, is_secret = false, is_url = false;
  std::string_view choices = "";  // "a|b|c": the only texts allowed
};

std::span<const Setting> AllSettings();

std::string FlagOf(const Setting& setting);         // "--data-dir"
std::string EnvironmentOf(const Setting& setting);  // "CACHECLIP_DATA_DIR"
std::string TypeOf(const Setting& setting);         // "text", "number", "size", "seconds", "yes/no"
std::string ValueOf(const Setting& setting, const Config& config);  // as text; secrets as "(set)" or ""

struct ConfigSources {
  std::map<std::string, std::string> flags;        // by setting name
  std::map<std::string, std::string> environment;  // by setting name; see EnvironmentSettings()
  std::string file;                                // YAML; "" = none
};

// Those settings whose variable is set in this process's environment.
std::map<std::string, std::string> EnvironmentSettings();

// INVALID_ARGUMENT naming the key that is unknown, malformed or out of bounds, or the two that contradict
// each other.
absl::StatusOr<Config> LoadConfig(const ConfigSources& sources);
absl::Status ValidateConfig(const Config& config);

std::string PrintConfig(const Config& config);  // YAML; secrets are left out
std::string ConfigTable();                      // the Markdown table of docs/configuration.md

}  // namespace cacheclip
