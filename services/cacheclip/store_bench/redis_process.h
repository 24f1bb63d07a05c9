// A redis-server of one's own for the length of a measurement: on loopback, on a free port, keeping nothing
// on disk. Ended by its process id when the object goes, and by the kernel when the thread that started it
// dies in any other way. Belongs to one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include <sys/types.h>

#include "absl/status/statusor.h"

namespace cacheclip {

class RedisProcess {
 public:
  // Answers when this returns. UNAVAILABLE: there is no redis-server on PATH, or it does not come up.
  static absl::StatusOr<std::unique_ptr<RedisProcess>> Start(int64_t max_memory_bytes);
  ~RedisProcess();
  RedisProcess(const RedisProcess&) = delete;
  RedisProcess& operator=(const RedisProcess&) = delete;

  std::string url() const;
  int port() const { return port_; }
  pid_t pid() const { return pid_; }

 private:
  RedisProcess(pid_t pid, int port) : pid_(pid), port_(port) {}

  const pid_t pid_;
  const int port_;
};

}  // namespace cacheclip
