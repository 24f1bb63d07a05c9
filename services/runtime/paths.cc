#include "services/runtime/paths.h"

#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace cacheclip {
namespace {

constexpr char kDemoModel[] = "SmolLM2-135M-Instruct";

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// $variable/cacheclip, else ~/fallback/cacheclip.
std::string UserFolder(const char* variable, const char* fallback) {
  const std::string base = Environment(variable);
  return absl::StrCat(base.empty() ? absl::StrCat(Environment("HOME"), "/", fallback) : base, "/cacheclip");
}

}  // namespace

std::string CacheFolder() {
  const std::string folder = Environment("CACHECLIP_CACHE");
  return folder.empty() ? UserFolder("XDG_CACHE_HOME", ".cache") : folder;
}

std::string ModelsFolder() {
  const std::string folder = Environment("CACHECLIP_MODELS");
  return folder.empty() ? absl::StrCat(CacheFolder(), "/models") : folder;
}

std::string ModelFolder(const Config& config) {
  return config.model.empty() ? absl::StrCat(ModelsFolder(), "/", kDemoModel) : config.model;
}

std::string DataFolder(const Config& config) {
  return config.data_dir.empty() ? UserFolder("XDG_DATA_HOME", ".local/share") : config.data_dir;
}

std::string CatalogFile(const std::string& data_folder) {
  return absl::StrCat(data_folder, "/catalog.sqlite");
}
std::string ChunksFolder(const std::string& data_folder) { return absl::StrCat(data_folder, "/chunks"); }
std::string WriteBackFolder(const std::string& data_folder) {
  return absl::StrCat(data_folder, "/write_back");
}
std::string LocalIndexFile(const std::string& data_folder) {
  return absl::StrCat(data_folder, "/index.sqlite");
}

absl::Status MakeDataFolder(const std::string& data_folder) {
  namespace fs = std::filesystem;
  std::error_code error;
  const bool existed = fs::exists(data_folder, error);
  fs::create_directories(data_folder, error);
  if (error) {
    return FieldError(absl::StatusCode::kFailedPrecondition, "data_dir",
                      absl::StrCat("cannot create ", data_folder, ": ", error.message()));
  }
  if (!existed)
    fs::permissions(data_folder, fs::perms::owner_all, error);  // documents are nobody else's business
  return absl::OkStatus();
}

}  // namespace cacheclip
