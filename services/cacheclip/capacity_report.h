// A capacity plan as JSON and as a table for people, each with the assumptions it was made under. Pure
// functions.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "services/cacheclip/capacity_plan.h"

namespace cacheclip {

// "measured", "given" or "assumed": where a speed came from.
struct CapacitySources {
  std::string prefill = "given", decode = "assumed", selection = "assumed";
};

nlohmann::json CapacityJson(const CapacityInput& input, const CapacityPlan& plan,
                            const CapacitySources& sources);
std::string CapacityTable(const CapacityInput& input, const CapacityPlan& plan,
                          const CapacitySources& sources);

// "11.6 MiB": three digits and a binary unit.
std::string ByteText(double bytes);

}  // namespace cacheclip
