// Which instruction set the kernels use, decided once at run time.
// CACHECLIP_ISA=generic|avx2|avx512|avx512bf16 forces one (an instruction set the machine lacks is ignored
// with a warning). Thread-safe.
#pragma once

#include <string_view>

namespace cacheclip {

enum class Isa {  // ascending: a machine that has one has those before it
  kGeneric,
  kAvx2,        // fp32 arithmetic, with FMA
  kAvx512,      // the same with vectors twice as wide, and VNNI
  kAvx512Bf16,  // products of bf16
};

std::string_view IsaName(Isa isa);  // "generic", "avx2", "avx512", "avx512bf16"
bool MachineHas(Isa isa);

// Whether products of bf16 are faster here than products of fp32. Cores that leave bf16 to a matrix unit
// (AMX) do them at less than half of the speed of fp32 where that unit is hidden, as in many virtual
// machines.
bool MachineIsFastWithBf16();

// What CACHECLIP_ISA forces, or the fastest the machine has.
Isa ActiveIsa();

}  // namespace cacheclip
