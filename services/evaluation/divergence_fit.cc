#include "services/evaluation/divergence_fit.h"

#include <algorithm>

namespace cacheclip {

std::optional<double> DivergenceFit::per_stale_mass() const {
  if (stale_mass_ <= 0) return std::nullopt;
  return std::max(0.0, kl_) / stale_mass_;
}

}  // namespace cacheclip
