"""The quality page says what the lines say: which tasks count, accuracy, KL, monotony, time, ablations."""

import json
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3]))

from tools.eval import intervals, plots, quality, quality_tables, records  # noqa: E402


def line(task, sample, method, budget, kl, score=1.0, full_score=1.0, **more):
  return {
    "model": "m", "auxiliary": "a", "context": 100, "chunk": 50, "seed": 1,
    "task": task, "sample": sample, "method": method, "budget": budget, "kl": kl, "score": score,
    "full_score": full_score, "charged_budget": budget, "seconds": 0.3, "full_seconds": 1.0,
    "stage_seconds": {"assemble": 0.05, "select": 0.05, "recompute": 0.2},
    "answer": "it", "full_answer": "it", "same_answer": score == 1.0, "top1_agreement": 1.0, **more,
  }  # fmt: skip


# Ten samples a task. `seam`: full prefill fails the last one, and the KL of that one is out of line; without recompute
# every second answer is lost. `niah_single_1` loses nothing, `vt` has three counting samples.
@pytest.fixture(name="lines")
def fixture_lines():
  lines = []
  for sample in range(10):
    failed = sample == 9
    full = 0.0 if failed else 1.0
    lines += [
      line("seam", sample, "none", 0.0, 1.0, score=float(sample % 2 == 1), full_score=full),
      line("seam", sample, "auto", 0.1, 3.0 if failed else 0.2, score=float(sample < 6), full_score=full),
      line("seam", sample, "auto", 0.2, 3.0 if failed else 0.1, score=float(sample < 8), full_score=full),
      line("seam", sample, "auxiliary_paper", 0.2, 0.4, full_score=full,
           stage_seconds={"assemble": 0.05, "select": 0.15, "recompute": 0.2}),
      line("seam", sample, "random", 0.2, 0.03 * sample, full_score=full),
      line("niah_single_1", sample, "none", 0.0, 0.01),
      line("niah_single_1", sample, "auto", 0.2, 0.01),
      line("vt", sample, "none", 0.0, 0.5, score=0.0, full_score=float(sample < 3)),
      line("vt", sample, "auto", 0.2, 0.1, full_score=float(sample < 3)),
    ]  # fmt: skip
  return lines


@pytest.fixture(name="matrix")
def fixture_matrix(lines):
  return records.Matrix(lines)


def rows_of(table: list[str]) -> list[list[str]]:
  """The cells of a table's lines, header first."""
  cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in table if row.startswith("|")]
  return [cells[0], *cells[2:]]


def write(path: pathlib.Path, lines) -> pathlib.Path:
  path.write_text("".join(json.dumps(entry) + "\n" for entry in lines), encoding="utf-8")
  return path


def seam(matrix: records.Matrix):
  return [sample for sample in matrix.samples if sample[0] == "seam"]


def test_a_task_that_does_not_count_says_why(matrix):
  reasons = {row[0]: row[4] for row in rows_of(quality_tables.tasks(matrix, min_counting=9))[1:]}
  assert reasons == {
    "seam": "yes",
    "niah_single_1": "no: loses 0 points without recompute, fewer than 10",
    "vt": "no: 3 counting samples, fewer than 9",
  }


def test_a_task_that_loses_exactly_ten_points_is_a_reuse_task():
  lines = [line("seam", sample, "none", 0.0, 1.0, score=float(sample > 0)) for sample in range(10)]
  assert records.Matrix(lines).why_no_reuse_task("seam", 10) == ""
  unmeasured = records.Matrix([line("seam", 0, "auto", 0.2, 1.0)])
  assert unmeasured.why_no_reuse_task("seam", 1) == "not measured without recompute"


def test_accuracy_is_of_the_counting_samples_of_reuse_tasks(matrix):
  table = quality_tables.accuracy(matrix, min_counting=9)
  assert table[0] == "All reuse tasks (seam; 9 samples):"
  assert not any("cross-chunk" in row for row in table), "one kind alone is no group of its own"
  header, *rows = rows_of(table)
  assert header == ["method", "10 %", "20 %"]
  by_method = {row[0]: row[1:] for row in rows}
  assert by_method["auto"][0].startswith("67 % [")  # 6 of 9
  assert by_method["auto"][1].startswith("89 % [")  # 8 of 9
  assert by_method["auxiliary_paper"] == ["–", "100 % [100, 100]"]
  assert by_method["none"][0] == by_method["none"][1]
  assert by_method["none"][0].startswith("44 % [")  # samples 1, 3, 5, 7 of 9
  assert quality_tables.accuracy(matrix, min_counting=11)[0] == "No task of these lines is a reuse task."


def test_accuracy_is_given_by_kind_where_there_are_several(lines):
  lines += [line("vt", sample, "none", 0.0, 1.0, score=0.0, seed=2) for sample in range(9)]
  table = quality_tables.accuracy(records.Matrix(lines), min_counting=9)
  assert [row for row in table if row.endswith("samples):")] == [
    "All reuse tasks (seam, vt; 21 samples):",
    "Reuse tasks, RULER (vt; 12 samples):",
    "Reuse tasks, cross-chunk (seam; 9 samples):",
  ]


def test_questions_over_passages_report_agreement_with_full_prefill(tmp_path):
  lines = [line("qa", sample, "none", 0.0, 0.2, same_answer=False, top1_agreement=0.5) for sample in range(4)]
  lines += [line("qa", sample, "auto", 0.2, 0.1, same_answer=sample > 0, top1_agreement=0.75) for sample in range(4)]
  rows = rows_of(quality_tables.agreement(records.Matrix(lines), "qa"))
  assert rows[0] == ["method", "same answer, 20 %", "same words, 20 %", "same token, 20 %"]
  assert [row[0] for row in rows[1:]] == ["auto", "none"]
  assert [cell.split(" [")[0] for cell in rows[1][1:]] == ["75 %", "100 %", "75 %"]
  assert [cell.split(" [")[0] for cell in rows[2][1:]] == ["0 %", "100 %", "50 %"]
  page = tmp_path / "page.md"
  again = [line("qa", sample, "none", 0.0, 0.2, full_answer="other" if sample else "it") for sample in range(4)]
  measurements = str(write(tmp_path / "qa.jsonl", lines))
  assert quality.main([
    measurements, "--repeated", f"fp32={write(tmp_path / 'again.jsonl', again)}", "--out", str(page)
  ]) == 0  # fmt: skip
  assert "against itself in fp32, 4 questions: same answer 25 % [0, 75], same words 25 %" in page.read_text("utf-8")
  assert "questions over passages" in page.read_text(encoding="utf-8")
  assert "--qa-file QUESTIONS.json" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
  ("first", "second", "f1"),
  [("The Cat sat.", "cat SAT", 1.0), ("a cat sat", "cat ran off", 0.4), ("", "the", 1.0), ("", "cat", 0.0),
   ("no no", "no", 2 / 3)],
)  # fmt: skip
def test_answers_are_compared_word_by_word(first, second, f1):
  assert records.word_f1(first, second) == pytest.approx(f1)


def test_kl_by_task_is_of_all_samples(matrix):
  rows = {row[0]: row[1:] for row in rows_of(quality_tables.kl_by_task(matrix, 0.2))}
  assert rows["seam"] == ["10", "0.3900", "0.4000", "0.1350", "1.0000"]
  assert rows["vt"] == ["10", "0.1000", "–", "–", "0.5000"]


def test_accuracy_by_task_shows_tasks_that_do_not_count(matrix):
  rows = {row[0]: row[1:] for row in rows_of(quality_tables.accuracy_by_task(matrix, 0.2))}
  assert rows["vt"] == ["3", "100 %", "–", "–", "0 %"]
  assert rows["task"] == ["samples", "auto", "auxiliary_paper", "random", "none"]


def test_accuracy_apart_by_full_prefills_margin(lines):
  assert quality_tables.accuracy_by_margin(records.Matrix(lines), 9, 0.2) == [], "these lines do not say"
  for entry in lines:
    entry["full_margin"] = 0.1 if entry["sample"] in (7, 8) else 2.0
  header, *rows = rows_of(quality_tables.accuracy_by_margin(records.Matrix(lines), 9, 0.2))
  assert header == ["method", "below 0.25 nats, 2 samples", "from 1 nats, 7 samples"], "no column without samples"
  shares = {row[0]: [cell.split(" %")[0] for cell in row[1:]] for row in rows}
  assert shares["auto"] == ["50", "100"], "of samples 7 and 8 one is lost, of the first seven none"


def test_kl_of_all_samples_and_of_those_that_count(matrix):
  def cell(samples):
    rows = rows_of(quality_tables.kl(matrix, samples))
    return next(dict(zip(rows[0], row)) for row in rows if row[:2] == ["auto", "20 %"])

  every = cell(seam(matrix))
  assert every["samples"] == "10"
  assert every["mean KL"].startswith("0.3900 [")  # nine of 0.1 and one of 3.0
  assert every["median"] == "0.1000"
  assert every["worst tenth"] == "3.0000"
  assert every["gap closed"].startswith("61 % [")
  counting = cell(matrix.counting("seam"))
  assert counting["samples"] == "9"
  assert counting["mean KL"] == "0.1000 [0.1000, 0.1000]"
  assert counting["gap closed"] == "90 % [90, 90]"


def test_differences_are_paired_and_marked_where_they_are_sure(matrix):
  header, *rows = rows_of(quality_tables.differences(matrix, matrix.counting("seam")))
  assert header[2:] == ["against auxiliary_paper (CacheClip as published)", "against random (random tokens)"]
  ten, twenty = rows
  assert ten == ["auto", "10 %", "–", "–"]
  assert twenty[2] == "**-0.3000 [-0.3000, -0.3000]**"
  assert twenty[3].startswith("-0.0200 [")  # 0.1 − mean(0, 0.03, … 0.24), of which some are below 0.1


def test_monotony_compares_neighbouring_budgets(lines):
  worse = [line("heading", sample, "primary_probe", budget, budget + sample / 1000) for sample in range(5)
           for budget in (0.1, 0.2, 0.4)]  # fmt: skip
  rows = rows_of(quality_tables.monotony(records.Matrix(lines + worse)))[1:]
  assert [row[:2] for row in rows] == [
    ["auto", "10 % → 20 %"], ["primary_probe", "10 % → 20 %"], ["primary_probe", "20 % → 40 %"],
  ]  # fmt: skip
  assert rows[0][2].startswith("-0.0900 [")  # nine fall by 0.1, one stays
  assert rows[0][3:] == ["0 %", "falls"]
  assert rows[2][2:] == ["0.2000 [0.2000, 0.2000]", "100 %", "rises"]
  assert quality_tables.monotony(records.Matrix(worse[:1]))[0] == "No method was measured at two budgets."


def test_time_is_each_stage_over_full_prefill(matrix):
  header, *rows = rows_of(quality_tables.time(matrix))
  by_cell = {(row[0], row[1]): dict(zip(header, row)) for row in rows}
  assert header[2:5] == ["assemble", "select", "recompute"]
  auto = by_cell["auto", "20 %"]
  assert auto["select"] == "5.0 % [5.0, 5.0]"
  assert auto["all stages"] == "30.0 % [30.0, 30.0]"
  assert auto["selection below 10 %"] == "yes"
  assert by_cell["auxiliary_paper", "20 %"]["selection below 10 %"] == "no"


def test_ratio_is_that_of_the_means_over_common_samples():
  estimate = intervals.ratio({1: 1.0, 2: 3.0, 9: 100.0}, {1: 2.0, 2: 2.0, 3: 7.0})
  assert estimate.mean == pytest.approx(1.0)
  assert estimate.num_samples == 2
  assert estimate.low <= 1.0 <= estimate.high
  assert intervals.ratio({1: 1.0}, {2: 1.0}) is None


def test_an_ablation_is_paired_with_the_lines_of_its_shape(matrix):
  without = [line("seam", sample, "auto+seam=0", 0.2, 0.35) for sample in range(10)]
  row = rows_of(quality_tables.ablation(records.Matrix(without), matrix, "auto"))[1]
  assert row[:3] == ["auto+seam=0", "20 %", "10"]
  assert row[4] == "65 % [65, 65]"  # against no recompute of the main lines
  assert row[5].startswith("-0.0400 [")  # 0.35 − 0.39
  alone = rows_of(quality_tables.ablation(records.Matrix(without), None, "auto"))[1]
  assert alone[4:] == ["–", "–"]


def test_files_complete_each_other_and_other_shapes_get_a_section(lines, tmp_path):
  first, second = write(tmp_path / "a.jsonl", lines[:40]), write(tmp_path / "b.jsonl", [*lines[30:], lines[0]])
  other = write(tmp_path / "c.jsonl", [{**entry, "chunk": 25} for entry in lines])
  passages = write(tmp_path / "d.jsonl", [line("qa", 0, "none", 0.0, 0.2, full_score=0.0)])
  joined, apart, questions = records.load_all([first, second, other, passages])
  whole = records.Matrix(lines)
  assert joined.samples == whole.samples
  assert {cell: set(found) for cell, found in joined.cells.items()} == {
    cell: set(found) for cell, found in whole.cells.items()
  }
  assert (joined.chunk, apart.chunk) == (50, 25)
  assert (questions.tasks(), questions.chunk) == (["qa"], 50), "its chunks are passages"


def test_the_page_is_written_twice_the_same(lines, tmp_path):
  source = write(tmp_path / "lines.jsonl", lines)
  ablation = write(tmp_path / "no_seam.jsonl", [line("seam", 0, "auto+seam=0", 0.2, 0.35)])
  written = []
  for folder in ("one", "two"):
    (tmp_path / folder).mkdir()
    out = tmp_path / folder / "quality.md"
    assert quality.main([str(source), "--out", str(out), "--min-counting", "9", "--machine", "a machine", "--date",
                         "2026-01-02", "--ablation", f"without chunk heads={ablation}"]) == 0  # fmt: skip
    written.append({path.name: path.read_bytes() for path in sorted((tmp_path / folder).rglob("*.*"))})
  assert written[0] == written[1]
  assert sorted(written[0]) == ["m-a-100-50-budget.svg", "m-a-100-50-time.svg", "quality.md"]
  text = written[0]["quality.md"].decode()
  assert "Measured 2026-01-02 on a machine." in text
  assert "![quality/m-a-100-50-budget.svg](quality/m-a-100-50-budget.svg)" in text
  assert "### without chunk heads" in text
  assert (
    "cacheclip eval --tasks niah_single_1,seam,vt --methods none,auto,auxiliary_paper,random --budgets 0.1,0.2 "
    "--samples 10 --context 100 --chunk 50 --seed 1" in text
  )


def test_given_commands_replace_those_from_the_lines_and_notes_follow(lines, tmp_path):
  out = tmp_path / "quality.md"
  assert quality.main([str(write(tmp_path / "x.jsonl", lines)), "--out", str(out), "--command", "first",
                       "--command", "second", "--note", "Something is missing."]) == 0  # fmt: skip
  text = out.read_text(encoding="utf-8")
  assert "```sh\nfirst\nsecond\n```\n\nSomething is missing.\n\nA *sample* counts" in text
  assert "cacheclip eval --tasks" not in text


def test_wrong_files_and_arguments_are_named(tmp_path, capsys):
  broken = tmp_path / "broken.jsonl"
  broken.write_text("{}\n", encoding="utf-8")
  out = str(tmp_path / "quality.md")
  assert quality.main([str(broken), "--out", out]) == 1
  assert "broken.jsonl, line 1: lacks task" in capsys.readouterr().err
  assert quality.main([str(tmp_path / "none.jsonl"), "--out", out]) == 1
  with pytest.raises(SystemExit) as stopped:
    quality.main([str(broken), "--out", out, "--ablation", "no file"])
  assert stopped.value.code == 2
  assert "NAME=FILE" in capsys.readouterr().err


def test_plots_of_one_budget_and_of_several(matrix, tmp_path):
  plots.kl_against_budget(matrix, tmp_path / "budget.svg")
  assert "<svg" in (tmp_path / "budget.svg").read_text(encoding="utf-8")
