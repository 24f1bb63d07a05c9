// The fp32 kernels are compiled for two instruction sets; which of them runs is decided here, in a file that
// any CPU can execute.
#include "common/model/kernels/attention_fp32.h"
#include "common/model/kernels/isa.h"
#include "common/model/kernels/linear.h"

namespace cacheclip::fp32 {

void Attention(const AttentionArguments& arguments, const PlainCache& cache) {
  ActiveIsa() >= Isa::kAvx512 ? AttentionAvx512(arguments, cache) : AttentionAvx2(arguments, cache);
}

void Attention(const AttentionArguments& arguments, const RoundedCache& cache) {
  ActiveIsa() >= Isa::kAvx512 ? AttentionAvx512(arguments, cache) : AttentionAvx2(arguments, cache);
}

void Linear(const LinearArguments& arguments) {
  if (arguments.weights.element == Element::kBf16Pairs) return LinearAvx512Bf16(arguments);
  ActiveIsa() >= Isa::kAvx512 ? LinearAvx512(arguments) : LinearAvx2(arguments);
}

}  // namespace cacheclip::fp32
