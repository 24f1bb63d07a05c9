"""Weights that come from a formula instead of a file, bit for bit the same in Python and C++.

For the tensor with Hugging Face name `name` and the flat (row-major) element index `i`:

  h     = fnv1a64(name)                        FNV-1a, 64 bit, over the UTF-8 bytes of the name:
                                               h = 0xcbf29ce484222325, then for each byte
                                               h = (h ^ byte) * 0x100000001b3
  z     = h + i + 0x9e3779b97f4a7c15           splitmix64 of h + i; all arithmetic modulo 2^64
  z     = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
  z     = (z ^ (z >> 27)) * 0x94d049bb133111eb
  z     =  z ^ (z >> 31)
  u     = z >> 40                              the top 24 bits
  x     = (u / 2^24 - 0.5) * 2                 in double, in [-1, 1), exact
  value = float32(offset + scale * x)          in double, rounded once to fp32 (nearest, ties to even)

`offset` and `scale` come from the first entry of RULES whose suffix the name ends in. Every scale is a power
of two, so offset + scale * x is exact in double and a fused multiply-add changes nothing.
A tied head has no tensor of its own: it is `model.embed_tokens.weight`.
"""

import numpy as np

RULES = (
  {"suffix": "norm.weight", "offset": 1.0, "scale": 0.125},
  {"suffix": "embed_tokens.weight", "offset": 0.0, "scale": 0.25},
  {"suffix": "lm_head.weight", "offset": 0.0, "scale": 0.5},
  {"suffix": ".bias", "offset": 0.0, "scale": 0.25},
  {"suffix": "", "offset": 0.0, "scale": 0.25},
)

_MASK = (1 << 64) - 1


def fnv1a64(name: str) -> int:
  state = 0xCBF29CE484222325
  for byte in name.encode("utf-8"):
    state = ((state ^ byte) * 0x100000001B3) & _MASK
  return state


def splitmix64(values: np.ndarray) -> np.ndarray:
  with np.errstate(over="ignore"):
    z = values + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def rule_for(name: str) -> dict:
  return next(rule for rule in RULES if name.endswith(rule["suffix"]))


def tensor(name: str, shape: tuple[int, ...]) -> np.ndarray:
  """The fp32 values of one tensor."""
  with np.errstate(over="ignore"):
    state = np.uint64(fnv1a64(name)) + np.arange(int(np.prod(shape)), dtype=np.uint64)
  top = (splitmix64(state) >> np.uint64(40)).astype(np.float64)
  x = (top / 2.0**24 - 0.5) * 2.0
  rule = rule_for(name)
  return (rule["offset"] + rule["scale"] * x).astype(np.float32).reshape(shape)
