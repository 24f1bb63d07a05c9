"""Which key-value heads look only around them (docs/adr/0024): found on samples, written into a profile.

A head is judged by two numbers. What its rows attend to beyond the beginning and the window is the far mass. What the
answer would lose is the Fisher information along that loss: the square of the change of an answer token's log
probability, to first order, if every context row of the head left its far mass out; the mean over tokens drawn from the
model's own distribution, which is twice the KL divergence that it costs. Neither alone does: late heads hardly
reach the answer, but recomputed tokens also teach what happens to stale ones (docs/adr/0020)."""

import dataclasses
import json
import math
import pathlib

import torch

from . import errors, masses, model_config, profile, progress, samples, tokenization
from .run_folder import RunFolder
from .transformer import Decoder

BEGINNING = 128  # tokens that every head attends to: kLocalBlock of common/model/kernels/local_rows.h
_ANSWER_TOKENS = 8
_DRAWS = 4  # of answers per sample


@dataclasses.dataclass(frozen=True)
class Options:
  window: int  # tokens up to and including a row's own that local heads attend to
  measured_window: int  # the same while measuring, on contexts that are shorter than those served
  share: float  # of the heads that recomputed tokens attend with
  seed: int


class _Measure:
  """Sums over samples, [layers, kv heads] each."""

  def __init__(self, decoder: Decoder, window: int):
    self._decoder = decoder
    self._window = window
    shape = (decoder.config.num_layers, decoder.config.num_kv_heads)
    self.information = torch.zeros(shape)
    self.far_mass = torch.zeros(shape)
    self.num_answers = self.num_samples = 0

  def add(self, sample: samples.Sample, answer_ids) -> None:
    ids = [*sample.prefix_ids, *(i for chunk in sample.chunk_ids for i in chunk)]
    context = slice(len(sample.prefix_ids), len(ids))
    ids += (*sample.questions[0].suffix_ids, *answer_ids)
    losses, levers, far_mass = [], [], []
    hidden, positions = self._decoder.embed(torch.tensor([ids])), torch.arange(len(ids))
    visible = positions[None] <= positions[:, None]
    near = visible & ((positions[None] < BEGINNING) | (positions[None] > positions[:, None] - self._window))
    for layer in range(self._decoder.config.num_layers):
      rows = self._decoder.project(layer, hidden)
      queries, keys = (self._decoder.rotate(tensor, positions) for tensor in (rows.queries, rows.keys))
      attended = self._decoder.attend(queries, keys, rows.values, visible)
      with torch.no_grad():
        lost = self._decoder.attend(queries, keys, rows.values, near) - attended
        losses.append(self._by_kv_head(lost[0, context]))
        far_mass.append(self._far_mass(queries[0, :, context], keys[0], visible[context], near[context]))
      lever = torch.zeros_like(attended, requires_grad=True)
      levers.append(lever)
      hidden = self._decoder.finish(layer, hidden, attended + lever)
    scores = self._decoder.logits(hidden[0, len(ids) - 1 - len(answer_ids) :]).log_softmax(-1)
    for draw in range(_DRAWS):
      drawn = torch.multinomial(scores.detach().exp(), 1)
      slopes = torch.autograd.grad(scores.gather(1, drawn).sum(), levers, retain_graph=draw + 1 < _DRAWS)
      for layer, slope in enumerate(slopes):
        change = (self._by_kv_head(slope[0, context]) * losses[layer]).sum((0, 2))
        self.information[layer] += change.square() / len(scores)
      self.num_answers += 1
    self.far_mass += torch.stack(far_mass)
    self.num_samples += 1

  def _by_kv_head(self, rows: torch.Tensor) -> torch.Tensor:
    return rows.unflatten(1, (self._decoder.config.num_kv_heads, -1))

  def _far_mass(self, queries, keys, visible, near) -> torch.Tensor:
    """[kv heads]: mean over rows and the query heads of a group. One head at a time, for the memory."""
    config, shares = self._decoder.config, []
    group = config.num_heads // config.num_kv_heads
    for head in range(config.num_heads):
      logits = queries[head] @ keys[head // group].T / math.sqrt(config.head_dim)
      weights = logits.masked_fill(~visible, -math.inf).softmax(-1)
      shares.append(1 - (weights * near).sum(-1).mean())
    return torch.stack(shares).unflatten(0, (config.num_kv_heads, group)).mean(1)


def choose(information: torch.Tensor, far_mass: torch.Tensor, share: float) -> list[list[int]]:
  """[layer, kv head] pairs whose ranks by the two numbers are least together. None of the last layer: recomputed tokens
  do not attend there (docs/adr/0023)."""
  heads = [(layer, head) for layer in range(len(information) - 1) for head in range(information.shape[1])]
  places = dict.fromkeys(heads, 0)
  for numbers in (information, far_mass):
    for place, head in enumerate(sorted(heads, key=lambda at: numbers[at].item())):
      places[head] += place
  chosen = sorted(heads, key=places.get)[: round(share * len(heads))]
  return [list(head) for head in sorted(chosen)]


def find(model: pathlib.Path, sample_file: pathlib.Path, options: Options, out: pathlib.Path, quiet: bool) -> dict:
  """Writes the heads into the profile `out`, which may be there already. Returns what is printed."""
  config, _ = model_config.read(model)
  given = samples.read(sample_file)
  samples.check(given, config.vocab_size, config.max_positions)
  if not any(sample.num_context_tokens > BEGINNING + options.measured_window for sample in given):
    raise errors.DataError(
      f"no context of {sample_file} is longer than the beginning ({BEGINNING}) and --measured-window "
      f"({options.measured_window}) together: nothing stands far"
    )
  content = profile.of_primary(model, config, out)
  decoder = masses.load_decoder(model, config, config.num_layers, torch.float32)
  tokenizer = tokenization.load(model)
  measure = _Measure(decoder, options.measured_window)
  torch.manual_seed(options.seed)
  bar = progress.Progress("heads", len(given), quiet)
  for done, sample in enumerate(given, start=1):
    answer = tokenizer.encode(" " + sample.references[0], add_special_tokens=False).ids if sample.references else []
    measure.add(sample, answer[:_ANSWER_TOKENS])
    bar.update(done)
  information, far_mass = measure.information / measure.num_answers, measure.far_mass / measure.num_samples
  heads = choose(information, far_mass, options.share)
  content["local"] = {"window": options.window, "heads": heads}
  measured = {
    "samples": len(given),
    "window": options.measured_window,
    "information": sum(information[layer, head].item() for layer, head in heads),
    "information_of_all": information[:-1].sum().item(),
    "far_mass": sum(far_mass[layer, head].item() for layer, head in heads) / max(1, len(heads)),
    "far_mass_of_all": far_mass[:-1].mean().item(),
  }
  content["measured"] = {**(content.get("measured") or {}), "local": measured}
  text = json.dumps(content, indent=2) + "\n"
  RunFolder.write(out, lambda path: path.write_text(text, encoding="utf-8"))
  return {"out": str(out), "heads": heads, **measured}
