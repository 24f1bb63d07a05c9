"""Markdown (and the same as HTML) about one file of measurements."""

import html

from . import intervals, records

_SCORED_METHODS_FIRST = ("auto", "auxiliary", "primary_probe")


def percent(estimate: intervals.Estimate | None, digits: int = 0) -> str:
  if estimate is None:
    return "–"
  low, high = f"{100 * estimate.low:.{digits}f}", f"{100 * estimate.high:.{digits}f}"
  return f"{100 * estimate.mean:.{digits}f} % [{low}, {high}]"


def nats(estimate: intervals.Estimate | None) -> str:
  return "–" if estimate is None else f"{estimate.mean:.4f} [{estimate.low:.4f}, {estimate.high:.4f}]"


def table(header: list[str], rows: list[list[str]]) -> list[str]:
  lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
  return lines + ["| " + " | ".join(row) + " |" for row in rows] + [""]


def ordered_methods(matrix: records.Matrix) -> list[str]:
  first = [method for method in _SCORED_METHODS_FIRST if method in matrix.methods]
  return first + [method for method in matrix.methods if method not in first]


def _cells(matrix: records.Matrix):
  for method in ordered_methods(matrix):
    for budget in matrix.budgets(method):
      yield method, budget


def tasks_table(matrix: records.Matrix, min_counting: int) -> list[str]:
  reuse = matrix.reuse_tasks(min_counting)
  rows = []
  for task in matrix.tasks():
    num_samples = sum(1 for sample in matrix.samples if sample[0] == task)
    counting = matrix.counting(task)
    none = matrix.values("none", 0.0, "score", counting)
    rows.append([
      task,
      records.family(task),
      f"{len(counting)} of {num_samples}",
      percent(intervals.mean(none.values())) if none else "–",
      "yes" if task in reuse else "no",
    ])
  return table(["task", "kind", "full prefill exact", "accuracy without recompute", "reuse task"], rows)


def kl_table(matrix: records.Matrix) -> list[str]:
  none = matrix.values("none", 0.0, "kl")
  rows = []
  for method, budget in _cells(matrix):
    kl = matrix.values(method, budget, "kl")
    charged = matrix.values(method, budget, "charged_budget")
    seconds = matrix.values(method, budget, "seconds")
    full = matrix.values(method, budget, "full_seconds")
    rows.append([
      method,
      f"{100 * budget:g} %",
      f"{100 * sum(charged.values()) / len(charged):.1f} %",
      nats(intervals.mean(kl.values())),
      percent(intervals.closed_gap(kl, none)),
      f"{sorted(kl.values())[len(kl) // 2]:.4f}",
      f"{intervals.worst_tenth(kl.values()):.4f}",
      f"{100 * sum(seconds.values()) / sum(full.values()):.1f} %",
    ])
  header = ["method", "budget", "charged", "mean KL", "gap closed", "median", "worst tenth", "time ÷ full prefill"]
  return table(header, rows)


def accuracy_table(matrix: records.Matrix, min_counting: int) -> list[str]:
  reuse = matrix.reuse_tasks(min_counting)
  kinds = list(dict.fromkeys(records.family(task) for task in reuse))
  rows = []
  for method, budget in _cells(matrix):
    row = [method, f"{100 * budget:g} %"]
    for kind in kinds + ["all"]:
      samples = [s for task in reuse if kind in ("all", records.family(task)) for s in matrix.counting(task)]
      scores = matrix.values(method, budget, "score", samples) if samples else {}
      row.append(percent(intervals.mean(scores.values())) if scores else "–")
    agreement = matrix.values(method, budget, "same_answer")
    rows.append(row + [percent(intervals.mean(agreement.values()))])
  return table(["method", "budget", *kinds, "all reuse tasks", "same answer as full prefill"], rows)


def difference_table(matrix: records.Matrix, default: str) -> list[str]:
  rows = []
  for budget in matrix.budgets(default):
    own = matrix.values(default, budget, "kl")
    for method in matrix.methods:
      if method in (default, "full"):
        continue
      other = matrix.values(method, 0.0 if method == "none" else budget, "kl")
      difference = intervals.paired_difference(own, other)
      if difference is not None:
        verdict = "better" if difference.high < 0 else "worse" if difference.low > 0 else "no difference shown"
        rows.append([f"{100 * budget:g} %", method, nats(difference), verdict])
  return table(["budget", f"{default} against", "KL difference, paired", ""], rows)


def markdown(matrix: records.Matrix, *, default: str, min_counting: int, provenance: str, plots: list[str]) -> str:
  """The whole report. `plots`: file names beside it."""
  lines = [
    "# Quality: measured",
    "",
    f"Model {matrix.model}, auxiliary {matrix.auxiliary or 'none'}; contexts of about {matrix.context} tokens in",
    f"chunks of about {matrix.chunk}; {len(matrix.samples)} samples.",
    provenance,
    "",
    "Intervals are 95 % bootstrap percentiles over samples; differences are paired. What is measured, and the tasks:",
    "[evaluation.md](evaluation.md). Accuracy counts only samples that full prefill answers exactly; a *reuse task*",
    f"has at least {min_counting} of them and loses at least 10 points without recompute.",
    "",
    "## Tasks",
    *tasks_table(matrix, min_counting),
    "## KL to full prefill",
    *kl_table(matrix),
    "## Accuracy on reuse tasks, relative to full prefill",
    *accuracy_table(matrix, min_counting),
    f"## {default} against the others",
    *difference_table(matrix, default),
  ]
  lines += [f"![{name}]({name})" for name in plots]
  return "\n".join(lines) + "\n"


def to_html(text: str) -> str:
  """The Markdown that markdown() writes, as a page: headings, tables, images, paragraphs."""
  body = []
  rows: list[list[str]] = []
  for line in [*text.splitlines(), ""]:
    if line.startswith("|"):
      rows.append([html.escape(cell.strip()) for cell in line.strip("|").split("|")])
      continue
    if rows:
      header, _, *rest = rows
      body.append("<table><tr>" + "".join(f"<th>{cell}</th>" for cell in header) + "</tr>")
      body += ["<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rest]
      body.append("</table>")
      rows = []
    if line.startswith("#"):
      level = len(line) - len(line.lstrip("#"))
      body.append(f"<h{level}>{html.escape(line.lstrip('# '))}</h{level}>")
    elif line.startswith("!["):
      body.append(f'<img src="{html.escape(line[line.index("(") + 1 : -1])}" alt="">')
    elif line:
      body.append(f"<p>{html.escape(line)}</p>")
  style = "body{font:15px sans-serif;margin:2em}td,th{padding:2px 10px;border-bottom:1px solid #ccc;text-align:left}"
  head = f"<meta charset=utf-8><title>Quality</title><style>{style}</style>"
  return f"<!doctype html>{head}\n" + "\n".join(body) + "\n"
