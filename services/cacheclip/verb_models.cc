// cacheclip models: hands over to the Python tool under tools/models (installed beside this program, or in
// the source tree).
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include <unistd.h>

#include "services/cacheclip/verb.h"
#include "services/runtime/program_options.h"

namespace cacheclip {
namespace {

// First what was installed with this binary, then the tree it was built from.
std::string ToolFile() {
  std::error_code error;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error);
  const auto installed =
      program.parent_path().parent_path() / "share/cacheclip/tools/models/cacheclip_models.py";
  if (std::filesystem::exists(installed, error)) return installed.string();
  return std::string(CACHECLIP_TOOLS_DIR) + "/models/cacheclip_models.py";
}

int Execute(std::vector<std::string> arguments) {
  if (arguments.empty()) arguments = {"--help"};
  arguments.insert(arguments.begin(), {"python3", ToolFile()});
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  setenv("CACHECLIP_MODELS_PROGRAM", "cacheclip models", 1);
  execvp("python3", pointers.data());
  std::fprintf(stderr, "cacheclip: cannot run python3: %s\n", std::strerror(errno));
  return kExitFailure;
}

}  // namespace

VerbRun AddModels(CLI::App& app) {
  app.prefix_command();  // everything behind the verb belongs to the tool
  app.set_help_flag();
  return [&app] { return Execute(app.remaining()); };
}

}  // namespace cacheclip
