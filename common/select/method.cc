#include "common/select/method.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/logging.h"
#include "common/base/status.h"
#include "common/base/string_view.h"

namespace cacheclip {
namespace {

// In the order of the enumeration, so that a method is its own index.
constexpr MethodInfo kMethods[] = {
    {Method::kAuto, "auto", "auxiliary with a selector configured, else primary_probe"},
    {Method::kAuxiliary, "auxiliary",
     "attention of an auxiliary model, normalised over all chunks, budget-exact windows"},
    {Method::kAuxiliaryPaper, "auxiliary_paper",
     "last layer of the auxiliary, softmax per chunk, paper grouping"},
    {Method::kPrimaryProbe, "primary_probe", "attention of the primary's middle layers over the stale cache"},
    {Method::kKvDeviation, "kv_deviation", "deviation of fresh from stale keys and values at an early layer"},
    {Method::kChunkHead, "chunk_head", "the first tokens of each chunk"},
    {Method::kRandom, "random", "seeded random tokens (control)"},
    {Method::kNone, "none", "no recompute (control)"},
    {Method::kFull, "full", "full prefill (control)"},
};

}  // namespace

std::span<const MethodInfo> AllMethods() { return kMethods; }

std::string_view MethodId(Method method) {
  const size_t index = static_cast<size_t>(method);
  CACHECLIP_CHECK(index < std::size(kMethods) && kMethods[index].method == method)
      << "method " << index << " is not at its place in the table";
  return kMethods[index].id;
}

absl::StatusOr<Method> ParseMethod(std::string_view id) {
  for (const MethodInfo& info : kMethods)
    if (info.id == id) return info.method;
  return InvalidField("options.method",
                      absl::StrCat("\"", AbslView(id), "\" is unknown; known are ", KnownMethodIds()));
}

std::string KnownMethodIds() {
  return absl::StrJoin(kMethods, ", ",
                       [](std::string* out, const MethodInfo& info) { out->append(info.id); });
}

}  // namespace cacheclip
