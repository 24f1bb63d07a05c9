#include "common/model/kernels/linear.h"
#include "common/model/kernels/linear_run.h"

namespace cacheclip::fp32 {

void LinearAvx512Bf16(const LinearArguments& arguments) {
  arguments.rows <= kFewRows ? RunFewRows<Element::kBf16Pairs>(arguments)
                             : RunBlocks<PlainRows<uint16_t>>(arguments);
}

}  // namespace cacheclip::fp32
