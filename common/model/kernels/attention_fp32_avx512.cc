#include "common/model/kernels/attention_fp32.h"
#include "common/model/kernels/attention_fp32_run.h"

namespace cacheclip::fp32 {

void AttentionAvx512(const AttentionArguments& arguments, const PlainCache& cache) {
  RunAttention(arguments, cache);
}

void AttentionAvx512(const AttentionArguments& arguments, const RoundedCache& cache) {
  RunAttention(arguments, cache);
}

}  // namespace cacheclip::fp32
