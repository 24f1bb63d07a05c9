#include "common/telemetry/stage.h"

namespace cacheclip {

std::string_view StageName(Stage stage) {
  switch (stage) {
    case Stage::kQueue:
      return "queue";
    case Stage::kResolve:
      return "resolve";
    case Stage::kLoad:
      return "load";
    case Stage::kEncode:
      return "encode";
    case Stage::kSelect:
      return "select";
    case Stage::kAssemble:
      return "assemble";
    case Stage::kRecompute:
      return "recompute";
    case Stage::kDecode:
      return "decode";
  }
  return "unknown";
}

}  // namespace cacheclip
