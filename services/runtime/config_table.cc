// The table of settings: what config.h promises is driven by it.
#include <cstdlib>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/base/string_view.h"
#include "services/runtime/config.h"

namespace cacheclip {
namespace {

constexpr double kMaxPort = 65535;
constexpr double kMaxSize = 1e15;
constexpr double kMaxSeconds = 86400;
constexpr double kMaxTtlSeconds = 366 * kMaxSeconds;

constexpr Setting Choice(std::string_view name, std::string Config::*member, std::string_view help,
                         std::string_view choices) {
  return {name, member, help, 0, 0, false, false, false, choices};
}

constexpr Setting Size(std::string_view name, int64_t Config::*member, std::string_view help, double minimum,
                       double maximum) {
  return {name, member, help, minimum, maximum, true};
}

constexpr Setting Secret(std::string_view name, std::string Config::*member, std::string_view help) {
  return {name, member, help, 0, 0, false, true};
}

constexpr Setting Url(std::string_view name, std::string Config::*member, std::string_view help) {
  return {name, member, help, 0, 0, false, false, true};
}

constexpr Setting kSettings[] = {
    {"model", &Config::model,
     "Hugging Face folder of the primary model; empty: the demo model in the models folder"},
    Choice("dtype", &Config::dtype,
           "arithmetic, and weights in it; CPUs that are faster with fp32 compute in fp32 and int16",
           "bf16|fp32"),
    Choice("weights", &Config::weights,
           "stored: as the model's files have them; int8: rounded at load, half of bf16's memory, faster "
           "decode, "
           "the same on every service",
           "stored|int8"),
    Choice("kv_dtype", &Config::kv_dtype,
           "stored chunks, the same on every service; auto: dtype's; int8 takes half of bf16's space",
           "auto|bf16|fp32|int8"),
    {"device", &Config::device, "libtorch device: cpu, cuda, cuda:1"},
    {"data_dir", &Config::data_dir,
     "catalogue, disk tier and local index; empty: $XDG_DATA_HOME/cacheclip, else ~/.local/share/cacheclip"},
    {"address", &Config::address, "IP address to listen on; wider than loopback needs insecure_listen"},
    {"port", &Config::port, "gRPC port; 0: any free one, printed at start", 0, kMaxPort},
    {"insecure_listen", &Config::insecure_listen,
     "allow an address beyond loopback although callers are not authenticated"},
    {"tls_certificate", &Config::tls_certificate,
     "PEM file of the server's certificate chain; needs tls_key"},
    {"tls_key", &Config::tls_key, "PEM file of the server's key; needs tls_certificate"},
    {"tls_client_ca", &Config::tls_client_ca, "PEM file; clients must show a certificate signed by it"},
    {"metrics_port", &Config::metrics_port,
     "HTTP port of /metrics on the same address; 0: any free one, -1: none", -1, kMaxPort},
    {"selector", &Config::selector,
     "ask an auxiliary model which tokens to recompute; no: primary_probe does"},
    {"selector_target", &Config::selector_target,
     "host:port of the selector service; empty: serve runs one itself, cacheclip-generation has none"},
    {"selector_tls_ca", &Config::selector_tls_ca,
     "PEM file; reach the selector by TLS and trust this authority"},
    {"selector_model", &Config::selector_model,
     "Hugging Face folder of the auxiliary; empty: the primary, truncated"},
    {"selector_layers", &Config::selector_layers,
     "layers of the auxiliary that are loaded; 0: three quarters of a truncated primary, all of another "
     "model",
     0, 512},
    {"selector_timeout_seconds", &Config::selector_timeout_seconds,
     "longest wait for a selection, then primary_probe", 0.001, kMaxSeconds},
    {"max_divergence", &Config::max_divergence,
     "largest mean KL to full prefill, nats per token, with which reuse is served: generation measures it at "
     "start and prefills in full beyond; 0: not measured",
     0, 100},
    {"profile", &Config::profile,
     "file of `cacheclip tune`; empty: cacheclip_profile.json in the model's folder, if there is one; none"},
    Choice(
        "grouping", &Config::grouping,
        "how scores become groups of tokens; mixed: windows for half of the budget, sentences for the rest",
        "mixed|windows|sentences|paper|tokens"),
    {"window", &Config::window, "tokens per window", 1, 64},
    {"seam_tokens", &Config::seam_tokens,
     "first tokens of each chunk that are always selected, inside the budget; "
     "-1: as the profile says, else 16",
     -1, 64},
    {"recompute_depth", &Config::recompute_depth,
     "share of the layers in which selected tokens are computed anew, so that the budget pays for more of "
     "them; 0: as the profile says, else 1",
     0, 1},
    {"stale_weight", &Config::stale_weight,
     "what attention weights on tokens that are not recomputed are multiplied by, at least, 1: left alone; "
     "0: as the profile says, else 0.3",
     0, 1},
    {"stale_shift", &Config::stale_shift,
     "share of what recomputing changed in tokens by which those like them that are not recomputed are "
     "moved; 0: not at all; -1: as the profile says, else 0.8",
     -1, 1},
    {"local_heads", &Config::local_heads,
     "recomputed tokens attend, in the heads that the profile lists as local, to the beginning and to what "
     "stands near alone; no: to everything before them"},
    {"int8_scores", &Config::int8_scores,
     "passes that recompute multiply queries with keys in int8 on CPUs that are faster so; full prefill "
     "never "
     "does"},
    Size("memory_bytes", &Config::memory_bytes, "memory tier; 0: none", 0, kMaxSize),
    Size("disk_bytes", &Config::disk_bytes, "disk tier, shared by the processes of a data folder; 0: none", 0,
         kMaxSize),
    Size("kv_bytes", &Config::kv_bytes, "KV of all admitted requests", 1, kMaxSize),
    {"max_running_requests", &Config::max_running_requests, "generation requests admitted at once", 1, 1024},
    {"max_waiting_requests", &Config::max_waiting_requests, "waiting for admission; more are refused", 0,
     65536},
    {"max_threads", &Config::max_threads, "running calls of all kinds; more are refused", 16, 65536},
    Size("max_message_bytes", &Config::max_message_bytes, "one gRPC message", 65536, 2147483647),
    {"default_deadline_seconds", &Config::default_deadline_seconds, "of a generation request that names none",
     0.001, kMaxSeconds},
    {"drain_seconds", &Config::drain_seconds,
     "how long running calls may go on after SIGTERM, and then chunks queued by write_mode back be written",
     0, kMaxSeconds},
    Url("redis_url", &Config::redis_url,
        "Redis tier: redis://[[user:]password@]host[:port][,host…][/db], rediss:// with TLS; empty: none"),
    Choice("redis_cluster", &Config::redis_cluster,
           "whether the servers of redis_url are a Redis Cluster; auto: ask them", "auto|yes|no"),
    {"redis_password_file", &Config::redis_password_file,
     "file whose first line is the password of redis_url"},
    {"redis_tls_ca", &Config::redis_tls_ca,
     "PEM file; the servers of a rediss:// redis_url must show a certificate signed by it; "
     "empty: the system's authorities"},
    {"redis_tls_certificate", &Config::redis_tls_certificate,
     "PEM file of the certificate shown to the servers of redis_url; needs redis_tls_key"},
    {"redis_tls_key", &Config::redis_tls_key, "PEM file of its key"},
    {"redis_ttl_seconds", &Config::redis_ttl_seconds, "how long a chunk stays in Redis after its last use",
     60, kMaxTtlSeconds},
    {"redis_timeout_seconds", &Config::redis_timeout_seconds,
     "longest silence of a Redis server, the catalogue's too", 0.01, 3600},
    {"redis_connections", &Config::redis_connections, "to each server of redis_url", 1, 256},
    Url("catalog_url", &Config::catalog_url,
        "catalogue on Redis, written like redis_url; empty: SQLite in the data folder"),
    Choice("catalog_cluster", &Config::catalog_cluster,
           "whether the servers of catalog_url are a Redis Cluster; auto: ask them", "auto|yes|no"),
    {"catalog_password_file", &Config::catalog_password_file,
     "file whose first line is the password of catalog_url"},
    {"catalog_tls_ca", &Config::catalog_tls_ca,
     "PEM file; the authority of a rediss:// catalog_url; empty: redis_tls_ca, else the system's"},
    {"catalog_tls_certificate", &Config::catalog_tls_certificate,
     "PEM file of the certificate shown to the servers of catalog_url; needs catalog_tls_key"},
    {"catalog_tls_key", &Config::catalog_tls_key, "PEM file of its key"},
    {"object_url", &Config::object_url,
     "object tier: s3://bucket/prefix, or file:///folder on a shared file system; empty: none"},
    Size("object_bytes", &Config::object_bytes,
         "chunks in a file:// object tier, beyond them the longest unused go; 0: no bound; a bucket of s3:// "
         "has lifecycle rules instead",
         0, kMaxSize),
    {"s3_endpoint", &Config::s3_endpoint,
     "http(s)://host:port of an S3 server; empty: AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, else Amazon's"},
    {"s3_region", &Config::s3_region, "empty: AWS_REGION, AWS_DEFAULT_REGION, else us-east-1"},
    {"s3_path_style", &Config::s3_path_style, "bucket in the path, as most servers but Amazon's want it"},
    {"s3_tls_ca", &Config::s3_tls_ca,
     "PEM file of the endpoint's authority, and of an AWS_ENDPOINT_URL_STS that is not Amazon's; "
     "empty: the system's"},
    {"s3_credentials_file", &Config::s3_credentials_file,
     "shared credentials file; empty: the environment, AWS_SHARED_CREDENTIALS_FILE, ~/.aws/credentials"},
    {"s3_profile", &Config::s3_profile, "profile in the credentials file; empty: AWS_PROFILE, else default"},
    Choice("write_mode", &Config::write_mode,
           "when remote tiers get new chunks: before the put returns, later (needs disk_bytes), never",
           "through|back|none"),
    Size("write_back_bytes", &Config::write_back_bytes,
         "chunks queued for remote tiers under write_mode back; more are written through", 1, kMaxSize),
    {"load_timeout_seconds", &Config::load_timeout_seconds,
     "longest wait for a stored chunk, then it is computed", 0.001, kMaxSeconds},
    Secret("default_salt", &Config::default_salt,
           "enters the key of every chunk whose namespace has no salt of its own"),
    Choice("log_level", &Config::log_level, "lines below it are dropped", "info|warning|error"),
};

// "redis://user:***@host": what stands between the first ':' behind the scheme and the last '@' is hidden.
std::string WithoutPassword(const std::string& url) {
  const size_t at = url.rfind('@');
  const size_t begin = url.find("://");
  if (at == std::string::npos || begin == std::string::npos || at < begin) return url;
  const size_t user_end = url.find(':', begin + 3);
  const size_t keep = user_end < at ? user_end + 1 : begin + 3;
  return url.substr(0, keep) + "***" + url.substr(at);
}

std::string Upper(std::string_view text) { return absl::AsciiStrToUpper(AbslView(text)); }

}  // namespace

std::span<const Setting> AllSettings() { return kSettings; }

std::string FlagOf(const Setting& setting) {
  return absl::StrCat("--", absl::StrReplaceAll(AbslView(setting.name), {{"_", "-"}}));
}

std::string EnvironmentOf(const Setting& setting) { return absl::StrCat("CACHECLIP_", Upper(setting.name)); }

std::string TypeOf(const Setting& setting) {
  if (setting.is_size) return "size";
  if (!setting.choices.empty()) return absl::StrReplaceAll(AbslView(setting.choices), {{"|", ", "}});
  if (setting.name.ends_with("_seconds")) return "seconds";
  if (setting.name.ends_with("_url")) return "URL";
  if (std::holds_alternative<bool Config::*>(setting.member)) return "yes/no";
  return std::holds_alternative<std::string Config::*>(setting.member) ? "text" : "number";
}

std::string ValueOf(const Setting& setting, const Config& config) {
  struct Visitor {
    const Setting& setting;
    const Config& config;
    std::string operator()(std::string Config::*member) const {
      const std::string& value = config.*member;
      if (setting.is_url) return WithoutPassword(value);
      return setting.is_secret && !value.empty() ? "(set)" : value;
    }
    std::string operator()(int64_t Config::*member) const {
      const int64_t value = config.*member;
      if (!setting.is_size || value == 0) return absl::StrCat(value);
      constexpr std::pair<int, const char*> kUnits[] = {{30, "GiB"}, {20, "MiB"}, {10, "KiB"}};
      for (const auto& [shift, unit] : kUnits)
        if (value % (int64_t{1} << shift) == 0) return absl::StrCat(value >> shift, unit);
      return absl::StrCat(value);
    }
    std::string operator()(double Config::*member) const { return absl::StrCat(config.*member); }
    std::string operator()(bool Config::*member) const { return config.*member ? "yes" : "no"; }
  };
  return std::visit(Visitor{setting, config}, setting.member);
}

std::map<std::string, std::string> EnvironmentSettings() {
  std::map<std::string, std::string> found;
  for (const Setting& setting : kSettings)
    if (const char* value = std::getenv(EnvironmentOf(setting).c_str()))
      found[std::string(setting.name)] = value;
  return found;
}

std::string PrintConfig(const Config& config) {
  std::string yaml;
  for (const Setting& setting : kSettings) {
    const bool is_text = std::holds_alternative<std::string Config::*>(setting.member);
    if (setting.is_secret) continue;
    const std::string value = ValueOf(setting, config);
    absl::StrAppend(&yaml, AbslView(setting.name), ": ", is_text ? "\"" : "",
                    absl::StrReplaceAll(value, {{"\\", "\\\\"}, {"\"", "\\\""}}), is_text ? "\"" : "", "\n");
  }
  return yaml;
}

std::string ConfigTable() {
  std::string table = "| file | flag | environment | type | default | meaning |\n|---|---|---|---|---|---|\n";
  const Config defaults;
  for (const Setting& setting : kSettings) {
    absl::StrAppend(&table, "| `", AbslView(setting.name), "` | `", FlagOf(setting), "` | `",
                    EnvironmentOf(setting), "` | ", TypeOf(setting), " | ", ValueOf(setting, defaults), " | ",
                    AbslView(setting.help), " |\n");
  }
  return table;
}

}  // namespace cacheclip
