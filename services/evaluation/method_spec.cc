#include "services/evaluation/method_spec.h"

#include <algorithm>
#include <initializer_list>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/status.h"
#include "common/base/string_view.h"

namespace cacheclip {
namespace {

using Pair = std::pair<std::string, std::string>;

absl::Status BadSetting(const std::string& setting) {
  return InvalidField("methods",
                      absl::StrCat("cannot use \"", setting, "\"; settings are ", MethodSettingsHelp()));
}

bool ParsePair(const std::string& text, char separator, int* first, int* second) {
  const Pair pair = absl::StrSplit(text, absl::MaxSplits(separator, 1));
  return absl::SimpleAtoi(pair.first, first) && absl::SimpleAtoi(pair.second, second);
}

bool ParseHeads(const std::string& value, std::vector<HeadId>* heads) {
  for (const std::string& part : std::vector<std::string>(absl::StrSplit(value, '/'))) {
    HeadId head;
    if (!ParsePair(part, '.', &head.layer, &head.head)) return false;
    heads->push_back(head);
  }
  return true;
}

template <typename Value>
bool Choose(const std::string& value, std::initializer_list<std::pair<const char*, Value>> choices,
            Value* out) {
  for (const auto& [name, choice] : choices) {
    if (value != name) continue;
    *out = choice;
    return true;
  }
  return false;
}

bool Apply(const std::string& key, const std::string& value, MethodSpec* spec) {
  AuxiliaryOptions& auxiliary = spec->auxiliary;
  ScoringHeads& heads = spec->method == Method::kPrimaryProbe ? spec->probe : auxiliary.from;
  if (key == "layers" || key == "heads") heads.heads.clear();  // the profile's
  if (key == "layers") return ParsePair(value, '-', &heads.band.begin, &heads.band.end);
  if (key == "heads") return ParseHeads(value, &heads.heads);
  if (key == "window") return absl::SimpleAtoi(value, &spec->selection.window);
  if (key == "seam") return absl::SimpleAtoi(value, &spec->selection.seam_tokens);
  if (key == "follow") return absl::SimpleAtod(value, &spec->selection.follow);
  if (key == "coverage") return absl::SimpleAtod(value, &spec->selection.coverage);
  if (key == "depth") return absl::SimpleAtod(value, &spec->selection.depth);
  if (key == "stale") return absl::SimpleAtod(value, &spec->selection.stale_weight);
  if (key == "shift") return absl::SimpleAtod(value, &spec->selection.stale_shift);
  if (key == "local")
    return Choose<bool>(value, {{"yes", true}, {"no", false}}, &spec->selection.local_heads);
  if (key == "int8") return Choose<bool>(value, {{"yes", true}, {"no", false}}, &spec->selection.int8_scores);
  if (key == "rounds") return absl::SimpleAtoi(value, &spec->staged.rounds);
  if (key == "full") return absl::SimpleAtoi(value, &spec->staged.full_layers);
  if (key == "shrink") return absl::SimpleAtod(value, &spec->staged.shrink);
  if (key == "offset") return absl::SimpleAtod(value, &spec->staged.offset);
  if (key == "behind")
    return Choose<EncodedBehind>(value,
                                 {{"prefix", EncodedBehind::kPrefix},
                                  {"sink", EncodedBehind::kSink},
                                  {"nothing", EncodedBehind::kNothing}},
                                 &spec->behind);
  if (key == "reposition") return Choose<bool>(value, {{"yes", true}, {"no", false}}, &spec->repositions);
  if (key == "pool")
    return Choose<HeadPooling>(value, {{"mean", HeadPooling::kMean}, {"max", HeadPooling::kMax}},
                               &heads.pooling);
  if (key == "rows")
    return Choose<RowPooling>(
        value, {{"mean", RowPooling::kMean}, {"later", RowPooling::kLater}, {"max", RowPooling::kMax}},
        &heads.rows);
  if (key == "norm")
    return Choose<ScoreNormalisation>(
        value, {{"joint", ScoreNormalisation::kJoint}, {"chunk", ScoreNormalisation::kPerChunk}},
        &auxiliary.normalisation);
  if (key == "pass")
    return Choose<AuxiliaryPass>(value,
                                 {{"assembled", AuxiliaryPass::kAssembled},
                                  {"parallel", AuxiliaryPass::kParallel},
                                  {"chunk", AuxiliaryPass::kPerChunk}},
                                 &auxiliary.pass);
  if (key == "group")
    return Choose<Grouping>(value,
                            {{"windows", Grouping::kBudgetExactWindows},
                             {"paper", Grouping::kPaperWindows},
                             {"tokens", Grouping::kTokens},
                             {"mixed", Grouping::kWindowsThenSegments},
                             {"sentences", Grouping::kSegments}},
                            &spec->selection.grouping);
  return false;
}

}  // namespace

absl::StatusOr<MethodSpec> ParseMethodSpec(std::string_view text, const MethodSpec& defaults) {
  const std::vector<std::string> parts = absl::StrSplit(AbslView(text), '+');
  MethodSpec spec = defaults;
  spec.label = std::string(text);
  const absl::StatusOr<Method> method = ParseMethod(parts[0]);
  if (!method.ok()) return FieldError(method.status().code(), "methods", StdView(method.status().message()));
  spec.method = *method;
  for (size_t i = 1; i < parts.size(); ++i) {
    const Pair setting = absl::StrSplit(parts[i], absl::MaxSplits('=', 1));
    if (!Apply(setting.first, setting.second, &spec)) return BadSetting(parts[i]);
  }
  spec.selection.paper_min_candidates = std::min(spec.selection.paper_min_candidates, spec.selection.window);
  CACHECLIP_RETURN_IF_ERROR(ValidateSelectionOptions(spec.selection));
  CACHECLIP_RETURN_IF_ERROR(ValidateStagedOptions(spec.staged));
  if (spec.staged.any() && spec.method != Method::kPrimaryProbe)
    return InvalidField("methods", "rounds, full, shrink and offset are settings of primary_probe alone");
  return spec;
}

absl::StatusOr<std::vector<MethodSpec>> ParseMethodSpecs(std::string_view list, const MethodSpec& defaults) {
  std::vector<MethodSpec> specs;
  for (const absl::string_view text : absl::StrSplit(AbslView(list), ',', absl::SkipEmpty())) {
    CACHECLIP_ASSIGN_OR_RETURN(MethodSpec spec, ParseMethodSpec(StdView(text), defaults));
    specs.push_back(std::move(spec));
  }
  if (specs.empty()) return InvalidField("methods", "must name at least one");
  return specs;
}

std::string MethodSettingsHelp() {
  return "layers=BEGIN-END, heads=LAYER.HEAD/…, pool=mean|max, rows=mean|later|max, norm=joint|chunk, "
         "pass=assembled|parallel|chunk, "
         "group=windows|paper|tokens|sentences|mixed, window=N, seam=N, "
         "follow=SHARE, coverage=SHARE, depth=SHARE, stale=WEIGHT, shift=SHARE, local=yes|no, int8=yes|no, "
         "behind=prefix|sink|nothing, reposition=yes|no; of primary_probe also "
         "rounds=N, full=LAYERS, shrink=SHARE, offset=SHARE";
}

}  // namespace cacheclip
