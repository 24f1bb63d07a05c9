"""A student gets closer to its teacher, comes out as an ordinary model, and a run that was killed ends where one that
was not ends."""

import json
import pathlib
import subprocess
import sys

import pytest
import sample_lines

torch = pytest.importorskip("torch", reason="needs torch (tools/golden/requirements.txt)")
pytest.importorskip("safetensors", reason="needs safetensors (tools/golden/requirements.txt)")

import small_models  # noqa: E402
from safetensors.torch import load_file  # noqa: E402

from tools.training import cli, distiller, errors, profile  # noqa: E402

STEPS = 6
_REPOSITORY = pathlib.Path(__file__).resolve().parents[3]


@pytest.fixture(name="work")
def fixture_work(tmp_path):
  small_models.write(tmp_path / "primary")
  sample_lines.write(tmp_path / "samples.jsonl", 6)
  return tmp_path


def arguments_of(work, out, steps=STEPS) -> list[str]:
  return [
    "--primary", str(work / "primary"), "--samples", str(work / "samples.jsonl"), "--out", str(work / out),
    "--student-layers", "3", "--steps", str(steps), "--batch", "2", "--dtype", "fp32", "--threads", "1",
    "--checkpoint-steps", "2", "--learning-rate", "3e-3", "--json",
  ]


def distil(work, out, *options, steps=STEPS) -> int:
  return cli.main(["distil", "--quiet", *arguments_of(work, out, steps), *options])


def weights(folder) -> dict:
  return load_file(folder / "model.safetensors")


def test_student_comes_closer_to_the_primary(work, capsys):
  assert distil(work, "out", "--held-out", str(work / "samples.jsonl"), steps=40) == 0
  result = json.loads(capsys.readouterr().out)
  assert result["after"]["kl"] < 0.7 * result["before"]["kl"]
  assert result["steps_done"] == 40


def test_student_is_a_model_of_the_layers_that_are_run(work, capsys):
  assert distil(work, "out", "--train", "queries-keys", "--train-from", "1", "--student-band", "0-2") == 0
  before, after = weights(work / "primary"), weights(work / "out")
  config = json.loads((work / "out" / "config.json").read_text(encoding="utf-8"))
  assert config == small_models.CONFIG | {"num_hidden_layers": 2}
  assert sorted(after) == sorted(name for name in before if not name.startswith(("model.layers.2.", "model.layers.3.")))
  changed = {name for name, tensor in after.items() if not torch.equal(tensor, before[name])}
  trained = ("input_layernorm.weight", "self_attn.q_proj.weight", "self_attn.k_proj.weight")
  assert changed == {"model.layers.1." + name for name in trained}
  modes = {(work / "out" / name).stat().st_mode for name in ("config.json", "model.safetensors")}
  assert len(modes) == 1  # whoever may read one may read the other
  assert (work / "out" / "tokenizer.json").read_bytes() == (work / "primary" / "tokenizer.json").read_bytes()
  made = json.loads((work / "out" / profile.FILE_NAME).read_text(encoding="utf-8"))
  assert made["auxiliary"]["name"] == "out, 2 layers"
  assert {layer for layer, _ in made["auxiliary"]["heads"]} == {0, 1}
  capsys.readouterr()
  assert cli.main(["report", str(work / "out"), "--json"]) == 0
  found = json.loads(capsys.readouterr().out)
  other = sample_lines.write(work / "other.jsonl", 3)
  assert cli.main(["report", str(work / "out"), "--samples", str(other), "--quiet", "--json"]) == 0
  measured = json.loads(capsys.readouterr().out)
  assert measured["after"]["samples"] == 3
  assert found["after"]["samples"] == 1  # a tenth of six, at least one
  assert measured["before"]["kl"] != found["before"]["kl"]


@pytest.mark.parametrize("killed_at", (0, 1, 3, 5))
def test_killed_run_ends_where_another_ends(killed_at, work, monkeypatch):
  assert distil(work, "whole") == 0
  run_step = distiller.Distiller._run_step

  def killed(self):
    if self.step == killed_at:
      raise KeyboardInterrupt
    run_step(self)

  with monkeypatch.context() as context:
    context.setattr(distiller.Distiller, "_run_step", killed)
    assert distil(work, "parts") == errors.EXIT_INTERRUPTED
  assert not (work / "parts" / "config.json").exists()
  assert distil(work, "parts") == errors.EXIT_USAGE
  assert distil(work, "parts", "--resume") == 0
  whole, parts = weights(work / "whole"), weights(work / "parts")
  assert all(torch.equal(parts[name], tensor) for name, tensor in whole.items())
  results = [json.loads((work / out / "distil" / "result.json").read_text()) for out in ("whole", "parts")]
  assert results[0] == results[1]


def test_time_limit_leaves_a_student_and_a_run_that_goes_on(work, capsys):
  assert distil(work, "whole") == 0
  assert distil(work, "parts", "--minutes", "1e-9") == 0
  assert json.loads((work / "parts" / "distil" / "result.json").read_text())["steps_done"] == 0
  assert (work / "parts" / "config.json").exists()
  assert distil(work, "parts", "--resume") == 0
  whole, parts = weights(work / "whole"), weights(work / "parts")
  assert all(torch.equal(parts[name], tensor) for name, tensor in whole.items())


def test_student_with_another_tokenizer_learns_from_the_text(work, capsys):
  tokenizers = pytest.importorskip("tokenizers", reason="needs tokenizers (tools/golden/requirements.txt)")
  small_models.write(work / "other", seed=2, num_hidden_layers=2, hidden_size=32, vocab_size=512)
  small_models.write_character_tokenizer(work / "other" / "tokenizer.json")
  encode = tokenizers.Tokenizer.from_file(str(work / "primary" / "tokenizer.json")).encode
  chunks = ["the harbour is closed in winter", "ships arrive with the spring tide", "the master keeps the key"]
  record = {"prefix_ids": encode("read this: ").ids, "suffix_ids": encode("who keeps the key?").ids}
  record |= {"question_begin": 0, "question_end": len(record["suffix_ids"])}
  lines = [record | {"chunk_ids": [encode(chunks[(i + j) % 3]).ids for j in range(3)]} for i in range(3)]
  (work / "samples.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
  options = ("--student", str(work / "other"), "--student-layers", "2", "--held-out", str(work / "samples.jsonl"))
  text = work / "notes.txt"
  text.write_text("The keeper of the light was asked to write down every ship that came by. " * 30, encoding="utf-8")
  more = ("--text", str(text), "--text-contexts", "2", "--context", "300", "--chunk", "100")
  assert distil(work, "out", *options, *more, steps=20) == 0
  result = json.loads(capsys.readouterr().out)
  assert result["after"]["kl"] < result["before"]["kl"]
  assert result["samples"] == 5
  assert weights(work / "out")["model.embed_tokens.weight"].shape == (512, 32)


@pytest.mark.parametrize(
  "options, code, complaint",
  [
    (("--student-layers", "9"), errors.EXIT_USAGE, "--student-layers is 9, primary has 4 layers"),
    (("--student-band", "2-9"), errors.EXIT_USAGE, "--student-band must be BEGIN-END"),
    (("--train-from", "3"), errors.EXIT_USAGE, "--train-from 3"),
  ],
)
def test_settings_that_do_not_fit_the_models_are_refused(options, code, complaint, work, capsys):
  assert distil(work, "out", *options) == code
  assert complaint in capsys.readouterr().err


def test_samples_of_another_model_are_refused(work, capsys):
  sample_lines.write(work / "samples.jsonl", 3, vocab_size=100_000)
  assert distil(work, "out") == errors.EXIT_DATA
  assert "another model" in capsys.readouterr().err


def test_damaged_weights_are_refused(work, capsys):
  (work / "primary" / "model.safetensors").write_bytes(b"\x00" * 7)
  assert distil(work, "out") == errors.EXIT_USAGE
  assert "model.safetensors" in capsys.readouterr().err


@pytest.mark.parametrize("name", ("distil/checkpoint.pt", "distil/targets"))
def test_damaged_file_of_a_run_is_named(name, work, capsys):
  assert distil(work, "out") == 0
  path = work / "out" / name
  path = min(path.iterdir()) if path.is_dir() else path
  path.write_bytes(path.read_bytes()[:100])
  # Measured again, and learnt again from the first step on: every target is read.
  if "targets" in name:
    (work / "out" / "distil" / "checkpoint.pt").unlink()
  (work / "out" / "distil" / "before.json").unlink()
  capsys.readouterr()
  assert distil(work, "out", "--resume") == errors.EXIT_USAGE
  assert f"{path} is damaged" in capsys.readouterr().err


def test_full_disk_is_a_storage_error_and_the_run_goes_on(work):
  assert distil(work, "whole") == 0
  # A limit on file sizes stands for the disk: targets fit, the checkpoint does not.
  program = (
    "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
    "resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000)); "
    "from tools.training.cli import main; sys.exit(main(sys.argv[1:]))"
  )
  result = subprocess.run(
    [sys.executable, "-c", program, "distil", "--quiet", *arguments_of(work, "parts")],
    cwd=_REPOSITORY, capture_output=True, text=True, check=False,
  )
  assert result.returncode == errors.EXIT_STORAGE, result.stderr
  assert "checkpoint.pt" in result.stderr
  assert distil(work, "parts", "--resume") == 0
  whole, parts = weights(work / "whole"), weights(work / "parts")
  assert all(torch.equal(parts[name], tensor) for name, tensor in whole.items())
