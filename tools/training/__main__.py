"""`python3 -m tools.training`: see `--help`; exit codes are in errors.py."""

import sys

from .cli import main

sys.exit(main())
