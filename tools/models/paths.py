"""Where things lie: the cache folder, the models folder, and the small file operations on them.

Concurrency: `exclusive_lock` makes two runs of the tool take turns; everything else that becomes visible
does so by one rename, so a reader never sees half a model.
"""

import contextlib
import fcntl
import hashlib
import os
import pathlib
import shutil

from . import errors

_HASH_BLOCK_BYTES = 1 << 20


def cache_dir() -> pathlib.Path:
  if os.environ.get("CACHECLIP_CACHE"):
    return pathlib.Path(os.environ["CACHECLIP_CACHE"]).expanduser().absolute()
  base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
  return pathlib.Path(base).expanduser().absolute() / "cacheclip"


def models_dir() -> pathlib.Path:
  if os.environ.get("CACHECLIP_MODELS"):
    return pathlib.Path(os.environ["CACHECLIP_MODELS"]).expanduser().absolute()
  return cache_dir() / "models"


@contextlib.contextmanager
def exclusive_lock(path: pathlib.Path):
  """Holds the lock file `path` for the length of the block; waits for another holder."""
  path.parent.mkdir(parents=True, exist_ok=True)
  with open(path, "w", encoding="utf-8") as handle:
    fcntl.flock(handle, fcntl.LOCK_EX)
    yield


def sha256_file(path: pathlib.Path) -> str:
  digest = hashlib.sha256()
  with open(path, "rb") as handle:
    while block := handle.read(_HASH_BLOCK_BYTES):
      digest.update(block)
  return digest.hexdigest()


def require_free_bytes(folder: pathlib.Path, needed_bytes: int) -> None:
  """Refuses early what would fill the disk halfway through."""
  existing = folder
  while not existing.exists():
    existing = existing.parent
  free = shutil.disk_usage(existing).free
  if free < needed_bytes:
    raise errors.StorageError(
      f"{existing} has {free / 1e6:.0f} MB free and {needed_bytes / 1e6:.0f} MB are needed: free some space "
      "or point CACHECLIP_CACHE and CACHECLIP_MODELS at a larger disk"
    )


def remove_leftovers(folder: pathlib.Path, prefix: str) -> None:
  """Deletes what an interrupted run left behind. Call it under the lock only."""
  if folder.is_dir():
    for leftover in folder.glob(f"{prefix}*"):
      shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()


def replace_dir(new: pathlib.Path, target: pathlib.Path) -> None:
  """Puts `new` in the place of `target`; what was there before goes after the switch."""
  old = target.with_name(f".{target.name}.old")
  if target.exists():
    if old.exists():
      shutil.rmtree(old)
    os.rename(target, old)
  os.rename(new, target)
  if old.exists():
    shutil.rmtree(old)
