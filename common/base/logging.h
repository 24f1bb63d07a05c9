// Log lines on stderr and fatal invariants. One line per event: "I 2026-11-23T18:00:00.123Z engine.cc:42]
// text". CACHECLIP_LOG(Info) << …; severities Info, Warning, Error; SetMinLogSeverity hides the lower ones.
// CACHECLIP_CHECK(condition) << …: aborts with the text; for invariants inside the process, never for input.
// Thread-safe: a line is written with one write(2). (libtorch owns plain LOG and CHECK, hence the prefix.)
#pragma once

#include <sstream>
#include <string_view>

namespace cacheclip {

enum class LogSeverity { kInfo, kWarning, kError, kFatal };

// Lines below `severity` are dropped. Default kInfo. kFatal cannot be dropped.
void SetMinLogSeverity(LogSeverity severity);
LogSeverity MinLogSeverity();

class LogLine {  // collects one line, emits it on destruction; kFatal aborts
 public:
  LogLine(LogSeverity severity, const char* file, int line);
  LogLine(const LogLine&) = delete;
  LogLine& operator=(const LogLine&) = delete;
  ~LogLine();
  std::ostream& stream() { return stream_; }

 private:
  LogSeverity severity_;
  std::ostringstream stream_;
};

}  // namespace cacheclip

#define CACHECLIP_LOG(severity)                                                \
  if (::cacheclip::LogSeverity::k##severity < ::cacheclip::MinLogSeverity()) { \
  } else                                                                       \
    ::cacheclip::LogLine(::cacheclip::LogSeverity::k##severity, __FILE__, __LINE__).stream()

#define CACHECLIP_CHECK(condition)                                                      \
  if (condition) [[likely]] {                                                           \
  } else                                                                                \
    ::cacheclip::LogLine(::cacheclip::LogSeverity::kFatal, __FILE__, __LINE__).stream() \
        << "invariant violated: " #condition " "
