"""The lines of `cacheclip eval --out`, arranged as method × budget → values by sample."""

import collections
import json
import pathlib

CROSS_CHUNK_TASKS = ("seam", "heading", "two_hop")
_CELL_FIELDS = ("kl", "score", "charged_budget", "seconds", "full_seconds", "same_answer", "top1_agreement")


class RecordError(Exception):
  """A file that cannot be reported on; the message says why."""


def family(task: str) -> str:
  """What a task is reported under."""
  if task == "qa":
    return "documents"
  return "cross-chunk" if task in CROSS_CHUNK_TASKS else "RULER"


class Matrix:
  """All samples of one model, auxiliary, context and chunk size.

  `samples`: (task, seed, sample) in order; `full_scores`: by sample; `cells`: (method, budget) → sample → record.
  """

  def __init__(self, records: list[dict]):
    settings = {tuple(record[field] for field in ("model", "auxiliary", "context", "chunk")) for record in records}
    if len(settings) != 1:
      raise RecordError(f"one report is about one model, auxiliary, context and chunk size; found {sorted(settings)}")
    self.model, self.auxiliary, self.context, self.chunk = settings.pop()
    self.full_scores = {}
    self.cells = collections.defaultdict(dict)
    for record in records:
      sample = (record["task"], record["seed"], record["sample"])
      self.full_scores[sample] = record["full_score"]
      self.cells[record["method"], record["budget"]][sample] = record
    self.samples = sorted(self.full_scores)

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

  def counting(self, task: str) -> list[tuple]:
    """The task's samples that full prefill answers exactly."""
    return [sample for sample in self.samples if sample[0] == task and self.full_scores[sample] >= 1]

  def reuse_tasks(self, min_counting: int, min_loss: float = 0.1) -> list[str]:
    """Tasks with enough counting samples on which no recompute at all loses at least `min_loss` of accuracy."""
    found = []
    for task in self.tasks():
      counting = self.counting(task)
      scores = self.values("none", 0.0, "score", counting)
      if len(counting) >= min_counting and scores and sum(scores.values()) / len(scores) <= 1 - min_loss:
        found.append(task)
    return found


def load(path: pathlib.Path) -> Matrix:
  """Reads a file of lines. RecordError names the line that is none."""
  records = []
  for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
    try:
      record = json.loads(line)
      missing = [field for field in ("task", "method", *_CELL_FIELDS) if field not in record]
    except (ValueError, TypeError) as error:
      raise RecordError(f"{path}, line {number}: {error}") from error
    if missing:
      raise RecordError(f"{path}, line {number}: lacks {', '.join(missing)}")
    records.append(record)
  if not records:
    raise RecordError(f"{path} holds no lines")
  return Matrix(records)
