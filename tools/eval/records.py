"""The lines of `cacheclip eval --out`, arranged as method × budget → values by sample."""

import collections
import json
import pathlib
import string

CROSS_CHUNK_TASKS = ("seam", "heading", "two_hop")
MIN_LOSS = 0.1  # of accuracy without recompute, for a reuse task
SETTINGS_FIELDS = ("model", "auxiliary", "context", "chunk")
_CELL_FIELDS = (
  "answer", "full_answer", "kl", "score", "charged_budget", "seconds", "full_seconds", "same_answer", "top1_agreement",
)  # fmt: skip
_ARTICLES = ("a", "an", "the")


class RecordError(Exception):
  """A file that cannot be reported on; the message says why."""


def family(task: str) -> str:
  """What a task is reported under."""
  if task == "qa":
    return "documents"
  return "cross-chunk" if task in CROSS_CHUNK_TASKS else "RULER"


def _words(answer: str) -> collections.Counter:
  """SQuAD's normalisation: lower case, no punctuation, no articles."""
  clean = "".join(character for character in answer.lower() if character not in string.punctuation)
  return collections.Counter(word for word in clean.split() if word not in _ARTICLES)


def word_f1(first: str, second: str) -> float:
  """F1 of two answers' words, 0 … 1."""
  left, right = _words(first), _words(second)
  if not left or not right:
    return float(left == right)
  return 2 * (left & right).total() / (left.total() + right.total())


def settings_of(record: dict) -> tuple:
  return tuple(record[field] for field in SETTINGS_FIELDS)


class Matrix:
  """All samples of one model, auxiliary, context and chunk size.

  `samples`: (task, seed, sample) in order; `full_scores`, `full_answers`: by sample; `margins`: nats by which full
  prefill preferred its answer, of the samples whose lines say so; `cells`: (method, budget) → sample → record.
  """

  def __init__(self, records: list[dict]):
    settings = {settings_of(record) for record in records}
    if len(settings) != 1:
      raise RecordError(f"one report is about one model, auxiliary, context and chunk size; found {sorted(settings)}")
    self.model, self.auxiliary, self.context, self.chunk = settings.pop()
    self.full_scores = {}
    self.full_answers = {}
    self.margins = {}
    self.cells = collections.defaultdict(dict)
    for record in records:
      sample = (record["task"], record["seed"], record["sample"])
      self.full_scores[sample] = record["full_score"]
      self.full_answers[sample] = record["full_answer"]
      if record.get("full_margin") is not None:
        self.margins[sample] = record["full_margin"]
      self.cells[record["method"], record["budget"]][sample] = record
    self.samples = sorted(self.full_scores)

  @property
  def has_passages(self) -> bool:
    """Whether these are questions over passages, a passage a chunk."""
    return all(family(task) == "documents" for task in self.tasks())

  @property
  def seeds(self) -> list[int]:
    return sorted({seed for _, seed, _ in self.samples})

  @property
  def methods(self) -> list[str]:
    return list(dict.fromkeys(method for method, _ in self.cells))

  def budgets(self, method: str) -> list[float]:
    return sorted(budget for name, budget in self.cells if name == method)

  def tasks(self) -> list[str]:
    return list(dict.fromkeys(task for task, _, _ in self.samples))

  def values(self, method: str, budget: float, field: str, samples=None) -> dict:
    """sample → value, for the samples that the method was measured on."""
    cell = self.cells.get((method, budget), {})
    return {sample: float(cell[sample][field]) for sample in (samples or self.samples) if sample in cell}

  def stages(self, method: str, budget: float) -> dict[str, dict]:
    """stage → sample → seconds, for the samples whose line says so."""
    found = collections.defaultdict(dict)
    for sample, record in self.cells.get((method, budget), {}).items():
      for stage, seconds in record.get("stage_seconds", {}).items():
        found[stage][sample] = float(seconds)
    return dict(found)

  def counting(self, task: str) -> list[tuple]:
    """The task's samples that full prefill answers exactly."""
    return [sample for sample in self.samples if sample[0] == task and self.full_scores[sample] >= 1]

  def why_no_reuse_task(self, task: str, min_counting: int) -> str:
    """The reason; "" for a task with enough counting samples that loses `MIN_LOSS` where nothing is recomputed."""
    counting = self.counting(task)
    if len(counting) < min_counting:
      return f"{len(counting)} counting samples, fewer than {min_counting}"
    scores = self.values("none", 0.0, "score", counting) if counting else {}
    if not scores:
      return "not measured without recompute"
    accuracy = sum(scores.values()) / len(scores)
    if accuracy > 1 - MIN_LOSS:
      return f"loses {100 * (1 - accuracy):.0f} points without recompute, fewer than {100 * MIN_LOSS:.0f}"
    return ""

  def reuse_tasks(self, min_counting: int) -> list[str]:
    return [task for task in self.tasks() if not self.why_no_reuse_task(task, min_counting)]


def read_lines(path: pathlib.Path) -> list[dict]:
  """The records of one file. RecordError names the line that is none."""
  records = []
  for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
    try:
      record = json.loads(line)
      missing = [
        field for field in ("task", "method", "sample", "seed", "budget", *SETTINGS_FIELDS, *_CELL_FIELDS)
        if field not in record
      ]
    except (ValueError, TypeError) as error:
      raise RecordError(f"{path}, line {number}: {error}") from error
    if missing:
      raise RecordError(f"{path}, line {number}: lacks {', '.join(missing)}")
    records.append(record)
  if not records:
    raise RecordError(f"{path} holds no lines")
  return records


def load(path: pathlib.Path) -> Matrix:
  """One file that is about one model, auxiliary, context and chunk size."""
  return Matrix(read_lines(path))


def load_all(paths: list[pathlib.Path]) -> list[Matrix]:
  """Files that complete each other: one matrix per model, auxiliary, context and chunk size, in the order of their
  first lines; questions over passages, whose chunks are the passages, apart. Of a cell that two files hold, the first
  counts."""
  by_settings = collections.defaultdict(dict)
  for path in paths:
    for record in read_lines(path):
      cell = tuple(record[field] for field in ("task", "seed", "sample", "method", "budget"))
      has_passages = family(record["task"]) == "documents"
      by_settings[settings_of(record), has_passages].setdefault(cell, record)
  return [Matrix(list(cells.values())) for cells in by_settings.values()]
