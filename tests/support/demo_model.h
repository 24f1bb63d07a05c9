// Where the demo model lies, for tests that make claims about a real model. `make test` fetches it first; a
// run without it skips those tests and says so. Stateless.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>

namespace cacheclip {

inline constexpr char kDemoModelMissing[] =
    "the demo model is not here: run `cacheclip models fetch` (make test does)";

// $CACHECLIP_MODELS, else <cache>/models, as tools/models resolves it.
inline std::optional<std::string> DemoModelDirectory() {
  const auto env = [](const char* name) { return std::string(std::getenv(name) ? std::getenv(name) : ""); };
  std::string cache = env("CACHECLIP_CACHE");
  if (cache.empty()) {
    const std::string xdg = env("XDG_CACHE_HOME");
    cache = (xdg.empty() ? env("HOME") + "/.cache" : xdg) + "/cacheclip";
  }
  const std::string models = env("CACHECLIP_MODELS").empty() ? cache + "/models" : env("CACHECLIP_MODELS");
  const std::string directory = models + "/SmolLM2-135M-Instruct";
  if (!std::filesystem::exists(directory + "/model.safetensors")) return std::nullopt;
  return directory;
}

}  // namespace cacheclip
