#include "common/model/kernels/linear.h"
#include "common/model/kernels/linear_run.h"

namespace cacheclip::fp32 {

void LinearAvx512(const LinearArguments& arguments) { RunLinear(arguments); }

}  // namespace cacheclip::fp32
