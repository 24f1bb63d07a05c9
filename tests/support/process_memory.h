// What a process uses now, from /proc. Functions; thread-safe.
#pragma once

#include <cstdint>
#include <fstream>
#include <string>

#include <sys/types.h>
#include <unistd.h>

namespace cacheclip {

// 0: there is no such process.
inline int64_t ResidentBytes(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/statm");
  int64_t total_pages = 0, resident_pages = 0;
  file >> total_pages >> resident_pages;
  return resident_pages * ::sysconf(_SC_PAGESIZE);
}

}  // namespace cacheclip
