#!/usr/bin/env python3
"""The script behind `cacheclip models`: runs the package it lies in, wherever that was installed."""

import importlib
import pathlib
import sys

_PACKAGE = pathlib.Path(__file__).resolve().parent


def _main() -> int:
  sys.path[:] = [entry for entry in sys.path if pathlib.Path(entry or ".").resolve() != _PACKAGE]
  sys.path.insert(0, str(_PACKAGE.parent))
  return importlib.import_module(f"{_PACKAGE.name}.cli").main()


if __name__ == "__main__":
  sys.exit(_main())
