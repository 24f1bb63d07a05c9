"""The gate closes when KL rose or a promise is broken, and says which; it never passes by comparing nothing."""

import json
import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3]))

from tools.eval import gate  # noqa: E402

# Mean KL by method that keeps all promises: auto closes 60 % of the gap.
GOOD = {"auto": 0.04, "primary_probe": 0.05, "auxiliary_paper": 0.06, "none": 0.1}


def lines(kl: dict[str, float], charged: float = 0.2) -> list[dict]:
  return [
    {"model": "m", "auxiliary": "a", "context": 1500, "chunk": 256, "seed": 1, "task": task, "sample": sample,
     "method": method, "budget": 0.0 if method == "none" else gate.BUDGET, "kl": value, "charged_budget": charged,
     "seconds": 0.1 * sample}
    for method, value in kl.items() for task in gate.TASKS for sample in range(gate.SAMPLES)
  ]  # fmt: skip


def compared(worse: tuple = (), samples: int = len(gate.TASKS) * gate.SAMPLES) -> list[dict]:
  return [
    {"method": method, "samples": samples, "old_kl": 0.1, "new_kl": 0.2, "difference_low": 0.05,
     "difference_high": 0.15, "worse": method in worse}
    for method in gate.METHODS
  ]  # fmt: skip


def test_good_numbers_break_no_promise():
  assert gate.broken_promises(lines(GOOD)) == []


@pytest.mark.parametrize(
  ("changed", "problem"),
  [
    ({"auto": 0.07}, "auto (0.0700) is not below auxiliary_paper's (0.0600)"),
    ({"auxiliary_paper": 0.1}, "auxiliary_paper (0.1000) is not below none's"),
    ({"primary_probe": 0.2}, "primary_probe (0.2000) is not below none's"),
    ({"auto": 0.055}, "auto closes 45% of the gap"),
  ],
)
def test_each_broken_promise_is_named(changed, problem):
  assert any(problem in found for found in gate.broken_promises(lines({**GOOD, **changed})))


def test_missing_samples_and_overspending_are_problems():
  assert gate.broken_promises(lines(GOOD)[1:]) == ["auto: 11 samples instead of 12"]
  assert gate.broken_promises(lines(GOOD, charged=0.3)) == ["charged 0.3000 of a budget of 0.2"]


def test_a_regression_is_what_the_program_calls_worse():
  assert gate.regressions(compared()) == []
  (problem,) = gate.regressions(compared(worse=("auto",)))
  assert problem == "auto: mean KL rose from 0.1000 to 0.2000, by 0.0500 to 0.1500 (95 %)"


def test_a_baseline_of_other_samples_compares_nothing_and_fails():
  assert len(gate.regressions([])) == len(gate.METHODS)
  assert all("renew it" in problem for problem in gate.regressions(compared(samples=9)))


def test_the_baseline_holds_keys_and_kl_in_a_fixed_order():
  shuffled = gate.baseline_lines(lines(GOOD)[::-1])
  assert shuffled == gate.baseline_lines(lines(GOOD))
  assert set(json.loads(shuffled[0])) == {"task", "sample", "seed", "context", "chunk", "method", "budget", "kl"}


# A program that writes these lines and prints this comparison.
@pytest.fixture(name="fake")
def fixture_fake(tmp_path, monkeypatch):
  models = tmp_path / "models"
  (models / "SmolLM2-135M-Instruct").mkdir(parents=True)
  (models / "SmolLM2-135M-Instruct" / "model.safetensors").touch()
  monkeypatch.setenv("CACHECLIP_MODELS", str(models))
  monkeypatch.setenv("CACHECLIP_WINDOW", "3")  # a setting of the caller's
  monkeypatch.setattr(gate, "REPOSITORY", tmp_path)
  monkeypatch.setattr(gate, "BASELINE", tmp_path / "data" / "gate.jsonl")
  program = tmp_path / "cacheclip"

  def make(records, comparison, status=0):
    answer = json.dumps({"rows": [], "compared": comparison})
    text = "".join(json.dumps(record) + "\n" for record in records)
    program.write_text(
      f"#!{sys.executable}\n"
      "import os, pathlib, sys\n"
      "assert 'CACHECLIP_WINDOW' not in os.environ\n"
      f"pathlib.Path(sys.argv[sys.argv.index('--out') + 1]).write_text({text!r})\n"
      f"print({answer!r})\n"
      f"sys.exit({status})\n"
    )
    os.chmod(program, 0o755)
    return str(program)

  return make


def test_renewing_makes_the_gate_pass(fake, capsys):
  program = fake(lines(GOOD), compared())
  assert gate.main([program]) == 1
  assert "there is no baseline" in capsys.readouterr().err
  assert gate.main([program, "--renew"]) == 0
  assert gate.BASELINE.read_text(encoding="utf-8").splitlines() == gate.baseline_lines(lines(GOOD))
  assert gate.main([program]) == 0
  assert "baseline 0.1000" in capsys.readouterr().out


def test_a_regression_closes_the_gate(fake, capsys):
  assert gate.main([fake(lines(GOOD), compared()), "--renew"]) == 0
  assert gate.main([fake(lines(GOOD), compared(worse=("none",)), status=1)]) == 1
  assert "quality gate: none: mean KL rose" in capsys.readouterr().err


def test_renewing_still_says_that_a_promise_is_broken(fake, capsys):
  assert gate.main([fake(lines({**GOOD, "auto": 0.09}), compared()), "--renew"]) == 1
  assert "not below auxiliary_paper" in capsys.readouterr().err
  assert gate.BASELINE.exists()


def test_a_program_that_fails_is_no_measurement(fake):
  with pytest.raises(RuntimeError, match="status 3"):
    gate.main([fake(lines(GOOD), compared(), status=3)])


def test_without_the_demo_model_it_is_skipped_but_not_in_ci(monkeypatch, tmp_path):
  monkeypatch.setenv("CACHECLIP_MODELS", str(tmp_path))
  monkeypatch.delenv("CI", raising=False)
  assert gate.main(["cacheclip"]) == 77
  monkeypatch.setenv("CI", "1")
  assert gate.main(["cacheclip"]) == 1
