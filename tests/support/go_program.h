// Where the test servers written in Go are: $CACHECLIP_CACHE/go-bin, as tools/setup/test_servers.sh installs
// them. A function; thread-safe.
#pragma once

#include <cstdlib>
#include <string>

namespace cacheclip {

inline std::string GoProgram(const std::string& name) {
  const auto value = [](const char* variable) {
    const char* text = std::getenv(variable);
    return std::string(text == nullptr ? "" : text);
  };
  std::string cache = value("CACHECLIP_CACHE");
  if (cache.empty() && !value("XDG_CACHE_HOME").empty()) cache = value("XDG_CACHE_HOME") + "/cacheclip";
  if (cache.empty()) cache = value("HOME") + "/.cache/cacheclip";
  return cache + "/go-bin/" + name;
}

}  // namespace cacheclip
