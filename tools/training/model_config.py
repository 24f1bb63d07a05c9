"""The shape of a model, read from config.json: the families that the selector loads (common/model/config.h)."""

import dataclasses
import json
import pathlib

from . import errors

FAMILIES = ("llama", "mistral", "qwen2", "qwen3")
_ROPE_KINDS = ("default", "linear", "llama3")


@dataclasses.dataclass(frozen=True)
class Rope:
  theta: float
  kind: str
  factor: float = 1.0
  low_frequency_factor: float = 1.0
  high_frequency_factor: float = 4.0
  original_max_positions: int = 8192


@dataclasses.dataclass(frozen=True)
class ModelConfig:
  family: str
  num_layers: int
  num_heads: int
  num_kv_heads: int
  head_dim: int
  hidden_size: int
  vocab_size: int
  max_positions: int
  norm_epsilon: float
  rope: Rope
  tied_head: bool


def read(folder: pathlib.Path) -> tuple[ModelConfig, dict]:
  """The shape, and the whole of config.json. UsageError if there is none; UnsupportedModelError says why."""
  path = folder / "config.json"
  try:
    content = json.loads(path.read_text(encoding="utf-8"))
  except OSError as error:
    raise errors.UsageError(f"{folder} is no Hugging Face directory: {error.strerror} (config.json)") from error
  except ValueError as error:
    raise errors.UsageError(f"{path}: {error}") from error
  try:
    return _parse(content), content
  except KeyError as error:
    raise errors.UnsupportedModelError(f"{path} lacks {error}") from error


def _parse(content: dict) -> ModelConfig:
  family = content.get("model_type", "")
  _require(family in FAMILIES, f'model_type "{family}" (supported: {", ".join(FAMILIES)})')
  _require(content.get("hidden_act", "silu") == "silu", f'hidden_act "{content.get("hidden_act")}"')
  _require("quantization_config" not in content, "a quantised checkpoint")
  if family in ("qwen2", "qwen3"):
    _require(not content.get("use_sliding_window"), "sliding-window attention")
  else:
    _require(content.get("sliding_window") is None, "sliding-window attention")
  hidden_size, num_heads = content["hidden_size"], content["num_attention_heads"]
  return ModelConfig(
    family=family,
    num_layers=content["num_hidden_layers"],
    num_heads=num_heads,
    num_kv_heads=content.get("num_key_value_heads") or num_heads,
    head_dim=content.get("head_dim") or hidden_size // num_heads,
    hidden_size=hidden_size,
    vocab_size=content["vocab_size"],
    max_positions=content.get("max_position_embeddings") or 2048,
    norm_epsilon=content.get("rms_norm_eps", 1e-6),
    rope=_rope(content),
    tied_head=bool(content.get("tie_word_embeddings", False)),
  )


def _rope(content: dict) -> Rope:
  scaling = content.get("rope_parameters") or content.get("rope_scaling") or {}
  kind = scaling.get("rope_type") or scaling.get("type") or "default"
  _require(kind in _ROPE_KINDS, f'RoPE scaling kind "{kind}" (supported: {", ".join(_ROPE_KINDS)})')
  return Rope(
    theta=float(scaling.get("rope_theta") or content.get("rope_theta") or 10000.0),
    kind=kind,
    factor=float(scaling.get("factor", 1.0)),
    low_frequency_factor=float(scaling.get("low_freq_factor", 1.0)),
    high_frequency_factor=float(scaling.get("high_freq_factor", 4.0)),
    original_max_positions=int(scaling.get("original_max_position_embeddings", 8192)),
  )


def _require(holds: bool, what: str) -> None:
  if not holds:
    raise errors.UnsupportedModelError(f"this model is not supported: {what}")


@dataclasses.dataclass(frozen=True)
class Band:
  """Layers [begin, end) whose attention counts."""

  begin: int
  end: int

  def __str__(self) -> str:
    return f"{self.begin}-{self.end}"


def parse_band(text: str, num_layers: int, name: str) -> Band:
  begin, _, end = text.partition("-")
  if not (begin.isdigit() and end.isdigit() and int(begin) < int(end) <= num_layers):
    raise errors.UsageError(f"{name} must be BEGIN-END with BEGIN < END <= {num_layers}, got {text}")
  return Band(int(begin), int(end))


def teacher_band(num_layers: int) -> Band:
  """[L/2, 3L/4): what finds the answer in the demo model (docs/training.md)."""
  return Band(num_layers // 2, max(num_layers // 2 + 1, 3 * num_layers // 4))


def student_band(num_layers: int) -> Band:
  """The upper half: the layers below are needed to reach it, layers above it would not be."""
  return Band(num_layers // 2, num_layers)
