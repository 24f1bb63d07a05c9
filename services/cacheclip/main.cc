// cacheclip: one binary, many verbs. The table of verbs is in verbs.cc.
#include <functional>
#include <string>

#include "common/base/openmp_environment.h"
#include "services/cacheclip/verb.h"
#include "services/runtime/program_options.h"

int main(int argc, char** argv) {
  cacheclip::EnsurePassiveOpenMp(argv);
  CLI::App app("Answers over retrieved documents at a fraction of the prefill time.", "cacheclip");
  app.require_subcommand(1);
  app.footer(
      "Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 server not reachable.\n"
      "`cacheclip VERB --help` shows examples.");
  std::function<int()> run;
  for (const cacheclip::Verb& verb : cacheclip::AllVerbs()) {
    CLI::App* command = app.add_subcommand(verb.name, verb.summary);
    command->footer(std::string("Examples:\n") + verb.examples);
    command->parse_complete_callback([&run, body = verb.add(*command)] { run = body; });
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? cacheclip::kExitOk : cacheclip::kExitUsage;
  }
  return run();
}
