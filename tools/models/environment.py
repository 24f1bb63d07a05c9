"""The virtual environment that conversions run in: <cache>/venv-models, made on first use.

It holds the pinned requirements.txt and nothing else. A stamp with the requirements' digest is written
last, so an environment whose making was interrupted is made again.
"""

import hashlib
import pathlib
import subprocess
import sys

from . import errors
from . import paths
from . import progress

_REQUIREMENTS = pathlib.Path(__file__).with_name("requirements.txt")
_STAMP = "cacheclip.ready"


def _stamp_text() -> str:
  digest = hashlib.sha256(_REQUIREMENTS.read_bytes()).hexdigest()
  return f"{digest} {sys.version_info.major}.{sys.version_info.minor}\n"


def _is_ready(folder: pathlib.Path) -> bool:
  stamp = folder / _STAMP
  return stamp.is_file() and stamp.read_text(encoding="utf-8") == _stamp_text()


def ensure_python(quiet: bool = False) -> pathlib.Path:
  """Returns the Python of the conversion environment, which is made if it is not there yet."""
  folder = paths.cache_dir() / "venv-models"
  python = folder / "bin" / "python"
  with paths.exclusive_lock(paths.cache_dir() / "locks" / "venv-models.lock"):
    if _is_ready(folder):
      return python
    progress.say(f"making the conversion environment in {folder}", quiet)
    _run([sys.executable, "-m", "venv", "--clear", str(folder)], "Debian and Ubuntu: install python3-venv")
    _run(
      [
        str(python),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--requirement",
        str(_REQUIREMENTS),
      ],
      "the packages of tools/models/requirements.txt must be reachable with pip",
    )
    (folder / _STAMP).write_text(_stamp_text(), encoding="utf-8")
  return python


def _run(command: list[str], hint: str) -> None:
  result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
  if result.returncode != 0:
    last_lines = "\n".join((result.stderr or result.stdout).strip().splitlines()[-3:])
    raise errors.EnvironmentSetupError(
      f"the conversion environment could not be made ({hint}):\n{last_lines}"
    )
