"""Writes one .safetensors file, tensor by tensor, in the order of the names.

Format: 8 bytes little-endian header length, a JSON header padded with spaces to a multiple of 8, then the
tensors' bytes back to back. Only one tensor is in memory at a time.
"""

import json
import os
import pathlib
import struct
from collections.abc import Callable, Iterable

import numpy as np

_HEADER_ALIGNMENT_BYTES = 8
_ITEM_BYTES = {"BF16": 2, "F32": 4}


def round_to_bf16(values: np.ndarray) -> np.ndarray:
  """fp32 to bf16 bits, to nearest, ties to even; a NaN stays a NaN."""
  bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
  rounded = (bits + (np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1)))) >> np.uint32(16)
  quiet_nan = (bits >> np.uint32(16)) | np.uint32(0x40)
  return np.where(np.isnan(values), quiet_nan, rounded).astype(np.uint16)


def encode(values: np.ndarray, dtype: str) -> bytes:
  if dtype == "BF16":
    return round_to_bf16(values).astype("<u2").tobytes()
  return np.ascontiguousarray(values, dtype="<f4").tobytes()


def payload_bytes(shapes: Iterable[tuple[int, ...]], dtype: str) -> int:
  return sum(_ITEM_BYTES[dtype] * int(np.prod(shape)) for shape in shapes)


def write(
  path: pathlib.Path,
  shapes: dict[str, tuple[int, ...]],
  dtype: str,
  load: Callable[[str], np.ndarray],
  on_bytes: Callable[[int], None],
) -> None:
  """Writes the tensors of `shapes`; `load` gives a tensor's fp32 values, `on_bytes` hears of progress."""
  header, offset = {"__metadata__": {"format": "pt"}}, 0
  for name in sorted(shapes):
    size = payload_bytes([shapes[name]], dtype)
    header[name] = {"dtype": dtype, "shape": list(shapes[name]), "data_offsets": [offset, offset + size]}
    offset += size
  text = json.dumps(header, separators=(",", ":")).encode("utf-8")
  text += b" " * (-len(text) % _HEADER_ALIGNMENT_BYTES)
  with open(path, "wb") as handle:
    handle.write(struct.pack("<Q", len(text)) + text)
    written = 0
    for name in sorted(shapes):
      values = load(name)
      if values.shape != tuple(shapes[name]):
        raise ValueError(f"{name}: shape {values.shape}, {shapes[name]} was announced")
      written += handle.write(encode(values, dtype))
      on_bytes(written)
    handle.flush()
    os.fsync(handle.fileno())
