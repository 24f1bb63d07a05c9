"""Recovers llama3 RoPE scaling from the per-frequency factors that a GGUF stores in rope_freqs.weight.

The factors depend on `factor` and on two wavelengths only: below original/high_freq_factor a frequency is
kept (1), above original/low_freq_factor it is divided by `factor`, between them the reciprocal of what it is
divided by is linear in 1/wavelength.
(low, high, original) are known up to a common multiple, so low_freq_factor is taken as 1.
"""

import math

import numpy as np

from . import errors

# The published configurations, tried first: the numbers then come out as they were written.
_USUAL_ORIGINAL_CONTEXT = 8192
_USUAL_LOW, _USUAL_HIGH = 1.0, 4.0
_RELATIVE_TOLERANCE = 1e-4


def llama3_factors(scaling: dict, theta: float, head_dim: int) -> np.ndarray:
  """What each inverse frequency is divided by: the definition, in double."""
  exponents = np.arange(0, head_dim, 2, dtype=np.float64) / head_dim
  wavelengths = 2 * math.pi * theta**exponents
  low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
  smooth = (scaling["original_max_position_embeddings"] / wavelengths - low) / (high - low)
  smooth = np.clip(smooth, 0.0, 1.0)
  return 1.0 / ((1.0 - smooth) / scaling["factor"] + smooth)


def llama3_from_factors(factors: np.ndarray, theta: float, head_dim: int) -> dict | None:
  if factors.shape != (head_dim // 2,):
    raise errors.UnsupportedModelError(
      f"rope_freqs.weight has {factors.size} factors, {head_dim // 2} are expected"
    )
  if np.all(factors == 1.0):
    return None
  factor = float(factors.max())
  factor = float(round(factor)) if abs(factor - round(factor)) < 1e-3 else factor
  usual = _scaling(factor, _USUAL_LOW, _USUAL_HIGH, _USUAL_ORIGINAL_CONTEXT)
  for scaling in (usual, _fit(factors, theta, head_dim, factor)):
    if scaling and np.allclose(
      llama3_factors(scaling, theta, head_dim), factors, rtol=_RELATIVE_TOLERANCE, atol=0
    ):
      return scaling
  raise errors.UnsupportedModelError(
    "rope_freqs.weight does not follow the llama3 RoPE scaling: not supported"
  )


def _scaling(factor: float, low: float, high: float, original: int) -> dict:
  return {
    "rope_type": "llama3",
    "factor": factor,
    "low_freq_factor": low,
    "high_freq_factor": high,
    "original_max_position_embeddings": original,
  }


def _fit(factors: np.ndarray, theta: float, head_dim: int, factor: float) -> dict | None:
  """Solves smooth = slope / wavelength + offset from the frequencies between the two wavelengths."""
  exponents = np.arange(0, head_dim, 2, dtype=np.float64) / head_dim
  inverse_wavelengths = 1.0 / (2 * math.pi * theta**exponents)
  smooth = (1.0 / factors.astype(np.float64) - 1.0 / factor) / (1.0 - 1.0 / factor)
  between = (smooth > 1e-5) & (smooth < 1 - 1e-5)
  if between.sum() < 2:
    return None
  slope, offset = np.polyfit(inverse_wavelengths[between], smooth[between], 1)
  if offset >= 0:
    return None
  # slope = original / (high - low), offset = -low / (high - low), with low = 1.
  high = 1.0 - 1.0 / offset
  original = round(slope * (high - 1.0))
  nearest = round(high, 3)
  return _scaling(factor, 1.0, nearest, original)
