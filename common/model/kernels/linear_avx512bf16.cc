#include "common/model/kernels/linear.h"
#include "common/model/kernels/linear_run.h"

namespace cacheclip::fp32 {

void LinearAvx512Bf16(const LinearArguments& arguments) {
  RunAs<Element::kBf16Pairs, PlainRows<uint16_t>>(arguments);
}

}  // namespace cacheclip::fp32
