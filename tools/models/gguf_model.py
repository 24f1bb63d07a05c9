"""A GGUF file as a Hugging Face model: metadata to config.json, tensor names, and the weights in fp32.

Families: llama (also what Mistral without a sliding window is stored as), qwen2, qwen3. Whatever this file
does not understand (a tensor, a RoPE scaling, an attention variant) is refused by name, never dropped.
"""

import pathlib
import re

import gguf
import numpy as np
from gguf import quants

from . import errors
from . import rope_scaling

ARCHITECTURES = {"llama": "LlamaForCausalLM", "qwen2": "Qwen2ForCausalLM", "qwen3": "Qwen3ForCausalLM"}
ROPE_FREQS = "rope_freqs.weight"

_TOP_LEVEL = {
  "token_embd.weight": "model.embed_tokens.weight",
  "output_norm.weight": "model.norm.weight",
  "output.weight": "lm_head.weight",
}
_PER_LAYER = {
  "attn_norm": "input_layernorm",
  "ffn_norm": "post_attention_layernorm",
  "attn_q": "self_attn.q_proj",
  "attn_k": "self_attn.k_proj",
  "attn_v": "self_attn.v_proj",
  "attn_output": "self_attn.o_proj",
  "attn_q_norm": "self_attn.q_norm",
  "attn_k_norm": "self_attn.k_norm",
  "ffn_gate": "mlp.gate_proj",
  "ffn_up": "mlp.up_proj",
  "ffn_down": "mlp.down_proj",
}
# Metadata that changes the arithmetic in ways that the three families do not have.
_REFUSED_KEYS = (
  "attention.sliding_window",
  "attention.scale",
  "attention.clamp_kqv",
  "attention.max_alibi_bias",
  "logit_scale",
  "residual_scale",
  "embedding_scale",
  "expert_count",
  "attn_logit_softcapping",
  "final_logit_softcapping",
)
_LAYER_TENSOR = re.compile(r"blk\.(\d+)\.([a-z_]+)\.(weight|bias)")


def shortest(value: float) -> float:
  """The shortest decimal that is the same fp32: GGUF stores 1e-05 as fp32 9.999999747378752e-06."""
  return float(str(np.float32(value)))


class GgufModel:
  """Read access to one GGUF file, memory-mapped. Not thread-safe."""

  def __init__(self, path: pathlib.Path):
    try:
      self._reader = gguf.GGUFReader(str(path))
    except (ValueError, IndexError, KeyError) as error:
      raise errors.UnsupportedModelError(f"{path} is not a readable GGUF file: {error}") from error
    self.path = path
    self.architecture = self.require("general.architecture")
    if self.architecture not in ARCHITECTURES:
      raise errors.UnsupportedModelError(
        f"{path}: architecture {self.architecture!r} is not supported (supported: {', '.join(ARCHITECTURES)})"
      )
    self._tensors = {tensor.name: tensor for tensor in self._reader.tensors}
    self._refuse_variants()
    self._hf_to_gguf = {self._hf_name(name): name for name in self._tensors if name != ROPE_FREQS}
    self._require_tensors()

  def get(self, key: str, default=None):
    field = self._reader.get_field(key)
    return default if field is None else field.contents()

  def require(self, key: str):
    value = self.get(key)
    if value is None:
      raise errors.UnsupportedModelError(f"{self.path} lacks the metadata {key!r}")
    return value

  def arch(self, key: str, default=None):
    return self.get(f"{self.architecture}.{key}", default)

  def _scalar(self, key: str, default=None) -> int:
    value = self.arch(key, default)
    if value is None:
      raise errors.UnsupportedModelError(f"{self.path} lacks the metadata '{self.architecture}.{key}'")
    if isinstance(value, list):
      if len(set(value)) != 1:
        raise errors.UnsupportedModelError(
          f"{self.path}: {key} differs between layers, which is not supported"
        )
      value = value[0]
    return int(value)

  def _refuse_variants(self) -> None:
    for key in _REFUSED_KEYS:
      value = self.arch(key)
      if value:
        raise errors.UnsupportedModelError(
          f"{self.path}: {self.architecture}.{key} = {value} is not supported"
        )
    if int(self.get("split.count", 1)) > 1:
      raise errors.UnsupportedModelError(f"{self.path} is one part of a split GGUF: merge the parts first")
    if self.arch("rope.dimension_count", self.head_dim) != self.head_dim:
      raise errors.UnsupportedModelError(
        f"{self.path}: RoPE over a part of the head dimension is not supported"
      )

  def _hf_name(self, name: str) -> str:
    if name in _TOP_LEVEL:
      return _TOP_LEVEL[name]
    match = _LAYER_TENSOR.fullmatch(name)
    if match and match[2] in _PER_LAYER:
      return f"model.layers.{match[1]}.{_PER_LAYER[match[2]]}.{match[3]}"
    raise errors.UnsupportedModelError(f"{self.path}: tensor {name!r} is not known for {self.architecture!r}")

  def _require_tensors(self) -> None:
    wanted = ["model.embed_tokens.weight", "model.norm.weight"]
    norms = {"attn_q_norm", "attn_k_norm"}
    for layer in range(self._scalar("block_count")):
      wanted += [
        f"model.layers.{layer}.{hf}.weight"
        for short, hf in _PER_LAYER.items()
        if short not in norms or self.architecture == "qwen3"
      ]
      if self.architecture == "qwen2":
        wanted += [f"model.layers.{layer}.self_attn.{name}_proj.bias" for name in "qkv"]
    missing = [name for name in wanted if name not in self._hf_to_gguf]
    if missing:
      raise errors.UnsupportedModelError(
        f"{self.path} lacks {len(missing)} tensors, the first is {missing[0]!r}"
      )

  @property
  def num_heads(self) -> int:
    return self._scalar("attention.head_count")

  @property
  def num_kv_heads(self) -> int:
    return self._scalar("attention.head_count_kv", self.num_heads)

  @property
  def head_dim(self) -> int:
    return self._scalar("attention.key_length", self._scalar("embedding_length") // self.num_heads)

  def shapes(self) -> dict[str, tuple[int, ...]]:
    """HF tensor name to shape. GGUF lists the fastest dimension first."""
    return {
      hf: tuple(int(size) for size in reversed(self._tensors[name].shape))
      for hf, name in self._hf_to_gguf.items()
    }

  def load(self, hf_name: str) -> np.ndarray:
    """A tensor's values in fp32, rows in Hugging Face order."""
    tensor = self._tensors[self._hf_to_gguf[hf_name]]
    shape = self.shapes()[hf_name]
    try:
      values = quants.dequantize(tensor.data, tensor.tensor_type)
    except NotImplementedError as error:
      raise errors.UnsupportedModelError(
        f"{self.path}: tensor {tensor.name!r} is stored as {tensor.tensor_type.name}, which is not supported"
      ) from error
    values = values.astype(np.float32, copy=False).reshape(shape)
    if self.architecture == "llama" and ".self_attn.q_proj." in hf_name:
      return _undo_pairing(values, self.num_heads)
    if self.architecture == "llama" and ".self_attn.k_proj." in hf_name:
      return _undo_pairing(values, self.num_kv_heads)
    return values

  def config(self, torch_dtype: str) -> dict:
    """config.json, as transformers writes it for the family."""
    shapes = self.shapes()
    config = {
      "architectures": [ARCHITECTURES[self.architecture]],
      "model_type": self.architecture,
      "hidden_act": "silu",
      "hidden_size": self._scalar("embedding_length"),
      "intermediate_size": self._scalar("feed_forward_length"),
      "num_hidden_layers": self._scalar("block_count"),
      "num_attention_heads": self.num_heads,
      "num_key_value_heads": self.num_kv_heads,
      "head_dim": self.head_dim,
      "max_position_embeddings": self._scalar("context_length"),
      "rms_norm_eps": shortest(self.require(f"{self.architecture}.attention.layer_norm_rms_epsilon")),
      "rope_theta": shortest(self.arch("rope.freq_base", 10000.0)),
      "rope_scaling": self._rope_scaling(),
      "tie_word_embeddings": "lm_head.weight" not in shapes,
      "vocab_size": shapes["model.embed_tokens.weight"][0],
      "attention_dropout": 0.0,
      "initializer_range": 0.02,
      "use_cache": True,
      "torch_dtype": torch_dtype,
    }
    if self.architecture != "qwen2":
      config["attention_bias"] = "model.layers.0.self_attn.q_proj.bias" in shapes
    if self.architecture == "llama":
      config["mlp_bias"] = "model.layers.0.mlp.up_proj.bias" in shapes
    else:
      config["use_sliding_window"] = False
    for token in ("bos", "eos"):
      config[f"{token}_token_id"] = self.get(f"tokenizer.ggml.{token}_token_id")
    config["pad_token_id"] = self.get("tokenizer.ggml.padding_token_id")
    return config

  def _rope_scaling(self) -> dict | None:
    kind = self.arch("rope.scaling.type", "none")
    if ROPE_FREQS in self._tensors:
      factors = np.asarray(self._tensors[ROPE_FREQS].data, dtype=np.float32).reshape(-1)
      theta = float(self.arch("rope.freq_base", 10000.0))
      return rope_scaling.llama3_from_factors(factors, theta, self.head_dim)
    if kind == "linear":
      return {"rope_type": "linear", "factor": shortest(self.arch("rope.scaling.factor", 1.0))}
    if kind != "none":
      raise errors.UnsupportedModelError(f"{self.path}: RoPE scaling {kind!r} is not supported")
    return None


def _undo_pairing(values: np.ndarray, num_heads: int) -> np.ndarray:
  """GGUF stores llama's q and k rows as interleaved RoPE pairs; Hugging Face keeps the two halves apart."""
  rows = values.shape[0] // num_heads
  paired = values.reshape(num_heads, rows // 2, 2, *values.shape[1:])
  return np.ascontiguousarray(paired.swapaxes(1, 2).reshape(values.shape))
