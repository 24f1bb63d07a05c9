"""Makes the student: KL of its attention to the teacher's, down by gradient steps.

A step is a function of what was learnt before, the settings and its number alone (no dropout, the order of samples
comes from the seed), so weights, optimizer state and step number are all that a checkpoint holds, and a run that goes
on ends where one that was not stopped ends.
"""

import dataclasses
import math
import re
import time
from collections.abc import Callable

import torch

from . import errors, masses, transformer
from .model_config import Band
from .run_folder import RunFolder
from .samples import Sample, position_in_order
from .tokenization import StudentSample

_QUERIES_KEYS = ("q_proj", "k_proj", "q_norm", "k_norm", "input_layernorm")
_ATTENTION = (*_QUERIES_KEYS, "v_proj", "o_proj")
_ALL = (*_ATTENTION, "post_attention_layernorm", "gate_proj", "up_proj", "down_proj")
TRAINED_PARTS = {"queries-keys": _QUERIES_KEYS, "attention": _ATTENTION, "all": _ALL}
_PARAMETER = re.compile(r"model\.layers\.(\d+)\.(?:self_attn\.|mlp\.)?(\w+)\.(?:weight|bias)")
_MAX_GRADIENT_NORM = 1.0
_LAST_RATE_SHARE = 0.1
_KEPT_LOSSES = 50


@dataclasses.dataclass(frozen=True)
class DistilOptions:
  steps: int = 400
  batch: int = 2  # samples per step
  learning_rate: float = 1e-4
  warmup_steps: int = 20
  trained_parts: str = "all"
  first_trained_layer: int = 0
  checkpoint_steps: int = 25
  seed: int = 1


@dataclasses.dataclass(frozen=True)
class Pair:
  """One sample in both models' tokens."""

  sample: Sample
  student: StudentSample


def trained_names(weights: dict[str, torch.Tensor], options: DistilOptions) -> list[str]:
  names = []
  for name in sorted(weights):
    match = _PARAMETER.fullmatch(name)
    if match and int(match[1]) >= options.first_trained_layer and match[2] in TRAINED_PARTS[options.trained_parts]:
      names.append(name)
  if not names:
    raise errors.UsageError(f"no layer is trained: --train-from {options.first_trained_layer} is behind the last one")
  return names


def rate_share(step: int, options: DistilOptions) -> float:
  """Of the learning rate: rises over the first steps, then falls along half a cosine."""
  if step < options.warmup_steps:
    return (step + 1) / options.warmup_steps
  progress = (step - options.warmup_steps) / max(1, options.steps - options.warmup_steps)
  return _LAST_RATE_SHARE + (1 - _LAST_RATE_SHARE) * (1 + math.cos(math.pi * min(1.0, progress))) / 2


class Distiller:
  """`decoder`: the student, whose trained weights are replaced by fp32 parameters. One thread."""

  def __init__(
    self, decoder: transformer.Decoder, band: Band, teacher: masses.Teacher, pairs: list[Pair], options: DistilOptions
  ):
    self._decoder = decoder
    self._band = band
    self._teacher = teacher
    self._pairs = pairs
    self._options = options
    self.step = 0
    self.losses: list[float] = []  # of the last steps
    self.parameters = {
      name: torch.nn.Parameter(decoder.weights[name].float()) for name in trained_names(decoder.weights, options)
    }
    decoder.weights.update(self.parameters)
    self._optimizer = torch.optim.Adam(self.parameters.values(), lr=options.learning_rate, betas=(0.9, 0.98))

  def save(self, folder: RunFolder) -> None:
    content = {
      "step": self.step,
      "losses": self.losses,
      "parameters": {name: parameter.detach() for name, parameter in self.parameters.items()},
      "optimizer": self._optimizer.state_dict(),
    }
    RunFolder.write(folder.checkpoint, lambda path: torch.save(content, path))

  def load(self, folder: RunFolder) -> bool:
    """False if there is no checkpoint yet."""
    if not folder.checkpoint.is_file():
      return False
    content = masses.load_tensors(folder.checkpoint)
    with torch.no_grad():
      for name, parameter in self.parameters.items():
        parameter.copy_(content["parameters"][name])
    self._optimizer.load_state_dict(content["optimizer"])
    self.step, self.losses = content["step"], content["losses"]
    return True

  def run(
    self, folder: RunFolder, on_step: Callable[["Distiller"], None], limit_seconds: float | None = None,
    clock: Callable[[], float] = time.monotonic,
  ) -> None:
    """To the last step or, between two steps, to the end of the time. Leaves a checkpoint."""
    begin = clock()
    while self.step < self._options.steps:
      if limit_seconds is not None and clock() - begin >= limit_seconds:
        break
      self._run_step()
      if self.step % self._options.checkpoint_steps == 0:
        self.save(folder)
      on_step(self)
    self.save(folder)

  def _run_step(self) -> None:
    for group in self._optimizer.param_groups:
      group["lr"] = self._options.learning_rate * rate_share(self.step, self._options)
    self._optimizer.zero_grad()
    batch, total = self._options.batch, 0.0
    for place in range(self.step * batch, (self.step + 1) * batch):
      pair = self._pairs[position_in_order(place, len(self._pairs), self._options.seed)]
      wanted = masses.target(self._teacher, pair.sample, pair.student)
      loss = masses.divergence(wanted, masses.student_mass(self._decoder, pair.student, self._band)) / batch
      loss.backward()
      total += loss.item()
    if not math.isfinite(total):
      raise errors.TrainingError(f"the loss is {total} at step {self.step}: choose a lower --learning-rate")
    torch.nn.utils.clip_grad_norm_(self.parameters.values(), _MAX_GRADIENT_NORM)
    self._optimizer.step()
    self.step += 1
    self.losses = [*self.losses, total][-_KEPT_LOSSES:]

  @property
  def recent_loss(self) -> float:
    return sum(self.losses) / len(self.losses)


@torch.no_grad()
def measure(
  decoder: transformer.Decoder, band: Band, teacher: masses.Teacher, pairs: list[Pair],
  on_sample: Callable[[int], None] = lambda _: None,
) -> dict:
  """`kl`: mean over the samples, nats. `evidence_mass`, `teacher_evidence_mass`: the share of attention on the
  evidence, over the samples that name it in the student's tokens; absent if none does."""
  divergences, student_shares, teacher_shares = [], [], []
  for number, pair in enumerate(pairs, start=1):
    wanted = masses.target(teacher, pair.sample, pair.student)
    mass = masses.student_mass(decoder, pair.student, band)
    divergences.append(masses.divergence(wanted, mass).item())
    if pair.sample.evidence and pair.student.alignment is None:
      evidence = list(pair.sample.evidence)
      student_shares.append(masses.as_distribution(mass)[0, evidence].sum().item())
      teacher_shares.append(wanted[0, evidence].sum().item())
    on_sample(number)
  result = {"kl": sum(divergences) / len(divergences), "samples": len(divergences)}
  if student_shares:
    result["evidence_mass"] = sum(student_shares) / len(student_shares)
    result["teacher_evidence_mass"] = sum(teacher_shares) / len(teacher_shares)
  return result
