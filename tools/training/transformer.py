"""The forward pass of a decoder as far as attention needs it: encode chunks alone behind a prefix, place their keys at
any position, ask a question over them. Differentiable; what serves is common/model.

Shapes: hidden [batch, rows, hidden size]; queries, keys, values [batch, heads, rows, head dim].
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as functional

from .model_config import Band, ModelConfig, Rope


class Kv(NamedTuple):
  """Of a run of tokens, by layer: [kv heads, tokens, head dim]. Keys are not rotated."""

  keys: list[torch.Tensor]
  values: list[torch.Tensor]

  @property
  def num_tokens(self) -> int:
    return self.keys[0].shape[1]


class Projections(NamedTuple):
  queries: torch.Tensor
  keys: torch.Tensor
  values: torch.Tensor


def inverse_frequencies(rope: Rope, head_dim: int) -> torch.Tensor:
  frequencies = rope.theta ** (-torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim)
  if rope.kind == "linear":
    frequencies = frequencies / rope.factor
  if rope.kind == "llama3":
    turns = rope.original_max_positions * frequencies / (2 * math.pi)
    share = (turns - rope.low_frequency_factor) / (rope.high_frequency_factor - rope.low_frequency_factor)
    share = share.clamp(0, 1)
    frequencies = share * frequencies + (1 - share) * frequencies / rope.factor
  return frequencies.float()


class Decoder:
  """`weights`: by Hugging Face name. They may be parameters in fp32; arithmetic is in `dtype`."""

  def __init__(self, config: ModelConfig, weights: dict[str, torch.Tensor], dtype: torch.dtype):
    self.config = config
    self.weights = weights
    self._dtype = dtype
    self._frequencies = inverse_frequencies(config.rope, config.head_dim)

  def embed(self, ids: torch.Tensor) -> torch.Tensor:
    return functional.embedding(ids, self._weight("model.embed_tokens.weight"))

  def project(self, layer: int, hidden: torch.Tensor) -> Projections:
    name = f"model.layers.{layer}."
    normed = self._norm(name + "input_layernorm.weight", hidden)
    queries, keys, values = (
      self._linear(f"{name}self_attn.{part}_proj", normed).unflatten(-1, (-1, self.config.head_dim)).transpose(1, 2)
      for part in "qkv"
    )
    if self.config.family == "qwen3":
      queries = self._norm(name + "self_attn.q_norm.weight", queries)
      keys = self._norm(name + "self_attn.k_norm.weight", keys)
    return Projections(queries, keys, values)

  def rotate(self, tensor: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """`positions`: [rows]."""
    angles = positions[:, None].float() * self._frequencies
    cos, sin = angles.cos(), angles.sin()
    first, second = tensor.float().chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1).to(self._dtype)

  def attend(self, queries, keys, values, visible: torch.Tensor) -> torch.Tensor:
    """`queries`, `keys` rotated; `visible`: [rows, keys]. Returns [batch, rows, heads * head dim]."""
    repeats = self.config.num_heads // self.config.num_kv_heads
    attended = functional.scaled_dot_product_attention(
      queries, keys.repeat_interleave(repeats, 1), values.repeat_interleave(repeats, 1), attn_mask=visible
    )
    return attended.transpose(1, 2).flatten(2)

  def finish(self, layer: int, hidden: torch.Tensor, attended: torch.Tensor) -> torch.Tensor:
    name = f"model.layers.{layer}."
    hidden = hidden + self._linear(name + "self_attn.o_proj", attended)
    normed = self._norm(name + "post_attention_layernorm.weight", hidden)
    gate, up = (self._linear(f"{name}mlp.{part}_proj", normed) for part in ("gate", "up"))
    return hidden + self._linear(name + "mlp.down_proj", functional.silu(gate) * up)

  def logits(self, hidden: torch.Tensor) -> torch.Tensor:
    """Behind the last layer, fp32."""
    head = "model.embed_tokens" if self.config.tied_head else "lm_head"
    return self._linear(head, self._norm("model.norm.weight", hidden)).float()

  def _weight(self, name: str) -> torch.Tensor:
    return self.weights[name].to(self._dtype)

  def _linear(self, name: str, rows: torch.Tensor) -> torch.Tensor:
    bias = self._weight(name + ".bias") if name + ".bias" in self.weights else None
    return functional.linear(rows, self._weight(name + ".weight"), bias)

  def _norm(self, name: str, hidden: torch.Tensor) -> torch.Tensor:
    wide = hidden.float()
    scale = torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.config.norm_epsilon)
    return (wide * scale).to(self._dtype) * self._weight(name)


def _causal(num_rows: int, num_before: int) -> torch.Tensor:
  """[rows, before + rows]: everything before, and what is not later."""
  return torch.ones(num_rows, num_before + num_rows, dtype=torch.bool).tril(num_before)


def encode(decoder: Decoder, prefix_ids, chunk_ids, num_layers: int) -> tuple[Kv, list[Kv]]:
  """The KV of the first `num_layers` layers: of the prefix, and of each chunk alone behind it."""
  lengths = [len(chunk) for chunk in chunk_ids]
  padded = torch.zeros(len(chunk_ids), max(lengths), dtype=torch.long)  # later rows: nothing looks at them
  for row, chunk in enumerate(chunk_ids):
    padded[row, : len(chunk)] = torch.tensor(chunk)
  prefix, chunks = decoder.embed(torch.tensor([prefix_ids])), decoder.embed(padded)
  num_prefix = len(prefix_ids)
  prefix_positions = torch.arange(num_prefix)
  chunk_positions = num_prefix + torch.arange(max(lengths))
  prefix_visible, chunk_visible = _causal(num_prefix, 0), _causal(max(lengths), num_prefix)
  prefix_kv, chunk_kvs = Kv([], []), [Kv([], []) for _ in lengths]
  for layer in range(num_layers):
    of_prefix, of_chunks = decoder.project(layer, prefix), decoder.project(layer, chunks)
    prefix_kv.keys.append(of_prefix.keys[0])
    prefix_kv.values.append(of_prefix.values[0])
    for row, (kv, length) in enumerate(zip(chunk_kvs, lengths)):
      kv.keys.append(of_chunks.keys[row, :, :length])
      kv.values.append(of_chunks.values[row, :, :length])
    if layer + 1 == num_layers:
      break
    prefix_keys = decoder.rotate(of_prefix.keys, prefix_positions)
    prefix_queries = decoder.rotate(of_prefix.queries, prefix_positions)
    attended = decoder.attend(prefix_queries, prefix_keys, of_prefix.values, prefix_visible)
    prefix = decoder.finish(layer, prefix, attended)
    batch = (len(lengths), -1, -1, -1)
    keys = torch.cat([prefix_keys.expand(batch), decoder.rotate(of_chunks.keys, chunk_positions)], dim=2)
    values = torch.cat([of_prefix.values.expand(batch), of_chunks.values], dim=2)
    attended = decoder.attend(decoder.rotate(of_chunks.queries, chunk_positions), keys, values, chunk_visible)
    chunks = decoder.finish(layer, chunks, attended)
  return prefix_kv, chunk_kvs


class Layout(NamedTuple):
  """Where the question's pass sees things: the chunks' positions, and that of its own first row."""

  chunk_begins: list[int]
  question_begin: int


def serving_layout(num_prefix: int, lengths: list[int]) -> Layout:
  """One chunk behind the other, for the primary and for the selector (common/model/scoring, the assembled pass)."""
  begins = [num_prefix]
  for length in lengths:
    begins.append(begins[-1] + length)
  return Layout(begins[:-1], begins[-1])


def question_mass(
  decoder: Decoder, prefix: Kv, chunks: list[Kv], layout: Layout, ids, first_counting: int, band: Band
) -> torch.Tensor:
  """[context tokens], fp32: attention of the rows from `first_counting` on, one softmax over all slots, mean over rows,
  heads and the band's layers. `ids`: the rows behind the chunks."""
  num_prefix, num_context = prefix.num_tokens, sum(chunk.num_tokens for chunk in chunks)
  cached = torch.cat([torch.arange(num_prefix)] + [
    begin + torch.arange(chunk.num_tokens) for begin, chunk in zip(layout.chunk_begins, chunks)
  ])
  positions = layout.question_begin + torch.arange(len(ids))
  visible = _causal(len(ids), num_prefix + num_context)
  hidden = decoder.embed(torch.tensor([ids]))
  total = torch.zeros(num_context)
  for layer in range(band.end):
    rows = decoder.project(layer, hidden)
    queries = decoder.rotate(rows.queries, positions)
    stored = torch.cat([prefix.keys[layer]] + [chunk.keys[layer] for chunk in chunks], dim=1)
    keys = torch.cat([decoder.rotate(stored, cached)[None], decoder.rotate(rows.keys, positions)], dim=2)
    if layer >= band.begin:
      total = total + _mass(decoder, queries, keys, visible, first_counting)[num_prefix : num_prefix + num_context]
    if layer + 1 < band.end:
      stored = torch.cat([prefix.values[layer]] + [chunk.values[layer] for chunk in chunks], dim=1)
      attended = decoder.attend(queries, keys, torch.cat([stored[None], rows.values], dim=2), visible)
      hidden = decoder.finish(layer, hidden, attended)
  return total / (band.end - band.begin)


def _mass(decoder: Decoder, queries, keys, visible, first_counting: int) -> torch.Tensor:
  config = decoder.config
  wide = keys[0].float().repeat_interleave(config.num_heads // config.num_kv_heads, 0)
  logits = queries[0, :, first_counting:].float() @ wide.transpose(1, 2) / math.sqrt(config.head_dim)
  return logits.masked_fill(~visible[first_counting:], -math.inf).softmax(-1).mean((0, 1))
