// What a process uses now, from /proc. Functions; thread-safe.
#pragma once

#include <cstdint>
#include <fstream>
#include <string>

#include <sys/types.h>

namespace cacheclip {

// Resident, without the pages of mapped files, which the kernel takes back at will. 0: there is no such
// process.
inline int64_t ResidentBytes(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/status");
  for (std::string word; file >> word;) {
    int64_t kibibytes = 0;
    if (word == "RssAnon:" && file >> kibibytes) return kibibytes << 10;
  }
  return 0;
}

}  // namespace cacheclip
