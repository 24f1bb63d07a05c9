"""Greedy decoding and number formatting shared by the golden files."""

import numpy as np
import torch


def decode(model: torch.nn.Module, ids: list[int], count: int) -> tuple[list[int], float]:
  """`count` greedy tokens, not stopping at any, and the smallest lead of a winner over the second."""
  tokens, smallest_lead = [], float("inf")
  with torch.no_grad():
    output = model(torch.tensor([ids]), use_cache=True)
    for step in range(count):
      best = output.logits[0, -1].float().topk(2)
      smallest_lead = min(smallest_lead, float(best.values[0] - best.values[1]))
      tokens.append(int(best.indices[0]))
      if step + 1 < count:
        output = model(torch.tensor([[tokens[-1]]]), past_key_values=output.past_key_values, use_cache=True)
  return tokens, smallest_lead


def all_logits(model: torch.nn.Module, ids: list[int]) -> np.ndarray:
  """[num_tokens, vocab_size] in fp32."""
  with torch.no_grad():
    return model(torch.tensor([ids]), use_cache=False).logits[0].float().numpy()


def numbers(values: np.ndarray) -> list[float]:
  """Shortest decimals that are the same fp32."""
  return [float(str(value)) for value in values.astype(np.float32)]
