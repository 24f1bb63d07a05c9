"""Writes docs/performance.md from what `run` measured: tables of medians and ratios, and plots beside the page.

  python -m tests.benchmarks.peers.page measured.json --out docs/performance.md

Exit codes: 0 done, 1 the measurements cannot be read, 2 wrong usage.
"""

import argparse
import json
import pathlib
import statistics
import sys
from collections.abc import Sequence

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "cacheclip"  # the same numbers give the same bytes
import matplotlib.pyplot as plt  # noqa: E402  (the backend comes first)

OURS = "cacheclip"
CLASSES = {"bf16": "bf16 against bf16 and f16", "int8": "int8 against q8_0"}


class Measured:
  """Medians by (what, size, precision, who)."""

  def __init__(self, report: dict):
    self.report = report
    self._rows = {
      (row["what"], row["size"], row["precision"], row["who"]): row for row in report["samples"] if row["seconds"]
    }

  def sizes(self, what: str, precision: str) -> list[int]:
    return sorted({size for w, size, p, _ in self._rows if (w, p) == (what, precision)})

  def names(self, what: str, precision: str) -> list[str]:
    names = dict.fromkeys(who for w, _, p, who in self._rows if (w, p) == (what, precision))
    return sorted(names, key=lambda name: name != OURS)

  def seconds(self, what: str, size: int, precision: str, who: str) -> list[float]:
    return self._rows.get((what, size, precision, who), {}).get("seconds", [])

  def median(self, what: str, size: int, precision: str, who: str) -> float | None:
    seconds = self.seconds(what, size, precision, who)
    return statistics.median(seconds) if seconds else None

  def floor(self, what: str, size: int, precision: str, who: str) -> float | None:
    floors = self._rows.get((what, size, precision, who), {}).get("floor_seconds", [])
    return statistics.median(floors) if floors else None

  def best_peer(self, what: str, size: int, precision: str) -> tuple[str, float] | None:
    peers = [
      (self.median(what, size, precision, name), name) for name in self.names(what, precision) if name != OURS
    ]
    peers = [(seconds, name) for seconds, name in peers if seconds is not None]
    return (min(peers)[1], min(peers)[0]) if peers else None


def _number(value: float | None, form: str) -> str:
  return "–" if value is None else form.format(value)


def _spread(seconds: list[float], scale: float) -> str:
  if not seconds:
    return "–"
  low, middle, high = (scale * value for value in (min(seconds), statistics.median(seconds), max(seconds)))
  return f"{middle:.3g} [{low:.3g}, {high:.3g}]"


def _versus_peers(measured: Measured, what: str, precision: str, size_name: str, unit: str, scale: float) -> list[str]:
  """A row per size: everyone's median and range, our ratio to the best peer and to the limit."""
  names = measured.names(what, precision)
  lines = [
    f"| {size_name} | {' | '.join(names)} | best peer ÷ ours | limit ÷ ours |",
    "|---" * (len(names) + 3) + "|",
  ]
  for size in measured.sizes(what, precision):
    cells = [_spread(measured.seconds(what, size, precision, name), scale) for name in names]
    ours, peer = measured.median(what, size, precision, OURS), measured.best_peer(what, size, precision)
    floor = measured.floor(what, size, precision, OURS)
    ratio = f"{peer[1] / ours:.2f} ({peer[0]})" if ours and peer else "–"
    share = _number(100 * floor / ours if ours and floor else None, "{:.0f} %")
    lines.append(f"| {size} | {' | '.join(cells)} | {ratio} | {share} |")
  return [f"In {unit}, median and range of the rounds:", "", *lines, ""]


def _ttft_table(measured: Measured) -> list[str]:
  lines = [
    "| context | method | budget | charged | first token, s | full prefill ÷ it | ideal | it ÷ limit "
    "| best peer's full prefill ÷ it | selection, share of full prefill |",
    "|---" * 10 + "|",
  ]
  for row in measured.report["ttft"]:
    context = row["context_tokens"]
    sizes = [size for size in measured.sizes("prefill", "bf16") if abs(size - context) < 0.05 * size]
    peer = measured.best_peer("prefill", sizes[0], "bf16") if sizes else None
    select = row["stage_seconds"].get("select", 0) / row["full_prefill_seconds"]
    low, high = row["ttft_range_seconds"]
    lines.append(
      f"| {context} | {row['method']} | {100 * row['budget']:g} % | {100 * row['charged_budget']:.1f} % "
      f"| {row['ttft_seconds']:.3g} [{low:.3g}, {high:.3g}] | {row['speedup']:.2f} "
      f"| {row['limits']['ideal_speedup']:.2f} | {row['ttft_seconds'] / row['limits']['ttft_floor_seconds']:.2f} "
      f"| {_number(peer[1] / row['ttft_seconds'] if peer else None, '{:.1f}')} | {100 * select:.1f} % |"
    )
  return lines + [""]


def _save(figure, path: pathlib.Path) -> str:
  path.parent.mkdir(parents=True, exist_ok=True)
  figure.tight_layout()
  figure.savefig(path, format="svg", metadata={"Date": None})
  plt.close(figure)
  return f"![{path.stem}]({path.parent.name}/{path.name})"


def _plot_context(measured: Measured, path: pathlib.Path) -> str:
  """Seconds to the first token against context: peers' full prefill, ours, and ours over stored chunks."""
  figure, axes = plt.subplots(figsize=(7, 4.5))
  for name in measured.names("prefill", "bf16"):
    sizes = measured.sizes("prefill", "bf16")
    axes.plot(sizes, [measured.median("prefill", size, "bf16", name) for size in sizes], marker="o",
              label=f"{name}, full prefill")  # fmt: skip
  series: dict[tuple, list[tuple[float, float]]] = {}
  for row in measured.report["ttft"]:
    series.setdefault((row["method"], row["budget"]), []).append((row["context_tokens"], row["ttft_seconds"]))
  for (method, budget), points in series.items():
    axes.plot(*zip(*sorted(points)), marker="s", linestyle="--", label=f"cacheclip, {method} at {100 * budget:g} %")
  axes.set(xlabel="prompt tokens", ylabel="seconds to the first token", ylim=(0, None))
  axes.legend(fontsize=8)
  return _save(figure, path)


def _plot_budget(measured: Measured, path: pathlib.Path) -> str:
  """Time to the first token as a share of full prefill's against the charged budget."""
  figure, axes = plt.subplots(figsize=(7, 4.5))
  series: dict[tuple, list[tuple[float, float]]] = {}
  for row in measured.report["ttft"]:
    series.setdefault((row["method"], row["context_tokens"]), []).append((row["charged_budget"], 1 / row["speedup"]))
  for (method, context), points in series.items():
    axes.plot(*zip(*sorted(points)), marker="s", label=f"{method}, {context} tokens")
  axes.set(xlabel="charged budget", ylabel="time to the first token ÷ full prefill's", xlim=(0, None), ylim=(0, None))
  axes.legend(fontsize=8)
  return _save(figure, path)


def _plot_recompute(report: dict, path: pathlib.Path) -> str:
  """Seconds of recomputing against selected tokens, and the line through them."""
  figure, axes = plt.subplots(figsize=(7, 4.5))
  tokens = [row["recomputed_tokens"] for row in report["results"]]
  axes.plot(tokens, [row["recompute_seconds"] for row in report["results"]], marker="o", linestyle="none",
            label=f"measured, {report['context_tokens']} context tokens")  # fmt: skip
  line = report["line"]
  ends = [0, max(tokens)]
  axes.plot(ends, [line["seconds_without_tokens"] + line["seconds_per_token"] * end for end in ends], label="line")
  axes.set(xlabel="selected tokens", ylabel="seconds of recomputing", xlim=(0, None), ylim=(0, None))
  axes.legend(fontsize=8)
  return _save(figure, path)


def _recompute(report: dict, out: pathlib.Path) -> list[str]:
  recompute, line = report["recompute"], report["recompute"]["line"]
  assembly = [row for row in report["store"]["results"] if row["operation"].startswith("get and assemble")]
  return [
    "## Recomputing and assembling",
    "",
    f"Recomputing takes {1000 * line['seconds_per_token']:.2f} ms a selected token and "
    f"{line['seconds_without_tokens']:.2f} s without any (the question's own tokens); no point is further from that "
    f"line than {100 * line['largest_deviation']:.0f} % of the longest (`cacheclip bench recompute`, tokens chosen at "
    "random).",
    "",
    _plot_recompute(recompute, out.with_suffix("") / "recompute.svg"),
    "",
    "Chunks out of the memory tier, rotated and laid into a request's cache, beside copying as many bytes (`cacheclip "
    "bench store`):",
    "",
    "| | GB/s | limit | limit, GB/s | share of limit |",
    "|---|---|---|---|---|",
    *(
      f"| {row['operation']} | {row['bytes_per_second']['median'] / 1e9:.2f} | {row['limit']} "
      f"| {row['limit_bytes_per_second']['median'] / 1e9:.2f} | {100 * row['ratio']['median']:.0f} % |"
      for row in assembly
    ),
    "",
  ]


def page(report: dict, out: pathlib.Path, notes: Sequence[str] = ()) -> str:
  measured = Measured(report)
  rounds = f"{report['rounds']} round" + ("" if report["rounds"] == 1 else "s")
  lines = [
    "# Performance",
    "",
    f"Measured {report['date']} on {report['machine']} ({', '.join(report['instruction_sets'])}), {report['threads']} "
    f"threads, {rounds} after one that did not count, everyone in turn; demo model. Written by "
    "`tests/benchmarks/peers/page.py`. Times are this machine's; ratios are what to look at. The limit is measured in "
    "the same run: products at the speed of a large one in the same arithmetic, decode at the speed of reading memory "
    "(docs/architecture.md).",
    "",
    "```sh",
    report["command"],
    "```",
    "",
  ]
  lines += [
    "OpenVINO and transformers compute in bf16 or in fp32, whichever is faster here (a prompt of 512 tokens decides), "
    "and so does CacheClip.",
    "",
  ]
  lines += [line for note in notes for line in (note, "")]
  for precision, title in CLASSES.items():
    if measured.sizes("prefill", precision):
      lines += [f"## Full prefill, {title}", ""]
      lines += _versus_peers(measured, "prefill", precision, "prompt tokens", "seconds", 1)
  for precision, title in CLASSES.items():
    if measured.sizes("decode", precision):
      lines += [f"## Decode of one sequence, {title}", ""]
      lines += _versus_peers(measured, "decode", precision, "tokens before", "milliseconds a token", 1000)
  if report["ttft"]:
    lines += [
      "## Time to the first token over stored chunks",
      "",
      "Everything cached, selection included; full prefill is our own in the same process. The limit counts attention "
      "to everything before a recomputed token, also in local heads, which leave some out (docs/adr/0024).",
      "",
      *_ttft_table(measured),
      _plot_context(measured, out.with_suffix("") / "context.svg"),
      _plot_budget(measured, out.with_suffix("") / "budget.svg"),
      "",
    ]
  if report["recompute"]:
    lines += _recompute(report["recompute"], out)
  lines += [f"Not measured: {failure}" for failure in report["failures"]]
  return "\n".join(lines).rstrip() + "\n"


def main(arguments: list[str] | None = None) -> int:
  parser = argparse.ArgumentParser(
    prog="python -m tests.benchmarks.peers.page", description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )  # fmt: skip
  parser.add_argument("measured", type=pathlib.Path, help="what run --out wrote")
  parser.add_argument("--out", type=pathlib.Path, required=True, help="the page; plots go to a folder of its name")
  parser.add_argument("--note", action="append", default=[], help="a paragraph ahead of the tables; any number")
  options = parser.parse_args(arguments)
  try:
    text = page(json.loads(options.measured.read_text(encoding="utf-8")), options.out, options.note)
  except (OSError, ValueError, KeyError) as error:
    print(f"tests.benchmarks.peers.page: {options.measured}: {error}", file=sys.stderr)
    return 1
  options.out.write_text(text, encoding="utf-8")
  return 0


if __name__ == "__main__":
  sys.exit(main())
