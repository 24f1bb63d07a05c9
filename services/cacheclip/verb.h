// A verb of the command line: `cacheclip ask …`. One file per verb (verb_ask.cc), one line in the table
// (verbs.cc). Adding a verb declares its flags on a CLI11 subcommand and returns what to run after parsing.
// One thread.
//
// Conventions: results on stdout, progress and errors on stderr; with --json stdout is exactly one JSON
// object. Exit codes are in services/runtime/program_options.h.
#pragma once

#include <functional>
#include <span>

#include <CLI/CLI.hpp>

namespace cacheclip {

using VerbRun = std::function<int()>;

struct Verb {
  const char* name;
  const char* summary;
  const char* examples;  // lines of --help
  VerbRun (*add)(CLI::App& app);
};

std::span<const Verb> AllVerbs();

VerbRun AddServe(CLI::App& app);
VerbRun AddIngest(CLI::App& app);
VerbRun AddAsk(CLI::App& app);
VerbRun AddGenerate(CLI::App& app);
VerbRun AddInspect(CLI::App& app);
VerbRun AddVerify(CLI::App& app);
VerbRun AddPurge(CLI::App& app);
VerbRun AddPreload(CLI::App& app);
VerbRun AddModels(CLI::App& app);
VerbRun AddBench(CLI::App& app);
VerbRun AddEval(CLI::App& app);
VerbRun AddTune(CLI::App& app);
VerbRun AddPlan(CLI::App& app);
VerbRun AddHealth(CLI::App& app);

}  // namespace cacheclip
