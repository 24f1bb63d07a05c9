#include "common/model/kernels/isa.h"

#include <algorithm>
#include <cstdlib>

#include "common/base/logging.h"

namespace cacheclip {
namespace {

constexpr Isa kBestFirst[] = {Isa::kAvx512Bf16, Isa::kAvx512, Isa::kAvx2, Isa::kGeneric};

bool IsFast(Isa isa) { return MachineHas(isa) && (isa != Isa::kAvx512Bf16 || MachineIsFastWithBf16()); }

Isa ChooseIsa() {
  const Isa best = *std::ranges::find_if(kBestFirst, IsFast);
  const char* forced = std::getenv("CACHECLIP_ISA");
  if (forced == nullptr) return best;
  for (const Isa isa : kBestFirst)
    if (IsaName(isa) == forced && MachineHas(isa)) return isa;
  CACHECLIP_LOG(Warning) << "CACHECLIP_ISA=" << forced << " is unknown or not had by this machine; using "
                         << IsaName(best);
  return best;
}

}  // namespace

std::string_view IsaName(Isa isa) {
  switch (isa) {
    case Isa::kAvx512:
      return "avx512";
    case Isa::kAvx512Bf16:
      return "avx512bf16";
    case Isa::kAvx2:
      return "avx2";
    case Isa::kGeneric:
      return "generic";
  }
  return "generic";
}

bool MachineHas(Isa isa) {
  if (isa == Isa::kGeneric) return true;
#if defined(__x86_64__)
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (isa == Isa::kAvx2) return avx2;
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vnni");
  return avx512 && (isa == Isa::kAvx512 || __builtin_cpu_supports("avx512bf16"));
#else
  return false;
#endif
}

bool MachineIsFastWithBf16() {
#if defined(__x86_64__)
  return MachineHas(Isa::kAvx512Bf16) && (!__builtin_cpu_is("intel") || __builtin_cpu_supports("amx-bf16"));
#else
  return false;
#endif
}

Isa ActiveIsa() {
  static const Isa isa = ChooseIsa();
  return isa;
}

}  // namespace cacheclip
