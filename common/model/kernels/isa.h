// Which instruction set the kernels may use, decided once at run time. CACHECLIP_ISA=generic|avx2|avx512bf16
// forces one (an instruction set the machine lacks is ignored with a warning). Thread-safe.
#pragma once

#include <string_view>

namespace cacheclip {

enum class Isa { kGeneric, kAvx2, kAvx512Bf16 };  // ascending: a machine that has one has those before it

std::string_view IsaName(Isa isa);  // "generic", "avx2", "avx512bf16"
bool MachineHas(Isa isa);
Isa ActiveIsa();  // the best the machine has, or what CACHECLIP_ISA forces

}  // namespace cacheclip
