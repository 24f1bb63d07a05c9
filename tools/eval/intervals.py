"""Means with bootstrap intervals; paired where two methods saw the same samples."""

import dataclasses

import numpy as np

_NUM_RESAMPLES = 10_000
_SEED = 20260101


@dataclasses.dataclass(frozen=True)
class Estimate:
  """A mean and its 95 % percentile interval."""

  mean: float
  low: float
  high: float
  num_samples: int

  def excludes_zero(self) -> bool:
    return self.low > 0 or self.high < 0


def mean(values) -> Estimate:
  """The mean of `values`, resampled over samples. At least one value."""
  array = np.asarray(list(values), dtype=float)
  random = np.random.default_rng(_SEED)
  means = array[random.integers(0, len(array), size=(_NUM_RESAMPLES, len(array)))].mean(axis=1)
  low, high = np.percentile(means, [2.5, 97.5])
  return Estimate(float(array.mean()), float(low), float(high), len(array))


def paired_difference(first: dict, second: dict) -> Estimate | None:
  """first − second over the samples both have; None if there are none."""
  common = [sample for sample in first if sample in second]
  return mean(first[sample] - second[sample] for sample in common) if common else None


def ratio(numerators: dict, denominators: dict) -> Estimate | None:
  """The ratio of the means over the samples both have, resampled together; None if there are none."""
  common = [sample for sample in numerators if sample in denominators]
  if not common:
    return None
  values = np.array([[numerators[sample], denominators[sample]] for sample in common], dtype=float)
  random = np.random.default_rng(_SEED)
  means = values[random.integers(0, len(values), size=(_NUM_RESAMPLES, len(values)))].mean(axis=1)
  low, high = np.percentile(means[:, 0] / means[:, 1], [2.5, 97.5])
  total = values.mean(axis=0)
  return Estimate(float(total[0] / total[1]), float(low), float(high), len(common))


def closed_gap(method: dict, none: dict) -> Estimate | None:
  """1 − KL(method) / KL(no recompute), over the samples both have."""
  left = ratio(method, none)
  return left and Estimate(1 - left.mean, 1 - left.high, 1 - left.low, left.num_samples)


def worst_tenth(values) -> float:
  """The mean of the highest tenth (at least one)."""
  array = np.sort(np.asarray(list(values), dtype=float))[::-1]
  return float(array[: max(1, len(array) // 10)].mean())
