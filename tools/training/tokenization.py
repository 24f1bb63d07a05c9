"""Samples in the student's tokens. A student with the primary's tokenizer reads the ids as they are; another one gets
the decoded text, and the teacher's mass is carried over by byte spans."""

import dataclasses
import pathlib

from . import errors, spans
from .samples import Sample


@dataclasses.dataclass(frozen=True)
class StudentSample:
  prefix_ids: tuple[int, ...]
  chunk_ids: tuple[tuple[int, ...], ...]
  question_ids: tuple[tuple[int, ...], ...]
  # Per chunk, the primary's spans and the student's; None: the same tokens.
  alignment: tuple[tuple[list, list], ...] | None = None

  def move(self, mass: list[float]) -> list[float]:
    """Of the primary's context tokens, to the student's."""
    if self.alignment is None:
      return mass
    moved, begin = [], 0
    for primary, student in self.alignment:
      moved += spans.move_mass(primary, mass[begin : begin + len(primary)], student)
      begin += len(primary)
    return moved


class SameTokenizer:
  def read(self, sample: Sample) -> StudentSample:
    return StudentSample(sample.prefix_ids, sample.chunk_ids, tuple(question.ids for question in sample.questions))


class OtherTokenizer:
  """`primary`, `student`: tokenizers.Tokenizer."""

  def __init__(self, primary, student):
    self._primary = primary
    self._student = student
    # Texts from documents never become control tokens, as when serving.
    primary.encode_special_tokens = True
    student.encode_special_tokens = True

  def read(self, sample: Sample) -> StudentSample | None:
    """None if a chunk's ids are not what its text is tokenised to: then no span can be trusted."""
    chunk_ids, alignment = [], []
    for ids in sample.chunk_ids:
      text = self._text(ids)
      primary = self._primary.encode(text, add_special_tokens=False)
      if tuple(primary.ids) != tuple(ids):
        return None
      student = self._student.encode(text, add_special_tokens=False)
      if not student.ids:
        return None
      chunk_ids.append(tuple(student.ids))
      alignment.append((spans.byte_spans(text, primary.offsets), spans.byte_spans(text, student.offsets)))
    questions = tuple(self._encode(question.ids) for question in sample.questions)
    if any(not ids for ids in questions):
      return None
    return StudentSample(self._prefix(sample.prefix_ids), tuple(chunk_ids), questions, tuple(alignment))

  def _text(self, ids) -> str:
    return self._primary.decode(list(ids), skip_special_tokens=False)

  def _encode(self, ids) -> tuple[int, ...]:
    return tuple(self._student.encode(self._text(ids), add_special_tokens=False).ids)

  def _prefix(self, ids) -> tuple[int, ...]:
    # The primary's rendering, with the control tokens that the student knows. The selector renders the prefix with the
    # student's own template; what the chunks need of it, one shared place for idle attention, is the same.
    self._student.encode_special_tokens = False
    try:
      return self._encode(ids)
    finally:
      self._student.encode_special_tokens = True


def for_models(primary: pathlib.Path, student: pathlib.Path) -> SameTokenizer | OtherTokenizer:
  files = [folder / "tokenizer.json" for folder in (primary, student)]
  for path in files:
    if not path.is_file():
      raise errors.UsageError(f"{path} does not exist")
  if files[0].read_bytes() == files[1].read_bytes():
    return SameTokenizer()
  return OtherTokenizer(load(primary), load(student))


def load(folder: pathlib.Path):
  try:
    import tokenizers
  except ImportError as error:
    raise errors.MissingPackageError(f"{error}: install tools/training/requirements.txt") from error
  return tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
