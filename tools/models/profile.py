"""Profiles that come with known models (docs/evaluation.md, Profiles): copied into the model's folder."""

import json
import os
import pathlib

FILE_NAME = "cacheclip_profile.json"
ORIGIN = "cacheclip models fetch"  # "origin" of the profiles in PROFILES
PROFILES = pathlib.Path(__file__).with_name("profiles")


def bring(directory: pathlib.Path, name: str) -> bool:
  """Whether anything changed. A profile of the user's own, of `cacheclip tune` say, stays."""
  known, target = PROFILES / f"{name}.json", directory / FILE_NAME
  if not known.is_file():
    return False
  content = known.read_bytes()
  if target.is_file():
    earlier = target.read_bytes()
    if earlier == content or not _is_ours(earlier):
      return False
  partial = target.with_name(FILE_NAME + ".partial")
  partial.write_bytes(content)
  os.replace(partial, target)
  return True


def _is_ours(content: bytes) -> bool:
  try:
    return json.loads(content).get("origin") == ORIGIN
  except (ValueError, AttributeError):
    return False
