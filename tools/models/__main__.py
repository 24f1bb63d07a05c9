"""`python3 -m tools.models`: the same as running cacheclip_models.py."""

import sys

from .cli import main

sys.exit(main())
