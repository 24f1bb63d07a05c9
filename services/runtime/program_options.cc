#include "services/runtime/program_options.h"

#include <cstdio>
#include <cstdlib>

#include "common/base/logging.h"
#include "common/base/openmp_environment.h"
#include "common/base/status.h"
#include "common/base/string_view.h"
#include "common/rpc/shutdown_signal.h"

namespace cacheclip {
namespace {

LogSeverity SeverityOf(const std::string& level) {
  if (level == "error") return LogSeverity::kError;
  return level == "warning" ? LogSeverity::kWarning : LogSeverity::kInfo;
}

}  // namespace

void AddSettings(CLI::App& app, ProgramOptions* options) {
  for (const Setting& setting : AllSettings()) {
    const std::string name(setting.name);
    app.add_option_function<std::string>(
           FlagOf(setting), [options, name](const std::string& text) { options->flags[name] = text; },
           std::string(setting.help))
        ->type_name(TypeOf(setting))
        ->take_last()
        ->group("Settings (also CACHECLIP_… and the YAML file)");
  }
  app.add_option("--config", options->config_file, "YAML file of settings");
  app.add_flag("--print-config", options->print_config, "print the settings in force as YAML and stop");
  app.add_flag("--check-config", options->check_config, "check the settings and stop");
}

absl::StatusOr<Config> ResolveConfig(const ProgramOptions& options) {
  std::string file = options.config_file;
  if (const char* variable = std::getenv("CACHECLIP_CONFIG"); file.empty() && variable != nullptr)
    file = variable;
  CACHECLIP_ASSIGN_OR_RETURN(
      const Config config,
      LoadConfig({.flags = options.flags, .environment = EnvironmentSettings(), .file = file}));
  SetMinLogSeverity(SeverityOf(config.log_level));
  return config;
}

bool AnswerConfigQuestions(const ProgramOptions& options, const Config& config) {
  if (options.print_config) std::fputs(PrintConfig(config).c_str(), stdout);
  if (options.check_config && !options.print_config) std::puts("configuration ok");
  return options.print_config || options.check_config;
}

int RunWithConfig(const ProgramOptions& options, const std::function<int(const Config& config)>& body) {
  const absl::StatusOr<Config> config = ResolveConfig(options);
  if (!config.ok()) {
    ReportError(config.status());
    return kExitUsage;
  }
  return AnswerConfigQuestions(options, *config) ? static_cast<int>(kExitOk) : body(*config);
}

int RunConfigured(const ProgramOptions& options, absl::Status (*body)(const Config& config, bool json)) {
  return RunWithConfig(options, [&](const Config& config) {
    const absl::Status status = body(config, options.json);
    return status.ok() ? static_cast<int>(kExitOk) : ReportError(status);
  });
}

int RunServerProgram(int argc, char** argv, const std::string& description,
                     absl::Status (*body)(const Config& config, bool json)) {
  EnsurePassiveOpenMp(argv);
  BlockShutdownSignals();
  CLI::App app(description);
  ProgramOptions options;
  AddSettings(app, &options);
  app.add_flag("--json", options.json, "announce readiness as one JSON object");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitOk : kExitUsage;
  }
  return RunConfigured(options, body);
}

int ReportError(const absl::Status& status) {
  std::fprintf(stderr, "cacheclip: %s\n", std::string(status.message()).c_str());
  return absl::IsUnavailable(status) ? kExitUnavailable : kExitFailure;
}

}  // namespace cacheclip
