"""Teacher and student: how much of the question's attention goes to each context token."""

import pathlib
import pickle

import torch

from . import errors, hf_folder, transformer
from .model_config import Band
from .run_folder import RunFolder
from .samples import Sample
from .tokenization import StudentSample

_LEAST = 1e-9  # of a token's share: keeps the logarithm finite


def load_tensors(path: pathlib.Path):
  """What torch.save wrote. UsageError if it is damaged."""
  try:
    return torch.load(path, weights_only=True)
  except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
    raise errors.UsageError(f"{path} is damaged; without it, it is made again: {error}") from error


class Teacher:
  """The primary's own view of a request: chunks encoded alone and placed one behind the other, then the suffix up to
  the question's end over that stale cache, as the method primary_probe does. What was worked out once is kept."""

  def __init__(self, decoder: transformer.Decoder, band: Band, folder: RunFolder | None):
    self._decoder = decoder
    self._band = band
    self._folder = folder

  def mass(self, sample: Sample) -> torch.Tensor:
    """[questions, context tokens of the primary]."""
    path = self._folder and self._folder.target(sample.digest)
    if path and path.is_file():
      return load_tensors(path)
    mass = self._compute(sample)
    if path:
      RunFolder.write(path, lambda partial: torch.save(mass, partial))
    return mass

  def has(self, sample: Sample) -> bool:
    return bool(self._folder) and self._folder.target(sample.digest).is_file()

  @torch.no_grad()
  def _compute(self, sample: Sample) -> torch.Tensor:
    prefix, chunks = transformer.encode(self._decoder, sample.prefix_ids, sample.chunk_ids, self._band.end)
    layout = transformer.serving_layout(prefix.num_tokens, [chunk.num_tokens for chunk in chunks])
    return torch.stack([
      transformer.question_mass(
        self._decoder, prefix, chunks, layout, question.suffix_ids[: question.end], question.begin, self._band
      )
      for question in sample.questions
    ])


def student_mass(decoder: transformer.Decoder, sample: StudentSample, band: Band) -> torch.Tensor:
  """[questions, context tokens of the student], as the selector scores: in one pass over the assembled chunks."""
  prefix, chunks = transformer.encode(decoder, sample.prefix_ids, sample.chunk_ids, band.end)
  layout = transformer.serving_layout(prefix.num_tokens, [chunk.num_tokens for chunk in chunks])
  return torch.stack([
    transformer.question_mass(decoder, prefix, chunks, layout, ids, 0, band) for ids in sample.question_ids
  ])


def as_distribution(mass: torch.Tensor) -> torch.Tensor:
  return mass / mass.sum(-1, keepdim=True).clamp_min(_LEAST)


def target(teacher: Teacher, sample: Sample, student: StudentSample) -> torch.Tensor:
  """The teacher's mass on the student's tokens, as a distribution: [questions, context tokens of the student]."""
  mass = teacher.mass(sample)
  if student.alignment is not None:
    mass = torch.tensor([student.move(row.tolist()) for row in mass])
  return as_distribution(mass)


def divergence(wanted: torch.Tensor, mass: torch.Tensor) -> torch.Tensor:
  """KL(teacher || student) over context tokens in nats, mean over questions. `wanted`: distributions."""
  student = as_distribution(mass).clamp_min(_LEAST).log()
  own = torch.where(wanted > 0, wanted * wanted.clamp_min(_LEAST).log(), torch.zeros_like(wanted))
  return (own - wanted * student).sum(-1).mean()


def load_decoder(folder: pathlib.Path, config, num_layers: int, dtype: torch.dtype) -> transformer.Decoder:
  weights = {name: tensor.to(dtype) for name, tensor in hf_folder.load_weights(folder, num_layers).items()}
  return transformer.Decoder(config, weights, dtype)
