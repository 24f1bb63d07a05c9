// A method with its settings, as an evaluation names it: "primary_probe", or with other settings than the
// product's "primary_probe+layers=15-22+group=sentences". Plain values; thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/model/scoring/scoring.h"
#include "common/select/method.h"
#include "common/select/selection.h"
#include "services/evaluation/staged_choice.h"

namespace cacheclip {

// What the chunks that a method reuses were encoded behind.
enum class EncodedBehind { kPrefix, kSink, kNothing };  // kSink: the prefix's first kSinkTokens tokens
inline constexpr size_t kSinkTokens = 4;

struct MethodSpec {
  std::string label;  // as written; names the method in reports
  Method method = Method::kNone;
  SelectionOptions selection;  // the budget comes with each run
  AuxiliaryOptions auxiliary;  // kAuxiliary
  ScoringHeads probe;          // kPrimaryProbe
  // Other than the product: what sharing a prefix and repositioning are worth. A selector's own chunks are
  // always encoded behind the prefix.
  EncodedBehind behind = EncodedBehind::kPrefix;
  bool repositions = true;
  StagedOptions staged;  // kPrimaryProbe

  bool has_budget() const { return method != Method::kNone && method != Method::kFull; }
};

// The settings: layers=BEGIN-END (half open), heads=LAYER.HEAD/LAYER.HEAD…, pool=mean|max,
// rows=mean|later|max, norm=joint|chunk, pass=assembled|parallel|chunk,
// group=windows|paper|tokens|sentences|mixed, window=N, seam=N, follow=SHARE, coverage=SHARE, depth=SHARE,
// stale=WEIGHT, shift=SHARE, local=yes|no, int8=yes|no, behind=prefix|sink|nothing, reposition=yes|no,
// rounds=N, full=LAYERS, shrink=SHARE, offset=SHARE. INVALID_ARGUMENT naming "methods".
// `defaults`: what a method without settings does.
absl::StatusOr<MethodSpec> ParseMethodSpec(std::string_view text, const MethodSpec& defaults);
absl::StatusOr<std::vector<MethodSpec>> ParseMethodSpecs(std::string_view list, const MethodSpec& defaults);

std::string MethodSettingsHelp();

}  // namespace cacheclip
