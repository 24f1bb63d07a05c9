#include "common/model/kernels/isa.h"

#include <cstdlib>

#include "common/base/logging.h"

namespace cacheclip {
namespace {

Isa ChooseIsa() {
  const Isa best = MachineHas(Isa::kAvx512Bf16) ? Isa::kAvx512Bf16 : Isa::kGeneric;
  const char* forced = std::getenv("CACHECLIP_ISA");
  if (forced == nullptr) return best;
  for (Isa isa : {Isa::kGeneric, Isa::kAvx512Bf16})
    if (IsaName(isa) == forced && MachineHas(isa)) return isa;
  CACHECLIP_LOG(Warning) << "CACHECLIP_ISA=" << forced << " is unknown or not had by this machine; using "
                         << IsaName(best);
  return best;
}

}  // namespace

std::string_view IsaName(Isa isa) { return isa == Isa::kAvx512Bf16 ? "avx512bf16" : "generic"; }

bool MachineHas(Isa isa) {
#if defined(__x86_64__)
  return isa == Isa::kGeneric || (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                                  __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
                                  __builtin_cpu_supports("avx512bf16"));
#else
  return isa == Isa::kGeneric;
#endif
}

Isa ActiveIsa() {
  static const Isa isa = ChooseIsa();
  return isa;
}

}  // namespace cacheclip
