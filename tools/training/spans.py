"""Carries attention mass from one tokenisation of a text to another, through byte spans.

The selector carries scores the other way (common/text/token_alignment.h) and takes the strongest overlapping one;
here the mass is a distribution and stays one: each byte's share goes to the tokens that cover it.
"""

from collections.abc import Sequence

Span = tuple[int, int]  # [begin, end) in bytes of the text's UTF-8 form


def byte_spans(text: str, character_spans: Sequence[Span]) -> list[Span]:
  offsets = [0]
  for character in text:
    offsets.append(offsets[-1] + len(character.encode("utf-8", errors="surrogatepass")))
  return [(offsets[begin], offsets[end]) for begin, end in character_spans]


def move_mass(source: Sequence[Span], mass: Sequence[float], target: Sequence[Span]) -> list[float]:
  """One number per span of `target`; the sum is that of the mass on bytes which `target` covers. Spans that are empty
  stand for no text: they give nothing and get nothing."""
  if len(source) != len(mass):
    raise ValueError(f"{len(source)} spans, {len(mass)} masses")
  num_bytes = max((end for _, end in (*source, *target)), default=0)
  density = [0.0] * num_bytes
  for (begin, end), value in zip(source, mass):
    for byte in range(begin, end):
      density[byte] += value / (end - begin)
  num_covering = [0] * num_bytes
  for begin, end in target:
    for byte in range(begin, end):
      num_covering[byte] += 1
  return [sum(density[byte] / num_covering[byte] for byte in range(begin, end)) for begin, end in target]
