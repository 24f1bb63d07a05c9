"""The report says what the lines say: gaps, intervals, which tasks count."""

import json
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3]))

from tools.eval import __main__ as program  # noqa: E402
from tools.eval import intervals, records, report  # noqa: E402


def line(task: str, sample: int, method: str, budget: float, kl: float, score: float = 1.0, full_score: float = 1.0):
  return {
    "model": "m", "auxiliary": "a", "context": 100, "chunk": 50, "seed": 1,
    "task": task, "sample": sample, "method": method, "budget": budget, "kl": kl, "score": score,
    "full_score": full_score, "charged_budget": budget, "seconds": 0.2, "full_seconds": 1.0,
    "answer": "it", "full_answer": "it", "same_answer": score == 1.0, "top1_agreement": 1.0,
  }


@pytest.fixture(name="lines")
def fixture_lines():
  lines = []
  for sample in range(8):
    answered = 0.0 if sample == 7 else 1.0
    lines.append(line("seam", sample, "none", 0.0, 1.0 + sample / 10, score=0.0, full_score=answered))
    lines.append(line("seam", sample, "auto", 0.2, 0.1 + sample / 100, full_score=answered))
    lines.append(line("niah_single_1", sample, "none", 0.0, 0.01))
    lines.append(line("niah_single_1", sample, "auto", 0.2, 0.01))
  return lines


def write(folder: pathlib.Path, lines) -> pathlib.Path:
  path = folder / "lines.jsonl"
  path.write_text("".join(json.dumps(entry) + "\n" for entry in lines), encoding="utf-8")
  return path


def test_only_tasks_that_lose_without_recompute_are_reuse_tasks(lines):
  matrix = records.Matrix(lines)
  assert len(matrix.counting("seam")) == 7
  assert matrix.reuse_tasks(min_counting=5) == ["seam"]
  assert matrix.reuse_tasks(min_counting=8) == []


def test_gap_is_the_ratio_of_means():
  gap = intervals.closed_gap({1: 0.1, 2: 0.3}, {1: 1.0, 2: 1.0, 3: 5.0})
  assert gap.mean == pytest.approx(0.8)
  assert gap.num_samples == 2
  assert gap.low <= gap.mean <= gap.high


def test_paired_difference_leaves_out_what_samples_share():
  difference = intervals.paired_difference({i: i + 0.5 for i in range(20)}, {i: float(i) for i in range(20)})
  assert (difference.mean, difference.low, difference.high) == (0.5, 0.5, 0.5)
  assert difference.excludes_zero()
  assert intervals.paired_difference({1: 1.0}, {2: 1.0}) is None


def test_worst_tenth_is_where_the_tail_is():
  assert intervals.worst_tenth([0.0] * 18 + [1.0, 3.0]) == 2.0
  assert intervals.worst_tenth([4.0]) == 4.0


def test_report_and_plots_are_written(lines, tmp_path):
  source = write(tmp_path, lines)
  for name in ("quality.md", "quality.html"):
    assert program.main([str(source), "--out", str(tmp_path / name), "--min-counting", "5", "--machine", "here"]) == 0
  text = (tmp_path / "quality.md").read_text(encoding="utf-8")
  assert "| seam | cross-chunk | 7 of 8 |" in text
  assert "better" in text
  assert "here" in text
  page = (tmp_path / "quality.html").read_text(encoding="utf-8")
  assert page.count("<table>") == text.count("|---|---|") or page.count("<table>") == 4
  assert (tmp_path / "quality-budget.svg").stat().st_size > 1000


def test_wrong_files_are_named(lines, tmp_path, capsys):
  broken = tmp_path / "broken.jsonl"
  broken.write_text('{"task": "seam"}\n', encoding="utf-8")
  assert program.main([str(broken), "--out", str(tmp_path / "x.md")]) == 1
  assert "line 1: lacks method" in capsys.readouterr().err
  assert program.main([str(tmp_path / "none.jsonl"), "--out", str(tmp_path / "x.md")]) == 1
  mixed = write(tmp_path, [*lines, {**lines[0], "chunk": 512}])
  assert program.main([str(mixed), "--out", str(tmp_path / "x.md")]) == 1
  assert program.main([str(write(tmp_path, lines)), "--out", str(tmp_path / "x.md"), "--default", "full"]) == 1
  assert "no lines about the method full" in capsys.readouterr().err


def test_html_escapes(lines):
  assert "&lt;b&gt;" in report.to_html("# <b>\n")
