#include "common/base/logging.h"

#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <string>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace cacheclip {
namespace {
std::atomic<LogSeverity> min_severity{LogSeverity::kInfo};
}

void SetMinLogSeverity(LogSeverity severity) { min_severity = severity; }
LogSeverity MinLogSeverity() { return min_severity; }

LogLine::LogLine(LogSeverity severity, const char* file, int line) : severity_(severity) {
  const std::string_view path(file);
  stream_ << "IWEF"[static_cast<int>(severity)] << ' '
          << absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", absl::Now(), absl::UTCTimeZone()) << ' '
          << path.substr(path.rfind('/') + 1) << ':' << line << "] ";
}

LogLine::~LogLine() {
  stream_ << '\n';
  const std::string text = stream_.str();
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
  if (severity_ == LogSeverity::kFatal) std::abort();
}

}  // namespace cacheclip
