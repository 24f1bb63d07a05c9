"""The command line and what a run keeps: wrong calls are refused before anything is computed, a run goes on only as the
run that it was."""

import json

import pytest
import sample_lines

from tools.training import cli, errors, model_config, profile, progress
from tools.training.run_folder import RunFolder

CONFIG = {
  "model_type": "llama",
  "hidden_size": 64,
  "num_hidden_layers": 6,
  "num_attention_heads": 4,
  "num_key_value_heads": 2,
  "vocab_size": 300,
  "rope_theta": 10000.0,
  "tie_word_embeddings": True,
}


def model(folder, **changes):
  folder.mkdir()
  (folder / "config.json").write_text(json.dumps(CONFIG | changes), encoding="utf-8")
  return folder


def distil(tmp_path, *options) -> int:
  arguments = ["--primary", str(tmp_path / "primary"), "--out", str(tmp_path / "out"), *options]
  return cli.main(["distil", "--quiet", *arguments])


@pytest.mark.parametrize(
  "options",
  [
    ["--steps", "0"],
    ["--minutes", "0"],
    ["--minutes", "nan"],
    ["--learning-rate", "1"],
    ["--held-out-share", "0"],
    ["--samples", ","],
    ["--train", "embeddings"],
  ],
)
def test_impossible_values_are_usage_errors(options, tmp_path, capsys):
  with pytest.raises(SystemExit) as caught:
    distil(tmp_path, "--samples", "x.jsonl", *options)
  assert caught.value.code == errors.EXIT_USAGE
  assert options[0] in capsys.readouterr().err


def test_what_is_not_there_is_named_before_anything_is_computed(tmp_path, capsys):
  assert distil(tmp_path, "--samples", str(tmp_path / "none.jsonl")) == errors.EXIT_USAGE
  assert "none.jsonl does not exist" in capsys.readouterr().err
  samples = sample_lines.write(tmp_path / "samples.jsonl", 2)
  assert distil(tmp_path, "--samples", str(samples)) == errors.EXIT_USAGE
  assert "primary is not a folder" in capsys.readouterr().err


def test_missing_packages_are_named_with_the_way_to_get_them(tmp_path, capsys, monkeypatch):
  model(tmp_path / "primary")
  samples = sample_lines.write(tmp_path / "samples.jsonl", 2)
  monkeypatch.setattr(cli, "_PACKAGES", ("a_package_that_nobody_has",))
  assert distil(tmp_path, "--samples", str(samples)) == errors.EXIT_ENVIRONMENT
  complaint = capsys.readouterr().err
  assert "a_package_that_nobody_has" in complaint
  assert "python_environment.sh training" in complaint


def test_help_shows_examples(capsys):
  for command in ([], ["distil"], ["report"]):
    with pytest.raises(SystemExit) as caught:
      cli.main([*command, "--help"])
    assert caught.value.code == 0
    assert "-m tools.training distil --primary" in capsys.readouterr().out


def test_new_run_needs_a_folder_of_its_own(tmp_path):
  RunFolder(tmp_path / "out").open({"seed": 1}, resume=False)
  with pytest.raises(errors.UsageError, match="--resume goes on"):
    RunFolder(tmp_path / "out").open({"seed": 1}, resume=False)
  with pytest.raises(errors.UsageError, match="not made here"):
    RunFolder(model(tmp_path / "model")).open({"seed": 1}, resume=True)


def test_run_goes_on_only_with_its_own_settings(tmp_path):
  folder = RunFolder(tmp_path / "out")
  folder.open({"seed": 1, "steps": 5, "checkpoint_steps": 2}, resume=True)  # --resume begins what is not there
  folder.open({"seed": 1, "steps": 5, "checkpoint_steps": 3}, resume=True)
  with pytest.raises(errors.UsageError, match="steps was 5, now 6"):
    folder.open({"seed": 1, "steps": 6, "checkpoint_steps": 2}, resume=True)


def test_file_is_replaced_whole_or_not_at_all(tmp_path):
  folder = RunFolder(tmp_path / "out")
  folder.write_json("result.json", {"kl": 1})

  def fail(path):
    path.write_text("{", encoding="utf-8")
    raise OSError("disk full")

  with pytest.raises(OSError, match="disk full"):
    folder.write(folder.folder / "result.json", fail)
  assert folder.read_json("result.json") == {"kl": 1}
  (folder.folder / "result.json").write_text("{", encoding="utf-8")
  with pytest.raises(errors.UsageError, match="damaged"):
    folder.read_json("result.json")


def test_report_of_nothing_is_refused(tmp_path):
  assert cli.main(["report", str(tmp_path / "none")]) == errors.EXIT_USAGE


def test_shape_is_read_and_what_is_not_known_refused(tmp_path):
  config, content = model_config.read(model(tmp_path / "a"))
  assert (config.num_layers, config.head_dim, config.rope.kind) == (6, 16, "default")
  assert content == CONFIG
  for number, change in enumerate((
    {"model_type": "gpt2"},
    {"hidden_act": "gelu"},
    {"sliding_window": 128},
    {"rope_scaling": {"rope_type": "yarn", "factor": 4.0}},
    {"quantization_config": {}},
  )):
    with pytest.raises(errors.UnsupportedModelError, match="not supported"):
      model_config.read(model(tmp_path / f"refused{number}", **change))
  with pytest.raises(errors.UsageError, match="no Hugging Face directory"):
    model_config.read(tmp_path)


def test_bands_are_checked():
  assert model_config.parse_band("4-8", 12, "--student-band") == model_config.Band(4, 8)
  for text in ("8-4", "4", "4-13", "-1-3", "a-b"):
    with pytest.raises(errors.UsageError, match="--student-band"):
      model_config.parse_band(text, 12, "--student-band")
  for num_layers in range(1, 40):
    for band in (model_config.teacher_band(num_layers), model_config.student_band(num_layers)):
      assert 0 <= band.begin < band.end <= num_layers


def test_profile_lists_the_heads_of_the_band_and_keeps_what_was_known_of_the_primary(tmp_path):
  folder = model(tmp_path / "primary")
  config, _ = model_config.read(folder)
  band = model_config.Band(1, 3)
  made = profile.make(folder, config, "student", 3, 2, band, {})
  assert made["auxiliary"] == {"name": "student, 3 layers", "heads": [[1, 0], [1, 1], [2, 0], [2, 1]]}
  assert (made["num_layers"], made["num_heads"]) == (config.num_layers, config.num_heads)
  assert made["probe"] == {"heads": []}
  earlier = {**made, "probe": {"heads": [[2, 1]]}, "seam_tokens": 7}
  (folder / profile.FILE_NAME).write_text(json.dumps(earlier), encoding="utf-8")
  again = profile.make(folder, config, "student", 3, 2, band, {})
  assert (again["probe"], again["seam_tokens"]) == ({"heads": [[2, 1]]}, 7)
  with pytest.raises(errors.UnsupportedModelError, match="--student-band"):
    profile.make(folder, config, "student", 40, 64, model_config.Band(0, 40), {})


def test_time_left_is_that_of_the_steps_or_of_the_limit():
  assert progress.seconds_left(0, 100, 5.0) is None
  assert progress.seconds_left(25, 100, 50.0) == 150.0
  assert progress.seconds_left(25, 100, 50.0, limit_seconds=80.0) == 30.0
  assert progress.seconds_left(25, 100, 90.0, limit_seconds=80.0) == 0.0
  assert [progress.duration_text(seconds) for seconds in (4.6, 95, 3000)] == ["5 s", "1 min 35 s", "50 min"]


def test_progress_says_how_much_is_left(capsys):
  now = iter((0.0, 10.0, 20.0, 45.0))
  bar = progress.Progress("steps", 3, clock=lambda: next(now))
  bar.update(1)
  bar.update(2)  # too soon after the last line
  bar.update(3, "KL 0.5")
  assert capsys.readouterr().err.splitlines() == ["steps: 1/3, about 20 s left", "steps: 3/3, KL 0.5"]
