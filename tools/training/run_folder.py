"""What a run keeps in OUT/distil beside the student: its settings, the teacher's targets, a checkpoint, its result.

Everything appears by one rename, so a run that was killed leaves whole files. Needs no torch: what is binary is written
by a function that the caller gives.
"""

import json
import pathlib

from . import errors

_FOLDER = "distil"
# May differ when a run goes on.
_FREE_SETTINGS = ("checkpoint_steps",)


class RunFolder:
  def __init__(self, out: pathlib.Path):
    self.out = out
    self.folder = out / _FOLDER
    self.checkpoint = self.folder / "checkpoint.pt"

  def open(self, settings: dict, resume: bool) -> None:
    """A new run in a folder that has none, or the same one again. UsageError says which setting differs."""
    found = self.read_json("settings.json")
    if found is None:
      if (self.out / "config.json").exists():
        raise errors.UsageError(f"{self.out} holds a model that was not made here: name another folder")
      self.write_json("settings.json", settings)
      return
    if not resume:
      raise errors.UsageError(f"{self.out} holds a run already: --resume goes on with it, or name another folder")
    settings = json.loads(json.dumps(settings))
    names = [name for name in {**found, **settings} if name not in _FREE_SETTINGS]
    different = [name for name in names if found.get(name) != settings.get(name)]
    if different:
      name = different[0]
      raise errors.UsageError(
        f"{self.out} was begun with other settings ({', '.join(different)}): {name} was {found.get(name)}, "
        f"now {settings.get(name)}"
      )

  def target(self, digest: str) -> pathlib.Path:
    """The teacher's mass for the sample of that digest."""
    return self.folder / "targets" / f"{digest}.pt"

  def read_json(self, name: str) -> dict | None:
    path = self.folder / name
    try:
      return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
      return None
    except ValueError as error:
      raise errors.UsageError(f"{path} is damaged: {error}") from error

  def write_json(self, name: str, content: dict) -> None:
    text = json.dumps(content, indent=2) + "\n"
    self.write(self.folder / name, lambda path: path.write_text(text, encoding="utf-8"))

  @staticmethod
  def write(path: pathlib.Path, write_to) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    try:
      write_to(partial)
    except RuntimeError as error:  # torch's for a file that cannot be written
      raise errors.StorageError(f"{path} cannot be written: {error}") from error
    partial.replace(path)
