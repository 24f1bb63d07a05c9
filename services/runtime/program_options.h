// The command line of a server program: a flag per setting, --config FILE, --print-config, --check-config,
// --json. For the three service binaries and `cacheclip serve`. Belongs to one thread.
#pragma once

#include <functional>
#include <map>
#include <string>

#include <CLI/CLI.hpp>

#include "absl/status/statusor.h"
#include "services/runtime/config.h"

namespace cacheclip {

enum ExitCode : int {
  kExitOk = 0,
  kExitFailure = 1,      // the work failed; stderr says why
  kExitUsage = 2,        // flags, environment or file are wrong
  kExitUnavailable = 3,  // a server cannot be reached, or this one cannot listen
};

// What the flags of one command were set to.
struct ProgramOptions {
  std::map<std::string, std::string> flags;  // by setting name
  std::string config_file;
  bool print_config = false, check_config = false, json = false;
};

// Adds the flags to `app`; `options` must outlive the parse.
void AddSettings(CLI::App& app, ProgramOptions* options);

// Flags over environment over file over defaults. Sets the log level.
absl::StatusOr<Config> ResolveConfig(const ProgramOptions& options);

// Answers --print-config and --check-config: true if the program is done.
bool AnswerConfigQuestions(const ProgramOptions& options, const Config& config);

// Resolves, answers questions, runs `body`. Returns its exit code, or kExitUsage for settings that are wrong.
int RunWithConfig(const ProgramOptions& options, const std::function<int(const Config& config)>& body);

// The same for a server: reports the body's error on stderr.
int RunConfigured(const ProgramOptions& options, absl::Status (*body)(const Config& config, bool json));

// The whole main of a service: blocks the signals, parses, RunConfigured().
int RunServerProgram(int argc, char** argv, const std::string& description,
                     absl::Status (*body)(const Config& config, bool json));

// Writes "cacheclip: <message>" to stderr and returns the exit code that fits.
int ReportError(const absl::Status& status);

}  // namespace cacheclip
