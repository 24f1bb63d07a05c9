"""Writes docs/quality.md: what `cacheclip eval` measured, by the rules of docs/evaluation.md.

  python=$(tools/setup/python_environment.sh eval)
  $python -m tools.eval.quality small.jsonl large.jsonl --out docs/quality.md --machine "AMD EPYC, 2 cores" \\
    --command "cacheclip eval …" --ablation "without chunk heads=no_seam.jsonl"

Files with the same model, auxiliary, context and chunk size complete each other; others get a section of their own.
Plots go to a folder beside the page that is named after it. Without --command the page shows commands that ask for
the cells that the lines hold. Exit codes: 0 done, 1 a file cannot be reported on, 2 wrong usage.
"""

import argparse
import datetime
import pathlib
import re
import shlex
import sys

from . import plots, quality_tables, records


def command_of(matrix: records.Matrix) -> str:
  """A command that asks for these cells. The models' settings are not in the lines."""
  budgets = sorted({budget for method in matrix.methods for budget in matrix.budgets(method) if 0 < budget < 1})
  arguments = [
    "--tasks", ",".join(matrix.tasks()),
    "--methods", ",".join(matrix.methods),
    "--budgets", ",".join(f"{budget:g}" for budget in budgets),
    "--samples", str(1 + max(sample for _, _, sample in matrix.samples)),
    "--context", str(matrix.context), "--chunk", str(matrix.chunk),
  ]  # fmt: skip
  if matrix.has_passages:
    arguments = [*arguments[2:-4], "--tasks", "", "--qa-file", "QUESTIONS.json"]
  return "\n".join(shlex.join(["cacheclip", "eval", *arguments, "--seed", str(seed)]) for seed in matrix.seeds)


def _title(matrix: records.Matrix) -> str:
  if matrix.has_passages:
    return f"{matrix.model}, questions over passages, a passage a chunk"
  return f"{matrix.model}, contexts of about {matrix.context} tokens in chunks of about {matrix.chunk}"


def _slug(matrix: records.Matrix) -> str:
  name = re.sub(r"[^a-z0-9]+", "-", f"{matrix.model}-{matrix.auxiliary}".lower()).strip("-")
  return f"{name}-passages" if matrix.has_passages else f"{name}-{matrix.context}-{matrix.chunk}"


def _draw(matrix: records.Matrix, page: pathlib.Path) -> list[str]:
  """The plots of a section, as paths relative to the page."""
  folder = page.with_suffix("")
  folder.mkdir(parents=True, exist_ok=True)
  names = []
  for what, draw in (("budget", plots.kl_against_budget), ("time", plots.kl_against_time)):
    path = folder / f"{_slug(matrix)}-{what}.svg"
    draw(matrix, path)
    names.append(f"{folder.name}/{path.name}")
  return names


def _task_budget(matrix: records.Matrix) -> float | None:
  """Where accuracy is shown task by task: 20 %, or the next budget below that was measured, or the smallest."""
  budgets = sorted({budget for method in matrix.methods for budget in matrix.budgets(method) if 0 < budget < 1})
  return max((budget for budget in budgets if budget <= 0.2), default=budgets[0]) if budgets else None


def section(
  matrix: records.Matrix, min_counting: int, images: list[str], repeated: list[tuple[str, records.Matrix]]
) -> list[str]:
  counting = [sample for task in matrix.tasks() for sample in matrix.counting(task)]
  budget = _task_budget(matrix)
  lines = [
    f"## {_title(matrix)}",
    "",
    f"Auxiliary: {matrix.auxiliary or 'none'}. {len(matrix.samples)} samples, {len(counting)} of which full prefill "
    "answers exactly.",
    "",
    "### Which tasks count",
    *quality_tables.tasks(matrix, min_counting),
    "### Accuracy relative to full prefill",
    *quality_tables.accuracy(matrix, min_counting),
  ]
  if budget is not None and counting:
    lines += [
      f"Counting samples task by task at a budget of {100 * budget:g} %, tasks that do not count included:",
      "",
      *quality_tables.accuracy_by_task(matrix, budget),
    ]
    by_margin = quality_tables.accuracy_by_margin(matrix, min_counting, budget)
    if by_margin:
      lines += [
        "Full prefill's own choice can be a near tie, which any change of arithmetic tips. Reuse tasks at a budget of "
        f"{100 * budget:g} %, apart by the margin in log probability between full prefill's token and the next "
        "likely one, at the closest token of what was asked for:",
        "",
        *by_margin,
      ]
  for task in matrix.tasks():
    if records.family(task) == "documents":  # F1 moves with wording; whether the answer moved is the question
      lines += [f"### Agreement with full prefill on {task}", *quality_tables.agreement(matrix, task)]
      for name, other in repeated:
        lines += quality_tables.repeated_full_prefill(matrix, task, name, other)
  lines += ["### KL to full prefill", "All samples:", "", *quality_tables.kl(matrix, matrix.samples)]
  if counting:
    lines += ["Counting samples:", "", *quality_tables.kl(matrix, counting)]
  if budget is not None:
    lines += [
      f"Mean over all samples, task by task at a budget of {100 * budget:g} %:",
      "",
      *quality_tables.kl_by_task(matrix, budget),
    ]
  lines += [f"![{name}]({name})" for name in images]
  lines += [
    "",
    "### KL against published methods and chance",
    "Mean paired differences at the same budget; below zero is better, bold where the interval excludes zero. All "
    "samples:",
    "",
    *quality_tables.differences(matrix, matrix.samples),
  ]
  if counting:
    lines += ["Counting samples:", "", *quality_tables.differences(matrix, counting)]
  return lines + [
    "### More budget, less KL",
    *quality_tables.monotony(matrix),
    "### Time, relative to full prefill",
    "Of the same run, in which other things ran too; `cacheclip bench ttft` measures time with more care.",
    "",
    *quality_tables.time(matrix),
  ]


def ablations(named: list[tuple[str, list[records.Matrix]]], matrices: list[records.Matrix], default: str) -> list[str]:
  lines = ["## Ablations", f"Each beside `{default}` of the lines above of the same context and chunk size.", ""]
  for name, parts in named:
    for part in parts:
      same = [matrix for matrix in matrices if (matrix.context, matrix.chunk) == (part.context, part.chunk)]
      lines += [f"### {name}", f"{_title(part)}; auxiliary {part.auxiliary or 'none'}.", ""]
      lines += quality_tables.ablation(part, _closest(same, part), default)
  return lines


def _closest(candidates: list[records.Matrix], part: records.Matrix) -> records.Matrix | None:
  """The one that shares most with `part`: its model, then its auxiliary."""
  return max(
    candidates,
    key=lambda matrix: (matrix.model == part.model, matrix.auxiliary == part.auxiliary),
    default=None,
  )


def page(
  matrices: list[records.Matrix],
  *,
  min_counting: int,
  machine: str,
  date: str,
  commands: list[str],
  notes: list[str],
  images: list[list[str]],
  named_ablations: list[tuple[str, list[records.Matrix]]],
  repeated: list[tuple[str, records.Matrix]],
  default: str,
) -> str:
  """The whole page. `images`: of each matrix, paths relative to the page. `repeated`: the same questions, answered by
  full prefill in another arithmetic."""
  commands = commands or [command_of(matrix) for matrix in matrices]
  lines = [
    "# Quality",
    "",
    f"Measured {date}{f' on {machine}' if machine else ''}. Written by `tools/eval/quality.py`; what is measured, the "
    "tasks and the methods are in [evaluation.md](evaluation.md).",
    "",
    "```sh",
    *commands,
    "```",
    "",
    *(line for note in notes for line in (note, "")),
    "A *sample* counts for accuracy if full prefill answers it exactly, so that full prefill stands at 100 %. A *task* "
    f"counts with at least {min_counting} counting samples, and is a *reuse task* if no recompute at all loses at "
    f"least {100 * records.MIN_LOSS:.0f} points on it: what is answered without any recompute proves nothing. "
    "*Gap closed* is 1 − KL ÷ KL without recompute; *worst tenth* the mean KL of the tenth of the samples that is "
    "worst. Brackets hold 95 % bootstrap intervals over samples; differences are paired.",
    "",
  ]
  for matrix, names in zip(matrices, images):
    lines += section(matrix, min_counting, names, repeated)
  if named_ablations:
    lines += ablations(named_ablations, matrices, default)
  return "\n".join(lines).rstrip() + "\n"


def _named_file(argument: str) -> tuple[str, pathlib.Path]:
  name, equals, path = argument.rpartition("=")
  if not (name and equals and path):
    raise argparse.ArgumentTypeError(f"NAME=FILE, got {argument!r}")
  return name, pathlib.Path(path)


def main(arguments: list[str] | None = None) -> int:
  parser = argparse.ArgumentParser(
    prog="python -m tools.eval.quality", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument("measurements", type=pathlib.Path, nargs="+", help="files written by cacheclip eval --out")
  parser.add_argument("--out", type=pathlib.Path, required=True, help="the page; plots go to a folder of its name")
  parser.add_argument("--ablation", type=_named_file, action="append", default=[], help="NAME=FILE, any number")
  parser.add_argument(
    "--repeated", type=_named_file, action="append", default=[],
    help="NAME=FILE, any number: the questions over passages again, in another arithmetic",
  )  # fmt: skip
  parser.add_argument("--default", default="auto", help="the method that ablations are compared with")
  parser.add_argument("--min-counting", type=int, default=30, help="counting samples that make a task count")
  parser.add_argument("--command", action="append", default=[], help="what measured it; any number")
  parser.add_argument("--note", action="append", default=[], help="a paragraph ahead of the tables; any number")
  parser.add_argument("--machine", default="", help="where")
  parser.add_argument("--date", default=datetime.date.today().isoformat(), help="when; default: today")
  options = parser.parse_args(arguments)
  try:
    matrices = records.load_all(options.measurements)
    named_ablations = [(name, records.load_all([path])) for name, path in options.ablation]
    repeated = [(name, records.load(path)) for name, path in options.repeated]
  except (records.RecordError, OSError) as error:
    print(f"tools.eval.quality: {error}", file=sys.stderr)
    return 1
  text = page(
    matrices,
    min_counting=options.min_counting,
    machine=options.machine,
    date=options.date,
    commands=options.command,
    notes=options.note,
    images=[_draw(matrix, options.out) for matrix in matrices],
    named_ablations=named_ablations,
    repeated=repeated,
    default=options.default,
  )
  options.out.write_text(text, encoding="utf-8")
  return 0


if __name__ == "__main__":
  sys.exit(main())
