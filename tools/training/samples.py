"""What is learnt from: contexts of chunks with questions about them, as token ids of the primary's tokenizer."""

import dataclasses
import hashlib
import json
import pathlib
import random

from . import errors

_LIST_FIELDS = ("prefix_ids", "chunk_ids", "suffix_ids")
_FIELDS = (*_LIST_FIELDS, "question_begin", "question_end")


@dataclasses.dataclass(frozen=True)
class Question:
  """The suffix behind the chunks; its tokens [begin, end) are the question."""

  suffix_ids: tuple[int, ...]
  begin: int
  end: int

  @property
  def ids(self) -> tuple[int, ...]:
    return self.suffix_ids[self.begin : self.end]


@dataclasses.dataclass(frozen=True)
class Sample:
  prefix_ids: tuple[int, ...]
  chunk_ids: tuple[tuple[int, ...], ...]
  questions: tuple[Question, ...]  # several questions about the same chunks share the chunks' encoding
  evidence: tuple[int, ...] = ()  # indices from the first chunk token; of the only question
  task: str = ""
  references: tuple[str, ...] = ()  # right answers

  @property
  def num_context_tokens(self) -> int:
    return sum(len(chunk) for chunk in self.chunk_ids)

  @property
  def digest(self) -> str:
    """Of everything that the teacher sees."""
    content = [self.prefix_ids, self.chunk_ids, [(q.suffix_ids, q.begin, q.end) for q in self.questions]]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _parse(record: dict) -> Sample:
  missing = [field for field in _FIELDS if field not in record]
  if missing:
    raise ValueError(f"lacks {', '.join(missing)}")
  sample = Sample(
    prefix_ids=_ids(record["prefix_ids"], "prefix_ids"),
    chunk_ids=tuple(_ids(chunk, "chunk_ids") for chunk in record["chunk_ids"]),
    questions=(
      Question(_ids(record["suffix_ids"], "suffix_ids"), int(record["question_begin"]), int(record["question_end"])),
    ),
    evidence=tuple(int(index) for index in record.get("evidence", ())),
    task=str(record.get("task", "")),
    references=tuple(str(answer) for answer in record.get("references", ())),
  )
  question = sample.questions[0]
  if not sample.chunk_ids:
    raise ValueError("has no chunks")
  if not 0 <= question.begin < question.end <= len(question.suffix_ids):
    raise ValueError(f"question [{question.begin}, {question.end}) is not in a suffix of {len(question.suffix_ids)}")
  if any(not 0 <= index < sample.num_context_tokens for index in sample.evidence):
    raise ValueError(f"evidence is beyond the {sample.num_context_tokens} tokens of the chunks")
  return sample


def _ids(value, name: str) -> tuple[int, ...]:
  ids = tuple(value)
  if not ids or any(not isinstance(entry, int) or entry < 0 for entry in ids):
    raise ValueError(f"{name} is not a list of token ids")
  return ids


def read(path: pathlib.Path) -> list[Sample]:
  """The lines of `cacheclip eval --write-samples`. DataError names the line that is none."""
  samples = []
  try:
    lines = path.read_text(encoding="utf-8").splitlines()
  except (OSError, UnicodeDecodeError) as error:
    raise errors.DataError(f"{path} cannot be read: {error}") from error
  for number, line in enumerate(lines, start=1):
    try:
      samples.append(_parse(json.loads(line)))
    except (ValueError, TypeError, AttributeError) as error:
      raise errors.DataError(f"{path}, line {number}: {error}") from error
  if not samples:
    raise errors.DataError(f"{path} holds no samples")
  return samples


def check(samples: list[Sample], vocab_size: int, max_positions: int) -> None:
  """DataError if they cannot be this primary's, or do not fit into it."""
  for sample in samples:
    suffixes = [question.suffix_ids for question in sample.questions]
    highest = max(max(ids) for ids in (sample.prefix_ids, *sample.chunk_ids, *suffixes))
    if highest >= vocab_size:
      raise errors.DataError(
        f"a sample holds token {highest}, the primary knows {vocab_size}: the samples were written with another model"
      )
    length = len(sample.prefix_ids) + sample.num_context_tokens + max(map(len, suffixes))
    if length > max_positions:
      raise errors.DataError(f"a sample is {length} tokens long, the primary has {max_positions} positions")


def split(samples: list[Sample], held_out_share: float, seed: int) -> tuple[list[Sample], list[Sample]]:
  """To learn from, and held out (at least one of each). Contexts that occur twice stay on one side."""
  contexts = sorted({sample.chunk_ids for sample in samples})
  if len(contexts) < 2:
    raise errors.DataError("samples of at least two different contexts are needed: one is held out")
  random.Random(f"held out {seed}").shuffle(contexts)
  num_held_out = min(len(contexts) - 1, max(1, round(held_out_share * len(contexts))))
  held_out = set(contexts[:num_held_out])
  return (
    [sample for sample in samples if sample.chunk_ids not in held_out],
    [sample for sample in samples if sample.chunk_ids in held_out],
  )


def position_in_order(step: int, num_samples: int, seed: int) -> int:
  """Which sample the `step`-th one is: every round goes through all in an order of its own. A pure function, so that a
  run that goes on does so where it was stopped."""
  epoch, place = divmod(step, num_samples)
  order = list(range(num_samples))
  random.Random(f"order {seed} {epoch}").shuffle(order)
  return order[place]
