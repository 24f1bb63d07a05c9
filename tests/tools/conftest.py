"""Every test gets a cache and a models folder of its own, and finds the package and the golden scripts."""

import pathlib
import sys

import pytest

_REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(_REPOSITORY), str(_REPOSITORY / "tools" / "golden"), str(pathlib.Path(__file__).parent)]


@pytest.fixture(autouse=True)
def own_folders(tmp_path, monkeypatch):
  monkeypatch.setenv("CACHECLIP_CACHE", str(tmp_path / "cache"))
  monkeypatch.setenv("CACHECLIP_MODELS", str(tmp_path / "models"))
