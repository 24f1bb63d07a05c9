"""From the lines of `cacheclip eval --out` to a report.

  python=$(tools/setup/python_environment.sh eval)
  $python -m tools.eval matrix.jsonl --out docs/quality.md --command "cacheclip eval …" --machine "AMD EPYC, 2 cores"
  $python -m tools.eval matrix.jsonl --out quality.html --default auxiliary

Writes Markdown, or HTML if --out ends with .html, and two plots beside it. Exit codes: 0 done, 1 the file cannot be
reported on, 2 wrong usage.
"""

import argparse
import datetime
import pathlib
import sys

from . import plots, records, report


def main(arguments: list[str] | None = None) -> int:
  parser = argparse.ArgumentParser(
    prog="python -m tools.eval", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument("measurements", type=pathlib.Path, help="file written by cacheclip eval --out")
  parser.add_argument("--out", type=pathlib.Path, required=True, help=".md or .html")
  parser.add_argument("--default", default="auto", help="the method that is compared with the others")
  parser.add_argument("--min-counting", type=int, default=30, help="samples that make a task count")
  parser.add_argument("--command", default="", help="what measured it, for the page")
  parser.add_argument("--machine", default="", help="where, for the page")
  options = parser.parse_args(arguments)
  try:
    matrix = records.load(options.measurements)
    if options.default not in matrix.methods:
      raise records.RecordError(f"no lines about the method {options.default}; there are {', '.join(matrix.methods)}")
  except (records.RecordError, OSError) as error:
    print(f"tools.eval: {error}", file=sys.stderr)
    return 1
  stem = options.out.stem
  images = [f"{stem}-budget.svg", f"{stem}-time.svg"]
  plots.kl_against_budget(matrix, options.out.with_name(images[0]))
  plots.kl_against_time(matrix, options.out.with_name(images[1]))
  command = f" Command: `{options.command}`." if options.command else ""
  where = f", {options.machine}" if options.machine else ""
  provenance = f"Measured {datetime.date.today().isoformat()}{where}.{command}"
  text = report.markdown(
    matrix, default=options.default, min_counting=options.min_counting, provenance=provenance, plots=images
  )
  options.out.write_text(report.to_html(text) if options.out.suffix == ".html" else text, encoding="utf-8")
  return 0


if __name__ == "__main__":
  sys.exit(main())
