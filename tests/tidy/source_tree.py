"""The files that the rules look at: path -> text, from the checkout or, in the rules' own tests, from a dictionary."""
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

MAX_TEXT_BYTES = 1 << 20  # larger files are data (golden files, weights), not sources
SKIPPED_FOLDERS = {".git", "build", ".venv", "__pycache__", "target", "node_modules"}


@dataclass(frozen=True)
class Violation:
    path: str
    line: int  # 1-based; 0 = the file as a whole
    text: str
    is_warning: bool = False

    def __str__(self):
        return f"{self.path}:{self.line}: {'warning: ' if self.is_warning else ''}{self.text}"


class SourceTree:
    def __init__(self, files):
        self.files = files  # path relative to the repository, with '/', -> text

    @classmethod
    def from_checkout(cls, root):
        files = {}
        for path in sorted(_list_files(root)):
            full = Path(root, path)
            if full.is_symlink() or not full.is_file() or full.stat().st_size > MAX_TEXT_BYTES:
                continue
            data = full.read_bytes()
            if b"\0" in data:
                continue
            files[path] = data.decode("utf-8", errors="replace")
        return cls(files)

    def select(self, *suffixes, under=""):
        """(path, text) of the files that end in one of `suffixes` and lie below the folder `under`."""
        for path, text in self.files.items():
            if path.endswith(suffixes) and path.startswith(under):
                yield path, text


def _list_files(root):
    git = subprocess.run(
        ["git", "-C", str(root), "ls-files", "-z", "-co", "--exclude-standard"], capture_output=True, check=False)
    if git.returncode == 0:
        return {path for path in git.stdout.decode().split("\0") if path}
    found = set()  # an exported tree without .git
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in SKIPPED_FOLDERS]
        found.update(Path(folder, name).relative_to(root).as_posix() for name in names)
    return found


def folder_of(path):
    return path.rpartition("/")[0]


def is_test(path):
    return path.startswith("tests/")


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1
