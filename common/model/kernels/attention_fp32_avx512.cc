#include "common/model/kernels/attention_fp32.h"
#include "common/model/kernels/attention_fp32_run.h"

namespace cacheclip::fp32 {

void AttentionAvx512(const AttentionArguments& arguments) { RunAttention(arguments); }

}  // namespace cacheclip::fp32
