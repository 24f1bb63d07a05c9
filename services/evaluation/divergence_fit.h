// The coefficient of the divergence estimate (common/select/divergence.h) from pairs of stale mass and KL:
// the one with which estimates and KL have the same mean. Means rather than squares, because KL is
// heavy-tailed and a few bad answers would decide. Not thread-safe.
#pragma once

#include <optional>

namespace cacheclip {

class DivergenceFit {
 public:
  void Add(double stale_mass_share, double kl) {
    stale_mass_ += stale_mass_share;
    kl_ += kl;
  }

  // Nothing where no answer had stale mass. A negative KL is rounding: never below 0.
  std::optional<double> per_stale_mass() const;

 private:
  double stale_mass_ = 0, kl_ = 0;  // sums
};

}  // namespace cacheclip
