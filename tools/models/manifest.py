"""MANIFEST.json: what a converted directory was made from, and the digest of every file in it."""

import json
import os
import pathlib

from . import errors
from . import paths

FILE_NAME = "MANIFEST.json"
FORMAT_VERSION = 1
# Raised when a conversion would write other bytes for the same input: `fetch` then converts again.
CONVERTER_VERSION = 1


def write(directory: pathlib.Path, source: dict, dtype: str) -> dict:
  files = {}
  for path in sorted(directory.iterdir()):
    files[path.name] = {"bytes": path.stat().st_size, "sha256": paths.sha256_file(path)}
  content = {
    "format": FORMAT_VERSION,
    "converter": CONVERTER_VERSION,
    "dtype": dtype,
    "source": source,
    "files": files,
  }
  with open(directory / FILE_NAME, "w", encoding="utf-8") as handle:
    json.dump(content, handle, indent=2)
    handle.write("\n")
    handle.flush()
    os.fsync(handle.fileno())
  return content


def read(directory: pathlib.Path) -> dict | None:
  """The manifest, or None where there is none that this version understands."""
  try:
    content = json.loads((directory / FILE_NAME).read_text(encoding="utf-8"))
  except (OSError, ValueError):
    return None
  known = isinstance(content, dict) and content.get("format") == FORMAT_VERSION
  return content if known and isinstance(content.get("files"), dict) else None


def is_complete(directory: pathlib.Path, content: dict) -> bool:
  """Whether every file is there with its size: the cheap check of a second `fetch`."""
  for name, entry in content["files"].items():
    path = directory / name
    if not path.is_file() or path.stat().st_size != entry["bytes"]:
      return False
  return True


def verify(directory: pathlib.Path) -> dict:
  """Reads every file and compares its digest; returns the manifest."""
  content = read(directory)
  if content is None:
    raise errors.DigestError(
      f"{directory} has no readable {FILE_NAME}: only converted directories can be verified"
    )
  for name, entry in content["files"].items():
    path = directory / name
    if not path.is_file():
      raise errors.DigestError(f"{path} is missing")
    actual = paths.sha256_file(path)
    if actual != entry["sha256"]:
      raise errors.DigestError(
        f"{path} has SHA-256 {actual}, {entry['sha256']} was written: fetch it again with --force"
      )
  return content
