// A request's account as JSON (field names of the API), as one line, as a table of its stages, and as one
// that compares methods. Pure functions.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "common/engine/generate_request.h"

namespace cacheclip {

nlohmann::json UsageJson(const Usage& usage);

// "auxiliary: first token 0.41 s, 2013 context tokens, 402 recomputed (20.0 %), cached memory 1800 disk 213"
std::string UsageLine(const Usage& usage);

// A line per stage, in the order they begin: seconds and share of the time to the first token; decode, which
// comes after it, per token.
std::string StageTable(const Usage& usage);

struct MethodRun {
  std::string asked;  // method id
  GenerateResult result;
};

// One row per run: method, time to first token, tokens recomputed, tokens from cache per tier, answer equal
// to the first run's.
std::string ComparisonTable(const std::vector<MethodRun>& runs);

}  // namespace cacheclip
