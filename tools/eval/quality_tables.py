"""The tables of docs/quality.md, each from one matrix: accuracy, KL, monotony, time, ablations."""

import statistics

from . import intervals, records
from .report import nats, ordered_methods, percent, table

# Published methods, and chance: what the project's own are compared with.
BASELINES = {
  "auxiliary_paper": "CacheClip as published",
  "kv_deviation": "CacheBlend",
  "chunk_head": "EPIC",
  "random": "random tokens",
}
MARGINS = (0.25, 1.0)  # nats that part near ties, close answers and clear ones
MAX_SELECTION_SHARE = 0.10  # of full prefill's time
_STAGES = ("assemble", "select", "recompute")  # in the order in which they run; others follow
_KINDS = ("RULER", "cross-chunk", "documents")


def _budget(budget: float) -> str:
  return f"{100 * budget:g} %"


def _with_budget(matrix: records.Matrix) -> list[str]:
  """Methods that were given budgets, in the report's order: not `none`, not `full`."""
  return [method for method in ordered_methods(matrix) if any(0 < budget < 1 for budget in matrix.budgets(method))]


def _measured_at(matrix: records.Matrix, budget: float) -> list[str]:
  """Methods that were given this budget."""
  return [method for method in _with_budget(matrix) if budget in matrix.budgets(method)]


def _budgets(matrix: records.Matrix) -> list[float]:
  found = {budget for method in _with_budget(matrix) for budget in matrix.budgets(method)}
  return sorted(budget for budget in found if 0 < budget < 1)


def task_samples(matrix: records.Matrix, task: str) -> list[tuple]:
  return [sample for sample in matrix.samples if sample[0] == task]


def tasks(matrix: records.Matrix, min_counting: int) -> list[str]:
  rows = []
  for task in matrix.tasks():
    counting = matrix.counting(task)
    num_samples = len(task_samples(matrix, task))
    none = matrix.values("none", 0.0, "score", counting) if counting else {}
    reason = matrix.why_no_reuse_task(task, min_counting)
    rows.append([
      task, records.family(task), f"{len(counting)} of {num_samples}",
      percent(intervals.mean(none.values())) if none else "–", f"no: {reason}" if reason else "yes",
    ])  # fmt: skip
  return table(["task", "kind", "counting samples", "accuracy without recompute", "reuse task"], rows)


def accuracy(matrix: records.Matrix, min_counting: int) -> list[str]:
  """Relative to full prefill: on counting samples its own score is 1."""
  reuse = matrix.reuse_tasks(min_counting)
  if not reuse:
    return ["No task of these lines is a reuse task.", ""]
  kinds = [kind for kind in _KINDS if any(records.family(task) == kind for task in reuse)]
  groups = [("All reuse tasks", reuse)]
  if len(kinds) > 1:
    groups += [(f"Reuse tasks, {kind}", [task for task in reuse if records.family(task) == kind]) for kind in kinds]
  lines = []
  for title, chosen in groups:
    samples = [sample for task in chosen for sample in matrix.counting(task)]
    lines += [f"{title} ({', '.join(chosen)}; {len(samples)} samples):", "", *_by_budget(matrix, samples)]
  return lines


def _by_budget(matrix: records.Matrix, samples: list[tuple]) -> list[str]:
  budgets = _budgets(matrix)
  rows = []
  for method in [*_with_budget(matrix), "none"]:
    cells = []
    for budget in budgets:
      scores = matrix.values(method, 0.0 if method == "none" else budget, "score", samples)
      cells.append(percent(intervals.mean(scores.values())) if scores else "–")
    rows.append([method, *cells])
  return table(["method", *map(_budget, budgets)], rows)


def accuracy_by_margin(matrix: records.Matrix, min_counting: int, budget: float) -> list[str]:
  """Accuracy on reuse tasks apart by how sure full prefill was of its answer. Empty where no line says so."""
  samples = [sample for task in matrix.reuse_tasks(min_counting) for sample in matrix.counting(task)]
  samples = [sample for sample in samples if sample in matrix.margins]
  if not samples:
    return []
  bounds = [0.0, *MARGINS, float("inf")]
  groups = [
    [sample for sample in samples if low <= matrix.margins[sample] < high] for low, high in zip(bounds, bounds[1:])
  ]
  names = [f"below {MARGINS[0]:g}", f"{MARGINS[0]:g} to {MARGINS[1]:g}", f"from {MARGINS[1]:g}"]
  rows = []
  for method in [*_measured_at(matrix, budget), "none"]:
    at = 0.0 if method == "none" else budget
    scores = [matrix.values(method, at, "score", group) for group in groups if group]
    rows.append([method, *(percent(intervals.mean(found.values())) if found else "–" for found in scores)])
  header = [f"{name} nats, {len(group)} samples" for name, group in zip(names, groups) if group]
  return table(["method", *header], rows)


def agreement(matrix: records.Matrix, task: str) -> list[str]:
  """How often a task's answers are full prefill's token by token; the F1 of their words and full prefill's; for how
  many of full prefill's tokens the method's own choice would have been the same."""
  samples, budgets = task_samples(matrix, task), _budgets(matrix)
  rows = []
  for method in [*_with_budget(matrix), "none"]:
    row = [method]
    for budget in budgets:
      at = 0.0 if method == "none" else budget
      cell = matrix.cells.get((method, at), {})
      words = [records.word_f1(cell[s]["answer"], cell[s]["full_answer"]) for s in samples if s in cell]
      for values in (
        matrix.values(method, at, "same_answer", samples).values(), words,
        matrix.values(method, at, "top1_agreement", samples).values(),
      ):  # fmt: skip
        row.append(percent(intervals.mean(values)) if values else "–")
    rows.append(row)
  header = [f"{what}, {_budget(budget)}" for budget in budgets for what in ("same answer", "same words", "same token")]
  return table(["method", *header], rows)


def repeated_full_prefill(matrix: records.Matrix, task: str, name: str, other: records.Matrix) -> list[str]:
  """How often full prefill's own answers come out the same where `other` computed them in another arithmetic: what
  no method can be asked to exceed. Empty without a sample that both have."""
  pairs = [
    (matrix.full_answers[sample], other.full_answers[sample])
    for sample in task_samples(matrix, task)
    if sample in other.full_answers
  ]
  if not pairs:
    return []
  same = percent(intervals.mean(first == second for first, second in pairs))
  words = percent(intervals.mean(records.word_f1(first, second) for first, second in pairs))
  return [
    f"Full prefill against itself in {name}, {len(pairs)} questions: same answer {same}, same words {words}. "
    "No method can be asked for more.",
    "",
  ]


def accuracy_by_task(matrix: records.Matrix, budget: float) -> list[str]:
  """Each task's counting samples at one budget, whether the task counts or not."""
  return _by_task(matrix, budget, "score", matrix.counting, lambda value: f"{100 * value:.0f} %")


def kl_by_task(matrix: records.Matrix, budget: float) -> list[str]:
  """Mean KL of all of each task's samples at one budget."""
  return _by_task(matrix, budget, "kl", lambda task: task_samples(matrix, task), lambda value: f"{value:.4f}")


def _by_task(matrix: records.Matrix, budget: float, field: str, samples_of, show) -> list[str]:
  methods = _measured_at(matrix, budget)
  rows = []
  for task in matrix.tasks():
    samples = samples_of(task)
    if not samples:
      continue
    cells = []
    for method in [*methods, "none"]:
      values = matrix.values(method, 0.0 if method == "none" else budget, field, samples)
      cells.append(show(statistics.fmean(values.values())) if values else "–")
    rows.append([task, str(len(samples)), *cells])
  return table(["task", "samples", *methods, "none"], rows)


def _cells(matrix: records.Matrix):
  for method in ordered_methods(matrix):
    if method != "full":
      for budget in matrix.budgets(method):
        yield method, budget


def kl(matrix: records.Matrix, samples: list[tuple]) -> list[str]:
  none = matrix.values("none", 0.0, "kl", samples)
  rows = []
  for method, budget in _cells(matrix):
    values = matrix.values(method, budget, "kl", samples)
    if not values:
      continue
    charged = matrix.values(method, budget, "charged_budget", samples)
    rows.append([
      method, _budget(budget), f"{100 * statistics.fmean(charged.values()):.1f} %", str(len(values)),
      nats(intervals.mean(values.values())), f"{statistics.median(values.values()):.4f}",
      f"{intervals.worst_tenth(values.values()):.4f}",
      percent(intervals.closed_gap(values, none)) if method != "none" else "–",
    ])  # fmt: skip
  return table(
    ["method", "budget", "charged", "samples", "mean KL", "median", "worst tenth", "gap closed"], rows
  )


def differences(matrix: records.Matrix, samples: list[tuple]) -> list[str]:
  """KL of the project's methods minus that of each baseline at the same budget; below zero is better."""
  baselines = [method for method in BASELINES if method in matrix.methods]
  rows = []
  for method in _with_budget(matrix):
    if method in BASELINES:
      continue
    for budget in matrix.budgets(method):
      own = matrix.values(method, budget, "kl", samples)
      row = [_marked(intervals.paired_difference(own, matrix.values(b, budget, "kl", samples))) for b in baselines]
      rows.append([method, _budget(budget), *row])
  header = [f"against {method} ({BASELINES[method]})" for method in baselines]
  return table(["method", "budget", *header], rows) if baselines else ["No baseline was measured.", ""]


def _marked(estimate: intervals.Estimate | None) -> str:
  return f"**{nats(estimate)}**" if estimate is not None and estimate.excludes_zero() else nats(estimate)


def monotony(matrix: records.Matrix) -> list[str]:
  """Whether more budget means less KL: each budget against the next smaller one, over the same samples."""
  rows = []
  for method in _with_budget(matrix):
    budgets = matrix.budgets(method)
    for smaller, larger in zip(budgets, budgets[1:]):
      before, after = matrix.values(method, smaller, "kl"), matrix.values(method, larger, "kl")
      difference = intervals.paired_difference(after, before)
      if difference is None:
        continue
      rose = sum(1 for sample in after if sample in before and after[sample] > before[sample])
      verdict = "rises" if difference.low > 0 else "falls" if difference.high < 0 else "no difference shown"
      share = f"{100 * rose / difference.num_samples:.0f} %"
      rows.append([method, f"{_budget(smaller)} → {_budget(larger)}", nats(difference), share, verdict])
  header = ["method", "budgets", "KL difference, paired", "samples that rose", ""]
  return table(header, rows) if rows else ["No method was measured at two budgets.", ""]


def time(matrix: records.Matrix) -> list[str]:
  """Stages as shares of full prefill's time in the same run."""
  found = {stage for cell in _cells(matrix) for stage in matrix.stages(*cell)}
  stages = [stage for stage in _STAGES if stage in found] + sorted(found - set(_STAGES))
  rows = []
  for method, budget in _cells(matrix):
    full = matrix.values(method, budget, "full_seconds")
    by_stage = matrix.stages(method, budget)
    shares = [intervals.ratio(by_stage.get(stage, {}), full) for stage in stages]
    total = intervals.ratio(matrix.values(method, budget, "seconds"), full)
    select = shares[stages.index("select")] if "select" in stages else None
    bound = "–" if select is None else "yes" if select.mean < MAX_SELECTION_SHARE else "no"
    rows.append([method, _budget(budget), *(percent(share, 1) for share in shares), percent(total, 1), bound])
  header = ["method", "budget", *stages, "all stages", f"selection below {100 * MAX_SELECTION_SHARE:.0f} %"]
  return table(header, rows)


def ablation(matrix: records.Matrix, main: records.Matrix | None, default: str) -> list[str]:
  """One file beside the main lines. `main`: those of the same context and chunk size, None if there are none; then
  samples differ and nothing is paired."""
  none = matrix.values("none", 0.0, "kl") or (main.values("none", 0.0, "kl") if main else {})
  rows = []
  for method, budget in _cells(matrix):
    values = matrix.values(method, budget, "kl")
    reference = main.values(default, budget, "kl") if main else {}
    rows.append([
      method, _budget(budget), str(len(values)), nats(intervals.mean(values.values())),
      percent(intervals.closed_gap(values, none)) if method != "none" else "–",
      _marked(intervals.paired_difference(values, reference)),
    ])  # fmt: skip
  return table(["method", "budget", "samples", "mean KL", "gap closed", f"against {default}, paired"], rows)
